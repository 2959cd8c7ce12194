# SPDX-License-Identifier: MIT
"""Each way into a guest: made as a user makes it, booted, and its serial line read. None needs a kernel of its own but
`kernel-variables`, which changes a few objects of the tiny one."""
import gzip
import json
import lzma
import os
import shutil
import stat
import subprocess
import tarfile

from harness.core import Failure

# Says something that only this program says, then goes on, as /init must.
SAYS = """#include <stdio.h>
#include <unistd.h>
int main(void)
{
	char name[99] = "";

	gethostname(name, sizeof(name));
	printf("%s, on %%s\\n", name);
	fflush(stdout);
	for (;;)
		pause();
}
"""


def says(text):
    return SAYS % text


def static_program(w, where, text):
    """Linked against glibc, as most people's are."""
    source = w.write("source/" + os.path.basename(where) + ".c", says(text))
    target = os.path.join(w.folder, where)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    w.run("gcc", "-static", "-O1", "-o", target, source)
    return target


def check(condition, why):
    if not condition:
        raise Failure(why)


def entries(path):
    """name -> (mode, links, uid, gid, size, device, inode) of an initramfs, read by Python's own hand, not by the tool's."""
    data, at, found = gzip.open(path).read(), 0, {}
    while True:
        fields = [int(data[i:i + 8], 16) for i in range(at + 6, at + 110, 8)]
        name = data[at + 110:at + 109 + fields[11]].decode()
        if name == "TRAILER!!!":
            return found
        content = (at + 110 + fields[11] + 3) & ~3
        found[name] = {"mode": fields[1], "uid": fields[2], "gid": fields[3], "links": fields[4], "date": fields[5], "ino": fields[0],
                       "device": (fields[9], fields[10]), "data": data[content:content + fields[6]]}
        at = (content + fields[6] + 3) & ~3


# ---- PROGRAM ----

def program_c(w):
    source = w.write("my programs/say it's me.c", says("a C file"))
    text = w.make("PROGRAM=" + source)
    check("build/guest/say-it-s-me" in text, "the result's name is not said")
    w.boot("say-it-s-me", "^a C file, on havoc$")
    w.boot_havoc("say-it-s-me", "^a C file, on havoc\r?$")


def program_static(w):
    w.make("PROGRAM=" + static_program(w, "bin/ready", "a static program"))
    w.boot("ready", "^a static program, on havoc$")


def program_linux_headers(w):
    """What programs for bare kernels include, and musl does not bring."""
    w.make("PROGRAM=" + w.write("h.c", "#include <linux/reboot.h>\n#include <havoc.h>\n" + says("with headers")))
    w.boot("h", "^with headers,")


def iso(w):
    """make iso and make run's image hold the guest that is named; then the default's again, for the other cases."""
    make = ["make", "--no-print-directory", "-j%d" % w.env.jobs, "BUILD=" + w.env.build]
    source = w.write("own.c", says("from the ISO"))
    try:
        w.run(*make, "iso", "PROGRAM=" + source, timeout=1800)
        w.run(*make, "iso", "IMAGE=own", timeout=1800)
        shutil.copy(w.env.path("havoc.iso"), w.folder)
    finally:
        shutil.rmtree(w.env.path("guest", "own"), ignore_errors=True)
        w.run(*make, "iso", timeout=1800)
    from harness.emulator import Machine, Running
    with Running(w.env, Machine("qemu", "max"), os.path.join(w.folder, "havoc.iso"), w.folder, 300) as running:
        if not running.console.expect(r"^from the ISO, on havoc", 120 * w.env.scale):
            raise Failure("the ISO does not start the program", running.console.path)
    os.remove(os.path.join(w.folder, "havoc.iso"))


# ---- LINUX_INITRAMFS_ROOT ----

