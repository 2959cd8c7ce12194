# SPDX-License-Identifier: MIT
"""Programs, folders, lists and ready initramfs: each made as a user makes it, booted, and its serial line read. All on the
tiny kernel."""
import gzip
import lzma
import os
import stat
import subprocess

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
    source = w.write("my programs/say it's me #1.c", says("a C file"))
    text = w.make("PROGRAM=" + source)
    check("build/guest/say-it-s-me-1" in text, "the result's name is not said")
    w.boot("say-it-s-me-1", "^a C file, on havoc$")
    w.boot_havoc("say-it-s-me-1", "^a C file, on havoc\r?$")


def program_static(w):
    w.make("PROGRAM=" + static_program(w, "bin/ready", "a static program"))
    w.boot("ready", "^a static program, on havoc$")


def program_linux_headers(w):
    """What programs for bare kernels include, and musl does not bring."""
    w.make("PROGRAM=" + w.write("h.c", "#include <linux/reboot.h>\n#include <havoc.h>\n" + says("with headers")))
    w.boot("h", "^with headers,")


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


def root_program(w):
    """PROGRAM is /init in the root that is given, also where that has one; the rest of the root is there."""
    static_program(w, "root/init", "the root's own")
    w.write("root/etc/motd", "of the root\n")
    w.make("LINUX_INITRAMFS_ROOT=" + os.path.join(w.folder, "root"), "PROGRAM=" + w.write("p.c", r"""#include <stdio.h>
#include <unistd.h>
int main(void)
{
	char line[99] = "nothing";
	FILE *f = fopen("/etc/motd", "r");

	if (f)
		fgets(line, sizeof(line), f);
	printf("motd: %s\n", line);
	fflush(stdout);
	for (;;)
		pause();
}
"""), "GUEST_NAME=both")
    w.boot("both", "^motd: of the root$")


def root_unpacked(w):
    """Who unpacks an archive without being root has plain files for devices: the console is one all the same. A mount point
    that is a link stays one."""
    static_program(w, "root/init", "on a console")
    w.write("root/dev/console")
    w.write("root/dev/null")
    os.symlink("/run/tmp", os.path.join(w.folder, "root/tmp"))
    w.make("LINUX_INITRAMFS_ROOT=" + os.path.join(w.folder, "root"), "GUEST_NAME=oci")
    found = entries(w.out("oci", "initramfs.cpio.gz"))
    check(found["dev/console"]["device"] == (5, 1) and found["dev/null"]["device"] == (1, 3), "there are files in the place of devices")
    check(found["tmp"]["data"] == b"/run/tmp", "the link /tmp is gone")
    w.boot("oci", "^on a console, on havoc$")


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
    w.make("IMAGE=my")  # what @NAME@ and ${NAME} stood for is remembered
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


EMPTY = lambda: by("cpio", "-o", "-H", "newc", "--quiet")(b"")  # noqa: E731

PACKERS = {
    "cpio": lambda data: data, "gz": gzip.compress, "xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    "zst": by("zstd", "-c"), "lz4": by("lz4", "-l", "-c"),
    # As distributions do: an archive, then a packed one.
    "two": lambda data: EMPTY() + bytes(512) + gzip.compress(data),
    # What has no end of its own, and is followed by zeros and by another.
    "padded-zst": lambda data: by("zstd", "-qc")(EMPTY()) + bytes(4) + by("zstd", "-qc")(data) + bytes(508),
    "padded-lz4": lambda data: by("lz4", "-l", "-c")(EMPTY()) + bytes(8) + by("lz4", "-l", "-c")(data) + bytes(512),
}


# ---- KERNEL: nothing is made, and nothing need be written ----

def own_kernel(w):
    w.make("PROGRAM=" + w.write("p.c", says("own")))
    os.rename(w.out("p", "bzImage"), os.path.join(w.folder, "my kernel=1"))
    os.rename(w.out("p", "initramfs.cpio.gz"), os.path.join(w.folder, "its initrd"))
    w.boot("own", "the guest gets 512 MiB", r'Command line: console=ttyS0 "mark=a b" panic=-1', "^own, on ", timeout=200,
           argv=["make", "run", "BUILD=" + w.env.build, "KERNEL=%s/my kernel=1" % w.folder,
                 "INITRD=%s/its initrd" % w.folder, 'CMDLINE=console=ttyS0 mark="a b" panic=-1'])


CASES = [
    ("kernel", own_kernel, 20),
    ("program-c", program_c, 20), ("program-static", program_static, 10), ("program-headers", program_linux_headers, 10),
    ("root-classic", root_classic, 20), ("root-init", root_init, 10), ("root-kept", root_kept), ("root-program", root_program, 10),
    ("root-unpacked", root_unpacked, 10),
    ("list", list_in, 10), ("list-over-root", list_over_root, 10),
    *(("image-" + name, ready_image(pack), 15) for name, pack in PACKERS.items()),
]
