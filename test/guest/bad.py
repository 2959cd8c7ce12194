# SPDX-License-Identifier: MIT
"""What is wrong with an input is said in one sentence, before anything is built: which file and line, or which variable,
and what to do. Each row makes one mistake and names the sentence."""
import gzip
import lzma
import os
import struct
import subprocess

from harness.core import Failure, Skip

from container import layout
from ways import static_program


def refuse(pattern, *words, files=(), more=None):
    """A case: write the files, maybe do more, call make guest WORDS ({} is the case's folder), expect the sentence."""
    def run(w):
        for name, text in files:
            w.write(name, text)
        if more:
            more(w)
        w.refused(pattern.replace("{}", w.folder), *(word.replace("{}", w.folder) for word in words))
    return run


def programs(*names):
    return lambda w: [static_program(w, name, "x") for name in names]


def pipe(where):
    return lambda w: os.mkfifo(os.path.join(w.folder, where))


def dynamic(where):
    def run(w):
        w.write("x.c", "int main(void) { return 0; }\n")
        os.makedirs(os.path.dirname(os.path.join(w.folder, where)), exist_ok=True)
        w.run("gcc", "-o", os.path.join(w.folder, where), os.path.join(w.folder, "x.c"))
    return run


def archive(change):
    """A ready initramfs with a mistake: change(the plain archive) -> the file's bytes."""
    def more(w):
        w.make("PROGRAM=" + w.write("p.c", "int main(void) { return 0; }\n"))
        with gzip.open(w.out("p", "initramfs.cpio.gz")) as f:
            w.write("given", change(f.read()))
    return more


def image(pattern, change):
    return refuse("LINUX_INITRAMFS_IMAGE={}/given: " + pattern, "LINUX_INITRAMFS_IMAGE={}/given", more=archive(change))


def by(*command):
    return lambda data: subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout


def oci(members, config):
    return lambda w: layout(w, "image", members, config)


def config(pattern, text, *words):
    return refuse(pattern, "LINUX_CONFIG_IN={}/my fragment.config", *words, files=[("my fragment.config", text)])


# As patchelf leaves a program: the interpreter's name stands far behind.
FAR_INTERPRETER = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0) + \
    struct.pack("<IIQQQQQQ", 3, 4, 9000, 0, 0, 9, 9, 1) + bytes(9000)

ELF_LIST = "nod /dev/console 0600 0 0 c 5 1\n\nfile /init %s 0755 0 0\n"

MAKEFILE = "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 0\n"


def refused_iso(sentence, *words):
    """Before anything is compiled."""
    def run(w):
        from harness import core
        if core.command(["make", "iso", "BUILD=" + w.build, *words], w.log, 60, env=w.clean()) == 0 or \
                "havoc: " + sentence not in w.said() or os.path.exists(w.build):
            raise Failure("make iso %s is not refused" % " ".join(words), w.log)
    return run