def root_classic(w):
    """The classic example: hello.c built with gcc -static under initramfs/usr."""
    static_program(w, "initramfs/usr/hello", "hello")
    w.make("LINUX_INITRAMFS_ROOT=" + os.path.join(w.folder, "initramfs"))
    found = entries(w.out("initramfs", "initramfs.cpio.gz"))
    check(found["init"]["data"] == b"/usr/hello" and stat.S_ISLNK(found["init"]["mode"]), "/init is no link to /usr/hello")
    check({"dev", "proc", "sys", "tmp"} <= set(found), "mount points are missing")
    check(found["dev/console"]["device"] == (5, 1) and found["dev/null"]["device"] == (1, 3), "/dev/console or /dev/null is missing")
    w.boot("initramfs", "^hello, on havoc$")
    w.boot_havoc("initramfs", "^hello, on havoc\r?$")


def root_init(w):
    for name in ("one", "two"):
        static_program(w, "my root/bin/" + name, "program " + name)
    w.make("LINUX_INITRAMFS_ROOT=" + os.path.join(w.folder, "my root"), "LINUX_INIT=bin/two", "GUEST_NAME=chosen")
    w.boot("chosen", "^program two, on havoc$")


def root_kept(w):
    """Links stay links wherever they lead, modes and hard links stay, owners are 0:0."""
    w.write("secret", "not for the guest")
    w.write("root/init", "#!/bin/sh\n", 0o4755)
    static_program(w, "root/bin/sh", "a program")
    os.symlink("../../secret", os.path.join(w.folder, "root/bin/out"))
    os.symlink("/", os.path.join(w.folder, "root/all"))
    os.symlink("..", os.path.join(w.folder, "root/bin/above"))
    w.write("root/etc/a file", "linked")
    os.link(os.path.join(w.folder, "root/etc/a file"), os.path.join(w.folder, "root/etc/again"))
    os.mkfifo(os.path.join(w.folder, "root/etc/pipe"), 0o622)
    os.chmod(os.path.join(w.folder, "root/etc/pipe"), 0o622)
    os.chmod(os.path.join(w.folder, "root/etc"), 0o711)
    if os.getuid() == 0:
        os.chown(os.path.join(w.folder, "root/etc/a file"), 12, 34)
    w.make("LINUX_INITRAMFS_ROOT=" + os.path.join(w.folder, "root"))
    found = entries(w.out("root", "initramfs.cpio.gz"))
    check(sorted(n for n in found if not n.startswith(("dev", "proc", "sys", "tmp"))) ==
          ["all", "bin", "bin/above", "bin/out", "bin/sh", "etc", "etc/a file", "etc/again", "etc/pipe", "init"], "not what is in the folder: %s" % sorted(found))
    check(all(b"not for the guest" not in e["data"] for e in found.values()), "a link was followed out of the root")
    check(found["bin/out"]["data"] == b"../../secret" and found["all"]["data"] == b"/", "a link leads elsewhere")
    check(found["init"]["mode"] == 0o104755 and found["etc"]["mode"] == 0o40711 and found["etc/pipe"]["mode"] == 0o10622, "modes are not kept")
    one, two = found["etc/a file"], found["etc/again"]
    check(one["ino"] == two["ino"] and one["links"] == two["links"] == 2 and one["data"] + two["data"] == b"linked", "a hard link is lost")
    check(all((e["uid"], e["gid"], e["date"]) == (0, 0, 0) for e in found.values()), "an owner or a date of this machine is in the archive")


# ---- LINUX_INITRAMFS_IN ----

LIST = """# Everything that a list can hold
dir   /dev          0755 0 0
nod   /dev/console  0600 0 0 c 5 1
nod   /dev/disk     0640 0 6 b 253 7
dir   /etc          0700 1 2
file  /etc/motd     "files/the motd" 0644 3 4 /etc/issue "/etc/last one"
slink /etc/link     motd 0777 0 0
pipe  /etc/pipe     0600 0 0
file  /@WHERE@/init @PROGRAM_FILE@ 0755 0 0   # in a folder that no line names
slink /init         @WHERE@/init 0777 0 0
"""


def list_in(w):
    program = static_program(w, "bin/from a list", "from a list")
    w.write("lists/files/the motd", "welcome\n")
    path = w.write("lists/my.list", LIST)
    w.make("LINUX_INITRAMFS_IN=" + path, "WHERE=sbin", env={"PROGRAM_FILE": program})
    archive = w.out("my", "initramfs.cpio.gz")
    found = entries(archive)
    check((found["etc/motd"]["uid"], found["etc/motd"]["gid"]) == (3, 4) and found["etc"]["mode"] == 0o40700, "owners or modes of the list are lost")
    check(found["dev/disk"]["device"] == (253, 7) and found["dev/disk"]["mode"] == 0o60640, "a device node is wrong")
    check([found[n]["links"] for n in ("etc/motd", "etc/issue", "etc/last one")] == [3] * 3, "hard links are lost")
    # cpio(1) sees the same.
    text = subprocess.run(["cpio", "-itvn", "--quiet"], input=gzip.open(archive).read(), stdout=subprocess.PIPE, check=True).stdout.decode()
    names = [line.split(None, 9)[-1] for line in text.splitlines()]
    check(len(names) == len(found) and any(line.startswith("brw-r-----") and "253," in line for line in text.splitlines()),
          "cpio reads it otherwise:\n" + text)
    w.boot("my", "^from a list, on havoc$")


def list_over_root(w):
    static_program(w, "root/init", "under")
    static_program(w, "over", "over")
    # As merged distributions have it: /bin is a link, and what it leads to comes later by name.
    os.makedirs(os.path.join(w.folder, "root/usr/bin"))
    os.symlink("usr/bin", os.path.join(w.folder, "root/bin"))
    w.make("LINUX_INITRAMFS_ROOT=" + os.path.join(w.folder, "root"),
           "LINUX_INITRAMFS_IN=" + w.write("over.list", "file /bin/more/over over 0755 0 0\nslink /init bin/more/over 0777 0 0\n"))
    check("usr/bin/more/over" in entries(w.out("root", "initramfs.cpio.gz")), "a link in the root is not followed inside it")
    w.boot("root", "^over, on havoc$")


# ---- LINUX_INITRAMFS_IMAGE ----

def ready_image(pack):
    def run(w):
        w.make("PROGRAM=" + w.write("p.c", says("ready")))
        plain = gzip.open(w.out("p", "initramfs.cpio.gz")).read()
        path = w.write("an initramfs.bin", pack(plain))
        # Given too, and not used: the ready one wins.
        w.make("LINUX_INITRAMFS_IMAGE=" + path, "LINUX_INITRAMFS_ROOT=/nowhere", "GUEST_NAME=ready")
        with open(path, "rb") as one, open(w.out("ready", "initramfs.cpio.gz"), "rb") as two:
            check(one.read() == two.read(), "it is not used as it is")
        w.boot("ready", "^ready, on havoc$", never=("Kernel panic", "Initramfs unpacking failed"))
    return run