ROWS = [
    # Variables
    ("image", refuse(r"IMAGE=tinny: there is no such image; there are: .*\btiny\b", "IMAGE=tinny")),
    ("name-of-catalogue", refuse(r"the name tiny, which is one of the catalogue.*GUEST_NAME=my-tiny", "PROGRAM={}/tiny.c", files=[("tiny.c", "")])),
    ("name", refuse(r"GUEST_NAME=a/b: use letters", "GUEST_NAME=a/b")),
    ("name-long", refuse(r"GUEST_NAME=a{110}: .*at most 100", "GUEST_NAME=" + "a" * 300)),
    ("init-of-image", refuse(r"LINUX_INIT=/bin/x: the image tiny has an /init of its own", "LINUX_INIT=/bin/x")),
    ("embed", refuse(r"LINUX_EMBED=yes: give 1 .* or 0", "LINUX_EMBED=yes")),
    ("compression", refuse(r"KERNEL_COMPRESSION=ZIP: choose one of GZIP ", "KERNEL_COMPRESSION=zip")),
    ("version", refuse(r"LINUX_VERSION=newest: give it as", "LINUX_VERSION=newest")),
    ("version-unknown", refuse(r"LINUX_VERSION=1\.0: .* no linux-source", "LINUX_VERSION=1.0")),
    ("src-missing", refuse(r"LINUX_SRC={}/none: there is no such folder", "LINUX_SRC={}/none")),
    ("src-no-linux", refuse(r"LINUX_SRC={} is no unpacked Linux", "LINUX_SRC={}")),
    ("src-spaces", refuse(r"Linux cannot be built from a path with spaces or colons: move it", "LINUX_SRC={}/my linux",
                          files=[("my linux/Makefile", MAKEFILE), ("my linux/Kconfig", "")])),
    ("src-built", refuse(r"LINUX_SRC={}/linux has been built in: .*make -C {}/linux mrproper", "LINUX_SRC={}/linux",
                         files=[("linux/Makefile", MAKEFILE), ("linux/Kconfig", ""), ("linux/.config", "")])),
    ("cache-spaces", lambda w: w.refused(r"Linux cannot be built in a path with spaces or colons \(%s/a b/havoc\): set XDG_CACHE_HOME" % w.folder,
                                         env={"XDG_CACHE_HOME": w.folder + "/a b"})),
    ("several-on-iso", refused_iso("IMAGE=tiny shell: one guest goes into the image: name one; several are described in a text file: CONF=", "IMAGE=tiny shell")),
    ("conf-missing", refused_iso("CONF=no such.conf: there is no such file", "CONF=no such.conf")),
    ("conf-and-program", refused_iso("CONF=guest/demo.conf: it says which guests there are; leave out PROGRAM", "CONF=guest/demo.conf", "PROGRAM=x.c")),
    ("kernel-missing", refused_iso("KERNEL=no such: there is no such file, or it is empty, or may not be read", "KERNEL=no such")),
    ("kernel-folder", refused_iso("KERNEL=/tmp: there is no such file", "KERNEL=/tmp")),
    ("kernel-initrd-missing", refused_iso("INITRD=no such: there is no such file", "KERNEL=README.md", "INITRD=no such")),
    ("kernel-and-image", refused_iso("KERNEL=README.md: this is a guest by itself; leave out IMAGE", "KERNEL=README.md", "IMAGE=tiny")),
    ("kernel-and-conf", refused_iso("KERNEL=README.md: this is a guest by itself; leave out CONF", "KERNEL=README.md", "CONF=guest/demo.conf")),
    ("initrd-alone", refused_iso("INITRD goes with KERNEL=FILE", "INITRD=README.md")),
    ("cmdline-alone", refused_iso("CMDLINE goes with KERNEL=FILE", "CMDLINE=quiet")),
    ("cmdline-long", refuse(r"LINUX_CMDLINE has 2[0-9]{3} characters", "LINUX_CMDLINE=" + "x" * 2100)),
    ("guest.mk", refuse(r"PROGRAM=no/such.c: there is no such file in {}$", "GUEST_DIR={}", files=[("guest.mk", "PROGRAM = no/such.c\n")])),

    ("guest-dir", refuse(r"GUEST_DIR={}/none: there is no guest\.mk in it", "GUEST_DIR={}/none")),
    ("build-spaces", refuse("BUILD: make cannot build in a folder whose name has spaces or colons", "BUILD={}/a b")),
    ("misspelt", refuse(r"PROGRM is no variable of Havoc's: did you mean PROGRAM\?", "PROGRM=hello.c", "LINUX_EMBED=yes")),
    ("relative", refuse(r"PROGRAM=none/p\.c: there is no such file in %s$" % os.getcwd(), "PROGRAM=none/p.c")),

    # PROGRAM
    ("program-missing", refuse(r"PROGRAM={}/p.c: there is no such file", "PROGRAM={}/p.c")),
    ("program-folder", refuse(r"PROGRAM={} is a folder: give it as LINUX_INITRAMFS_ROOT", "PROGRAM={}")),
    ("program-compile", refuse(r"p.c does not compile:.*p\.c:1:", "PROGRAM={}/p.c", files=[("p.c", "int main(void) { return x; }\n")])),
    ("program-script", refuse(r"is a script: it needs /bin/sh beside it", "PROGRAM={}/p", files=[("p", "#!/bin/sh\n")])),
    ("program-text", refuse(r"is neither a C file \(\.c\) nor an ELF program", "PROGRAM={}/p", files=[("p", "hello\n")])),
    ("program-dynamic", refuse(r"is dynamically linked \(it needs /lib64/ld-linux-x86-64\.so\.2\): link it with -static", "PROGRAM={}/p", more=dynamic("p"))),
    ("program-patched", refuse(r"is dynamically linked \(it needs an interpreter\)", "PROGRAM={}/p", files=[("p", FAR_INTERPRETER)])),
    ("program-32-bit", refuse(r"is a 32-bit program", "PROGRAM={}/p", files=[("p", b"\x7fELF\1\1\1" + bytes(99))])),
    ("program-other-cpu", refuse(r"is a program for another kind of CPU", "PROGRAM={}/p", files=[("p", b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\xb7\0" + bytes(99))])),

    ("program-pipe", refuse(r"PROGRAM={}/pipe is a pipe or a device: give a file", "PROGRAM={}/pipe", more=pipe("pipe"))),
    ("program-over-folder", refuse(r"PROGRAM={}/p.c: /init is a folder with /init/x in it", "PROGRAM={}/p.c", "LINUX_INITRAMFS_ROOT={}/root",
                                   files=[("p.c", "int main(void) { return 0; }\n"), ("root/init/x", "")])),

    # LINUX_INITRAMFS_ROOT
    ("root-missing", refuse(r"LINUX_INITRAMFS_ROOT={}/none: there is no such folder", "LINUX_INITRAMFS_ROOT={}/none")),
    ("root-file", refuse(r"this is no folder: a ready initramfs is given as LINUX_INITRAMFS_IMAGE", "LINUX_INITRAMFS_ROOT={}/f", files=[("f", "")])),
    ("root-around-build", refuse(r"LINUX_INITRAMFS_ROOT={}: the guests are built inside it", "LINUX_INITRAMFS_ROOT={}")),
    ("root-no-init", refuse(r"{}/root has no /init and no program that could be it", "LINUX_INITRAMFS_ROOT={}/root", files=[("root/etc/motd", "x")])),
    ("root-many", refuse(r"has no /init and 2 programs: say which one to start, for example LINUX_INIT=/a .*there are: /a /usr/b", "LINUX_INITRAMFS_ROOT={}/root",
                         more=programs("root/a", "root/usr/b"))),
    ("root-init-wrong", refuse(r"LINUX_INIT=/bin/c: there is no such file in {}/root; its programs are: /a", "LINUX_INITRAMFS_ROOT={}/root", "LINUX_INIT=/bin/c",
                               more=programs("root/a"))),
    ("root-dynamic", refuse(r"/init needs /lib64/ld-linux-x86-64\.so\.2, which is not in the root", "LINUX_INITRAMFS_ROOT={}/root", more=dynamic("root/init"))),
    ("root-script", refuse(r"/init needs /bin/bash, which is not in the root", "LINUX_INITRAMFS_ROOT={}/root",
                           more=lambda w: w.write("root/init", "#!/bin/bash\n", 0o755))),
    ("root-not-executable", refuse(r"/init is not marked executable.*chmod \+x", "LINUX_INITRAMFS_ROOT={}/root", files=[("root/init", "#!/bin/sh\n")])),
    ("root-dangling", refuse(r"/init links to /sbin/none, which is not there", "LINUX_INITRAMFS_ROOT={}/root",
                             more=lambda w: (os.mkdir(w.folder + "/root"), os.symlink("/sbin/none", w.folder + "/root/init")))),
    ("root-init-folder", refuse(r"/init is a folder, so the kernel cannot start it", "LINUX_INITRAMFS_ROOT={}/root", files=[("root/init/x", "")])),
    ("root-init-root", refuse(r"{}/root: / is a folder, so the kernel cannot start it", "LINUX_INITRAMFS_ROOT={}/root", "LINUX_INIT=/", files=[("root/x", "")])),
    ("root-trailer", refuse(r"{}/root/TRAILER!!!: an archive cannot hold the name", "LINUX_INITRAMFS_ROOT={}/root", "LINUX_INIT=/init",
                            files=[("root/TRAILER!!!", "")], more=programs("root/init"))),
    ("root-dev-file", refuse(r"{}/root: its /dev is no folder", "LINUX_INITRAMFS_ROOT={}/root", files=[("root/dev", "")])),
    ("root-dev-dangling", refuse(r"{}/root: its /dev is a link to what is not there", "LINUX_INITRAMFS_ROOT={}/root",
                                 more=lambda w: (os.mkdir(w.folder + "/root"), os.symlink("none", w.folder + "/root/dev")))),

    # LINUX_INITRAMFS_IN
    ("list-missing", refuse(r"LINUX_INITRAMFS_IN={}/l: there is no such file", "LINUX_INITRAMFS_IN={}/l")),
    ("list-file-missing", refuse(r"{}/l:3: there is no file {}/prog", "LINUX_INITRAMFS_IN={}/l", files=[("l", ELF_LIST % "prog")])),
    ("list-var", refuse(r"{}/l:3: @PROG@ has no value: give one, for example make guest PROG=", "LINUX_INITRAMFS_IN={}/l", files=[("l", ELF_LIST % "@PROG@")])),
    ("list-unterminated", refuse(r"{}/l:3: @PROG has no second @", "LINUX_INITRAMFS_IN={}/l", files=[("l", ELF_LIST % "@PROG/x")])),
    ("list-kind", refuse(r"{}/l:1: link is no kind of line: choose from file dir slink", "LINUX_INITRAMFS_IN={}/l", files=[("l", "link /a b 0777 0 0\n")])),
    ("list-short", refuse(r"{}/l:2: a line of this kind is: dir NAME MODE UID GID", "LINUX_INITRAMFS_IN={}/l", files=[("l", "# one\ndir /a 0755\n")])),
    ("list-mode", refuse(r"{}/l:1: 0798 is no mode", "LINUX_INITRAMFS_IN={}/l", files=[("l", "dir /a 0798 0 0\n")])),
    ("list-device", refuse(r"{}/l:1: x is no device type", "LINUX_INITRAMFS_IN={}/l", files=[("l", "nod /a 0600 0 0 x 1 3\n")])),
    ("list-above", refuse(r"{}/l:1: the path /\.\./etc/passwd leaves the root", "LINUX_INITRAMFS_IN={}/l", files=[("l", "dir /../etc/passwd 0755 0 0\n")])),
    ("list-twice", refuse(r"{}/l:2: /a is there already, by {}/l:1", "LINUX_INITRAMFS_IN={}/l", files=[("l", "slink /a b 0777 0 0\nslink a c 0777 0 0\n")])),
    ("list-under-file", refuse(r"{}/l:2: /l is no folder, so /l/x cannot be in it", "LINUX_INITRAMFS_IN={}/l", files=[("l", "file /l l 0644 0 0\ndir /l/x 0755 0 0\n")])),
    ("list-over-folder", refuse(r"{}/l:2: /l is a folder with /l/x in it", "LINUX_INITRAMFS_IN={}/l", files=[("l", "file /l/x l 0644 0 0\nfile /l l 0644 0 0\n")])),
    ("list-pipe", refuse(r"LINUX_INITRAMFS_IN={}/pipe is a pipe or a device", "LINUX_INITRAMFS_IN={}/pipe", more=pipe("pipe"))),
    ("list-dangling", refuse(r"{}/l:2: /bin links to usr/bin, which is not there \(yet\)", "LINUX_INITRAMFS_IN={}/l",
                             files=[("l", "slink /bin usr/bin 0777 0 0\nfile /bin/l l 0644 0 0\n")])),
    ("list-quote", refuse(r"{}/l:1: a quote is not closed", "LINUX_INITRAMFS_IN={}/l", files=[("l", 'dir "/a 0755 0 0\n')])),

    # LINUX_INITRAMFS_IMAGE
    ("image-missing", refuse(r"LINUX_INITRAMFS_IMAGE={}/none: there is no such file", "LINUX_INITRAMFS_IMAGE={}/none")),
    ("image-pipe", refuse(r"LINUX_INITRAMFS_IMAGE={}/pipe is a pipe or a device", "LINUX_INITRAMFS_IMAGE={}/pipe", more=pipe("pipe"))),
    ("image-folder", refuse(r"LINUX_INITRAMFS_IMAGE={} is a folder: give it as LINUX_INITRAMFS_ROOT", "LINUX_INITRAMFS_IMAGE={}")),
    ("image-empty", image("it is empty", lambda data: b"")),
    ("image-text", image("it is no cpio archive in the form newc", lambda data: b"#!/bin/sh\n")),
    ("image-cut", image(r"it is cut off at byte 1000, \d+ bytes too early", lambda data: data[:1000])),
    ("image-cut-gz", image("its gzip data are cut off", lambda data: gzip.compress(data)[:-100])),
    ("image-damaged-gz", image("its packed data are damaged", lambda data: gzip.compress(data)[:-8] + bytes(8))),
    ("image-header", image("the entry's header at byte 0 is damaged", lambda data: data[:20] + b"xyz" + data[23:])),
    ("image-above", image(r"its entry \.\./x leaves the root", lambda data: data.replace(b"init\0", b"../x\0", 1) if b"init\0" in data else b"")),
    ("image-no-init", image("there is no /init in it", lambda data: data.replace(b"init\0", b"rest\0", 1))),
    ("image-lz4-frame", image("it is packed in lz4's newer format.*lz4 -l", by("lz4", "-c"))),
    ("image-xz-crc64", image("its xz data have a checksum that the kernel does not know.*--check=crc32", lzma.compress)),
    ("image-bzip2", image("it is packed with bzip2: pack it with gzip", by("bzip2", "-c"))),
    ("image-zst", image("its zstd data are cut off", lambda data: by("zstd", "-c")(data)[:-100])),
    ("image-zst-damaged", image("zstd cannot unpack it", lambda data: by("zstd", "-c")(data)[:-4] + bytes(4))),
    ("image-lz4", image("its lz4 data are cut off", lambda data: by("lz4", "-l", "-c")(data)[:-100])),
    ("image-lz4-followed", image("its lz4 data are cut off, or followed by something else without four zero bytes", lambda data: by("lz4", "-l", "-c")(data) + gzip.compress(data))),

    # LINUX_CONFIG_IN
    ("config-missing", refuse(r"LINUX_CONFIG_IN={}/none: there is no such file", "LINUX_CONFIG_IN={}/none")),
    ("config-folder", refuse(r"LINUX_CONFIG_IN={} is a folder: give a kernel configuration", "LINUX_CONFIG_IN={}")),
    ("config-var", config(r"my fragment\.config:2: @OWN_NAME@ has no value: give one, for example make guest OWN_NAME=", '\nCONFIG_DEFAULT_HOSTNAME="@OWN_NAME@"\n')),
    ("config-unterminated", config(r"my fragment\.config:1: @HOST has no second @", 'CONFIG_DEFAULT_HOSTNAME="@HOST"\n')),
    ("config-line", config(r"my fragment\.config:2: this is neither CONFIG_NAME=value", "CONFIG_SMP=y\nSMP = y\n")),
    ("config-unknown", config(r"my fragment\.config:1: CONFIG_VIRTIO_BLOCK is not known: did you mean ", "CONFIG_VIRTIO_BLOCK=y\n")),
    ("config-depends", config(r"my fragment\.config:1: CONFIG_EXT4_FS depends on CONFIG_BLOCK: not so here: CONFIG_BLOCK", "CONFIG_EXT4_FS=y\n")),
    ("config-no-prompt", config(r"CONFIG_RATIONAL cannot be asked for: it has no prompt", "CONFIG_RATIONAL=y\n")),
    ("config-selected", config(r"CONFIG_XZ_DEC cannot be off: it is selected by CONFIG_DECOMPRESS_XZ$", "# CONFIG_XZ_DEC is not set\n")),

    # OCI
    ("oci-missing", refuse(r"OCI={}/none: there is no such file or folder", "OCI={}/none")),
    ("oci-pipe", refuse(r"OCI={}/pipe is a pipe or a device", "OCI={}/pipe", more=pipe("pipe"))),
    ("oci-folder", refuse(r"OCI={}/root: this folder is no OCI image layout", "OCI={}/root", files=[("root/x", "")])),
    ("oci-text", refuse(r"OCI={}/f: this is no archive that `docker save` writes", "OCI={}/f", files=[("f", "text")])),
    ("oci-tags", refuse(r"there are 2 images in it: say which, for example OCI={}/image:a", "OCI={}/image",
                        more=lambda w: layout(w, "image", [], {}, tags=("a", "b")))),
    ("oci-tag", refuse(r"there is no such tag; there are: latest", "OCI={}/image:new", more=oci([], {}))),
    ("oci-nothing-to-start", refuse(r"the image names no program", "OCI={}/image", more=oci([("etc", 0o755, 0, 0, None)], {}))),
    ("oci-program-missing", refuse(r"its program app is in none of the folders of its PATH", "OCI={}/image",
                                   more=oci([("etc", 0o755, 0, 0, None)], {"Cmd": ["app"]}))),
    ("oci-above", refuse(r"a layer has the path \.\./\.\./escaped, which leaves the root: the image is refused", "OCI={}/image",
                         more=oci([("../../escaped", 0o644, 0, 0, b"x")], {"Cmd": ["app"]}))),
    ("oci-damaged", refuse(r"OCI={}/image: ", "OCI={}/image", more=lambda w: damage(w, layout(w, "image", [("etc", 0o755, 0, 0, None)], {"Cmd": ["x"]})))),
    ("oci-and-program", refuse(r"OCI and PROGRAM both say what /init is", "OCI={}/image", "PROGRAM={}/p.c", files=[("p.c", "")],
                               more=oci([("etc", 0o755, 0, 0, None)], {"Cmd": ["app"]}))),
]


def damage(_w, folder):
    """The largest blob loses its end."""
    blobs = os.path.join(folder, "blobs/sha256")
    path = max((os.path.join(blobs, name) for name in os.listdir(blobs)), key=os.path.getsize)
    os.truncate(path, os.path.getsize(path) - 20)


# ---- The machine's own troubles ----

def on_small_disk(w, folder, *words, env=None):
    """make guest in a mount namespace where `folder` is 4 MB large; no root is needed."""
    os.makedirs(folder, exist_ok=True)
    script = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'
    probe = subprocess.run(["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$0"', folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if probe.returncode:
        raise Skip("no mount namespace here: " + probe.stderr.decode().strip())
    return w.call(*words, env=env, prefix=("unshare", "-rm", "sh", "-c", script, folder))


def unreadable(w):
    """What the user may not read is named; root, who may read all, is somebody else here."""
    w.write("p.c", "int main(void) { return 0; }\n", 0)
    w.write("file", "x", 0)
    w.write("root/secret", "x", 0)
    static_program(w, "root/init", "x")
    w.write("closed/p.c")
    prefix = ()
    if os.getuid() == 0:
        w.run("chown", "-R", "65534", w.folder)
        prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        if subprocess.run([*prefix, "test", "-w", w.folder, "-a", "-r", "Makefile"], check=False).returncode:
            raise Skip("the folders above are closed to others than root")
    os.chmod(os.path.join(w.folder, "closed"), 0)
    try:
        for words, sentence in ((["PROGRAM={}/p.c"], "cannot read PROGRAM={}/p.c: Permission denied"),
                                (["PROGRAM={}/closed/p.c"], "cannot read PROGRAM={}/closed/p.c: Permission denied"),
                                (["LINUX_INITRAMFS_ROOT={}/root"], "cannot read {}/root/secret: Permission denied"),
                                (["LINUX_INITRAMFS_IN={}/file"], "cannot read LINUX_INITRAMFS_IN={}/file: Permission denied"),
                                (["LINUX_INITRAMFS_IMAGE={}/file"], "cannot read LINUX_INITRAMFS_IMAGE={}/file: Permission denied"),
                                (["LINUX_CONFIG_IN={}/file"], "cannot read the configuration {}/file: Permission denied"),
                                (["OCI={}/file"], "cannot read OCI={}/file: Permission denied"),
                                (["BUILD={}/closed/build"], "cannot write to {}/closed/build: set BUILD")):
            w.refused(sentence.replace("{}", w.folder), *(word.replace("{}", w.folder) for word in words), prefix=prefix)
    finally:
        os.chmod(os.path.join(w.folder, "closed"), 0o700)


def full_cache(w):
    cache = os.path.join(w.folder, "cache")
    status, text = on_small_disk(w, cache, env={"XDG_CACHE_HOME": cache})
    if status == 0 or "no space left for Linux's source: it needs" not in text or "Traceback" in text:
        raise Failure("a full cache is not told", w.log)


def full_build(w):
    w.write("root/large", os.urandom(8 << 20))
    static_program(w, "root/init", "x")
    status, text = on_small_disk(w, w.build, "LINUX_INITRAMFS_ROOT=" + os.path.join(w.folder, "root"))
    if status == 0 or "havoc: no space left on the disk" not in text or "Traceback" in text:
        raise Failure("a full disk is not told", w.log)


# An apt whose download breaks off the first time, and is damaged the second.
APT_GET = r"""#!/bin/sh
[ "$1" = -q ] && shift
[ "$1" = download ] || exit 100
n=$(cat "$STATE/count" 2>/dev/null || echo 0)
echo $((n + 1)) >"$STATE/count"
case $n in
0) head -c 100 "$STATE/good" >thing_1.0_amd64.deb; exit 100 ;;
1) head -c 100 "$STATE/good" >thing_1.0_amd64.deb ;;
*) cp "$STATE/good" thing_1.0_amd64.deb ;;
esac
"""
APT_CACHE = r"""#!/bin/sh
case $1 in
policy) printf 'thing:\n  Installed: (none)\n  Candidate: 1.0\n' ;;
show) printf 'Package: thing\nVersion: 1.0\nArchitecture: amd64\nSHA256: %s\n' "$(sha256sum <"$STATE/good" | cut -d ' ' -f 1)" ;;
esac
"""


def interrupted_download(w):
    """A partial file is noticed by its hash, never used, and fetched again."""
    from harness import core
    state = os.path.dirname(w.write("state/good", os.urandom(5000)))
    w.write("bin/apt-get", APT_GET, 0o755)
    w.write("bin/apt-cache", APT_CACHE, 0o755)
    env = {"PATH": os.path.join(w.folder, "bin") + ":" + os.environ["PATH"], "STATE": state}
    target = os.path.join(w.folder, "cache/thing_1.0_amd64.deb")

    def fetch():
        return core.command(["tools/fetch-deb", "thing", os.path.join(w.folder, "cache")], w.log, 60, env=env)
    for why in ("could not fetch thing 1.0", "does not have the hash"):
        if fetch() == 0 or why not in w.said() or os.path.exists(target):
            raise Failure("a broken download is not refused", w.log)
    for _ in range(2):
        if fetch() != 0:
            raise Failure("the third try fails", w.log)
        w.run("cmp", os.path.join(state, "good"), target)
    # One that was whole and is damaged now.
    os.truncate(target, 2000)
    if fetch() != 0:
        raise Failure("a damaged file in the cache is in the way", w.log)
    w.run("cmp", os.path.join(state, "good"), target)
    with open(os.path.join(state, "count")) as f:
        if f.read().strip() != "4":
            raise Failure("a good file was fetched again")


CASES = [("bad/" + name, function) for name, function in ROWS] + [
    ("unreadable", unreadable), ("no-space/cache", full_cache), ("no-space/build", full_build, 10), ("interrupted-download", interrupted_download)]