def by(*command):
    return lambda data: subprocess.run(command, input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout


PACKERS = {
    "cpio": lambda data: data, "gz": gzip.compress, "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "zst": by("zstd", "-c"), "lz4": by("lz4", "-l", "-c"),
    # As distributions do: an archive, then a packed one.
    "two": lambda data: by("cpio", "-o", "-H", "newc", "--quiet")(b"") + bytes(512) + gzip.compress(data),
}


# ---- The kernel's variables ----

def kernel_variables(w):
    """LINUX_CONFIG_IN with @VAR@ from guest.mk, KERNEL_COMPRESSION, LINUX_EMBED, LINUX_CMDLINE: one kernel for all."""
    w.write("project/a name.config", '# A fragment; @THIS@ is a comment.\nCONFIG_DEFAULT_HOSTNAME="@GUEST_HOST@"\nCONFIG_SIGNALFD=y\n')
    w.write("project/last.config", "# CONFIG_SIGNALFD is not set\n")
    w.write("project/prog.c", says("inside"))
    w.write("project/guest.mk", "PROGRAM = prog.c\nLINUX_CONFIG_IN = 'a name.config' last.config\nBASE = templ\nGUEST_HOST = $(BASE)ated\n")
    w.make("GUEST_DIR=" + os.path.join(w.folder, "project"), "KERNEL_COMPRESSION=gzip", "LINUX_EMBED=1",
           env={"LINUX_CMDLINE": "console=ttyS0 panic=-1 reboot=t marker=17"})
    with open(w.out("prog", "config")) as f:
        config = f.read()
    for line in ('CONFIG_DEFAULT_HOSTNAME="templated"', "# CONFIG_SIGNALFD is not set", "CONFIG_KERNEL_GZIP=y"):
        check(line in config.split("\n"), "not in the kernel's configuration: " + line)
    check(os.path.getsize(w.out("prog", "initramfs.cpio.gz")) == 0, "there is an initramfs beside the one inside")
    w.boot("prog", "Command line: .*marker=17", "^inside, on templated$")
    w.boot("prog", "^inside, on templated$", kernel="vmlinux")
    w.boot_havoc("prog", "Command line: .*marker=17", "^inside, on templated\r?$")
    # A change of userspace is in the kernel, and nothing else changes.
    w.write("project/prog.c", says("changed"))
    w.make("GUEST_DIR=" + os.path.join(w.folder, "project"), "KERNEL_COMPRESSION=gzip", "LINUX_EMBED=1")
    w.boot("prog", "^changed, on templated$")


def pvh(w):
    w.make("PROGRAM=" + w.write("p.c", says("by PVH")))
    w.boot("p", "^by PVH, on havoc$", kernel="vmlinux")


def images(w):
    """Several at once, each bootable; and what `make try` does."""
    w.make("IMAGE=tiny vmcall-hello")
    w.boot("tiny", "^hello$", "^hello$", argv=["make", "--no-print-directory", "try", "IMAGE=tiny", "BUILD=" + w.build])
    w.boot("vmcall-hello", "^vmcall-hello: no console hypercall here")


def new_image(w):
    """A new image is a new folder and nothing else: tried in a copy of this repository."""
    for name in ("Makefile", "mk", "tools", "guest"):
        w.run("cp", "-r", name, w.folder)
    w.write("guest/images/mine/initramfs.list", "nod /dev/console 0600 0 0 c 5 1\nfile /init @BIN@/mine 0755 0 0\nfile /etc/issue @IMAGE@/issue 0644 0 0\n")
    w.write("guest/images/mine/mine.c", says("a new image"))
    w.write("guest/images/mine/issue", "x")
    w.write("guest/images/mine/cmdline", "console=ttyS0 panic=-1 marker=mine\n")
    text = w.run("make", "--no-print-directory", "-C", w.folder, "guest", "IMAGE=mine", env=w.clean())
    check("build/guest/mine" in text, "it is not made")
    check(" mine " in w.run("make", "--no-print-directory", "-C", w.folder, "help", env=w.clean()), "make help does not name it")
    w.boot("mine", "Command line: .*marker=mine", "^a new image, on havoc$")


# ---- OCI ----

OCI_PROGRAM = r"""#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char cwd[99] = "";
	struct stat info;

	/* A grandchild that nobody waits for. */
	if (fork() == 0) {
		if (fork() == 0) {
			usleep(100000);
			_exit(0);
		}
		_exit(0);
	}
	stat("/data/file", &info);
	printf("%s arguments %d %s, color %s, in %s, user %d:%d, file of %d:%d\n", argv[0], argc - 1, argv[argc - 1], getenv("COLOR"),
	       getcwd(cwd, sizeof(cwd)), (int)getuid(), (int)getgid(), (int)info.st_uid, (int)info.st_gid);
	printf("proc %d, dev %d\n", access("/proc/self/exe", F_OK), access("/dev/null", W_OK));
	fflush(stdout);
	sleep(1);
	return 3;
}
"""


def layer(members):
    """A layer's tar file, as bytes. members: (name, mode, uid, gid, data or None for a folder)."""
    import io
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, mode, uid, gid, data in members:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid = mode, uid, gid
            if data is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def layout(w, name, members, config, tags=("latest",)):
    """An OCI image layout, written by hand: the tests need no container engine, and know each byte."""
    import hashlib
    folder = os.path.join(w.folder, name)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        w.write(os.path.join(name, "blobs/sha256", digest), data)
        return {"digest": "sha256:" + digest, "size": len(data)}
    tar = layer(members)
    kind = "application/vnd.oci.image."
    configuration = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": config,
                                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}}).encode())
    packed = gzip.compress(tar, mtime=0)
    manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                                "config": {"mediaType": kind + "config.v1+json", **configuration},
                                "layers": [{"mediaType": kind + "layer.v1.tar+gzip", **blob(packed)}]}).encode())
    w.write(name + "/index.json", json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": kind + "manifest.v1+json", **manifest, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag in tags]}))
    w.write(name + "/oci-layout", '{"imageLayoutVersion": "1.0.0"}')
    return folder


def oci_program(w):
    source = w.write("source/app.c", OCI_PROGRAM)
    w.run("gcc", "-static", "-O1", "-o", os.path.join(w.folder, "app"), source)
    with open(os.path.join(w.folder, "app"), "rb") as f:
        return [("usr", 0o755, 0, 0, None), ("usr/app", 0o755, 0, 0, f.read()), ("data", 0o755, 5, 6, None), ("data/file", 0o640, 1000, 1001, b"x"),
                ("etc", 0o755, 0, 0, None), ("etc/passwd", 0o644, 0, 0, b"root:x:0:0::/:/bin/sh\nuser:x:1000:1001::/:/bin/sh\n")]


CONFIG = {"Entrypoint": ["app", "two words"], "Cmd": ["last"], "Env": ["PATH=/usr", "COLOR=blue green"], "WorkingDir": "/data", "User": "user"}
SEEN = (r"^app arguments 2 last, color blue green, in /data, user 1000:1001, file of 1000:1001$", r"^proc 0, dev 0$", r"^init: app ended with status 3$")


def oci_layout(w):
    path = layout(w, "an image: mine", oci_program(w), CONFIG, tags=("v1", "v2"))
    w.make("OCI=" + path + ":v2")
    w.boot("an-image", *SEEN, ends=True)
    w.boot_havoc("an-image", *(p.replace("$", "\r?$") for p in SEEN), r"^havoc: guest \S+ has powered off", ends="poweroff")
    # Something else of the image instead.
    w.make("OCI=" + path + ":v1", "LINUX_INIT=/usr/app other")
    w.boot("an-image", r"^/usr/app arguments 1 other, ", ends=True)


def oci_archive(w):
    """As `docker save` writes it; an image with an /init of its own."""
    members = [m if m[0] != "usr/app" else ("init",) + m[1:] for m in oci_program(w)]
    path = layout(w, "image", members, {**CONFIG, "Entrypoint": ["/init"], "Cmd": None})
    archive = os.path.join(w.folder, "saved image.tar")
    w.run("skopeo", "--insecure-policy", "copy", "--quiet", "oci:%s:latest" % path, "docker-archive:%s:name:tag" % archive)
    w.make("OCI=" + archive)
    w.boot("saved-image", r"^/init arguments 0 /init, ", r"^init: /init ended with status 3$", ends=True)


# ---- What a build does, and does not ----

def stamps(w, name):
    return {n: os.stat(w.out(name, n)).st_mtime_ns for n in ("bzImage", "vmlinux", "config", "cmdline", "options", "initramfs.cpio.gz", "manifest.json")}


def unchanged(w):
    """Nothing changed: no file is written. Userspace changed: the kernel's files are not."""
    source = w.write("p.c", says("first"))
    w.make("PROGRAM=" + source)
    before = stamps(w, "p")
    w.make("IMAGE=p")
    check(stamps(w, "p") == before, "a file was written though nothing changed")
    w.write("p.c", says("second"))
    w.make("IMAGE=p")
    changed = {name for name, stamp in stamps(w, "p").items() if before[name] != stamp}
    check(changed == {"initramfs.cpio.gz", "manifest.json"}, "written: " + " ".join(sorted(changed)))
    w.boot("p", "^second, on havoc$")


def manifest(w):
    """Hashes and sizes are those of the files; two builds in two folders are the same bytes."""
    import hashlib
    w.make("IMAGE=shell")
    with open(w.out("shell", "manifest.json")) as f:
        text = f.read()
    found = json.loads(text)
    for name, row in found["files"].items():
        with open(w.out("shell", name), "rb") as f:
            data = f.read()
        check((row["bytes"], row["sha256"]) == (len(data), hashlib.sha256(data).hexdigest()), "the manifest is wrong about " + name)
    check(found["linux"].startswith("linux-source-") and "gcc" in found["compilers"], "the manifest lacks versions")
    first, w.build = w.build, os.path.join(w.folder, "another/deeper")
    w.make("IMAGE=shell")
    for name in list(found["files"]) + ["manifest.json"]:
        w.run("cmp", os.path.join(first, "guest/shell", name), w.out("shell", name))


def two_at_once(w):
    """Two builds that relink one kernel's objects: each gets what it asked for."""
    import threading
    results = {}

    def one(number):
        mine = type(w)(w.env, os.path.join(w.folder, str(number)))
        os.makedirs(mine.folder)
        try:
            mine.make("PROGRAM=" + mine.write("p.c", says("number %d" % number)), "LINUX_EMBED=1")
            mine.boot("p", "^number %d, on havoc$" % number)
            results[number] = None
        except Exception as e:  # pylint: disable=broad-except
            results[number] = e
    threads = [threading.Thread(target=one, args=(n,)) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in results.values():
        if error:
            raise error
    check(len(results) == 2, "one of the builds did not end")


def help_text(w):
    text = w.make("help", "LINUX_CMDLINE=quiet marker", env={"KERNEL_COMPRESSION": "XZ"})
    for name in ("IMAGE", "PROGRAM", "LINUX_INITRAMFS_ROOT", "LINUX_INITRAMFS_IN", "LINUX_INITRAMFS_IMAGE", "LINUX_CONFIG_IN", "LINUX_SRC",
                 "LINUX_VERSION", "LINUX_CMDLINE", "KERNEL_COMPRESSION", "LINUX_EMBED", "OCI", "LINUX_INIT", "GUEST_NAME"):
        check("\n  " + name + " " in text, "not in make guest help: " + name)
    check("[quiet marker]" in text and "[XZ]" in text and "[0]" in text, "make guest help does not show the values")
    check(not os.path.exists(os.path.join(w.build, "guest")), "make guest help built something")


CASES = [
    ("program-c", program_c, 20), ("program-static", program_static, 10), ("program-headers", program_linux_headers, 10), ("iso", iso, 60, True),
    ("root-classic", root_classic, 20), ("root-init", root_init, 10), ("root-kept", root_kept),
    ("list", list_in, 10), ("list-over-root", list_over_root, 10),
    *(("image-" + name, ready_image(pack), 15) for name, pack in PACKERS.items()),
    ("kernel-variables", kernel_variables, 120), ("pvh", pvh, 10), ("images", images, 15), ("new-image", new_image, 10),
    ("oci-layout", oci_layout, 30), ("oci-archive", oci_archive, 20),
    ("unchanged", unchanged, 15), ("manifest", manifest, 10), ("two-at-once", two_at_once, 90), ("help", help_text),
]
