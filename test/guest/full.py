# SPDX-License-Identifier: MIT
"""What needs another whole kernel (`make test-full`): the rest of the catalogue, other versions and trees, every compression,
and a build from nothing that is killed half way and must end in the same bytes."""
import glob
import os
import re
import subprocess
import time

from harness import core
from harness.core import Failure
from harness.emulator import Machine

from ways import check, says

SVM_2 = Machine("qemu", "max", cpus=2)
BOCHS_2 = Machine("bochs", "broadwell_ult", cpus=2)


def tiny_smp(w):
    w.make("IMAGE=tiny-smp", timeout=5400)
    text = w.boot("tiny-smp", "^pinned: 2 CPUs$", "^hello from CPU 0$", "^hello from CPU 0$", cpus=2)
    check("hello from CPU 1" in text, "nothing came from CPU 1")
    # Under the hypervisor what is printed comes by the hypercall; one CPU unless it is told otherwise.
    for machine in (SVM_2, BOCHS_2):
        w.boot_havoc("tiny-smp", "^pinned: 1 CPU\r?$", "^hello from CPU 0\r?$", options="hypercall.console=on", machine=machine)
        w.boot_havoc("tiny-smp", "^pinned: 2 CPUs\r?$", "^hello from CPU 0\r?$", "^hello from CPU 1\r?$", "^hello from CPU 0\r?$",
                     options="hypercall.console=on cpus=2", machine=machine)


def virt(w):
    w.make("IMAGE=virt", timeout=5400)
    w.write("files/greeting", "from the disk\n")
    disk = os.path.join(w.folder, "disk.img")
    w.run("/sbin/mke2fs", "-q", "-t", "ext4", "-d", os.path.join(w.folder, "files"), disk, "8M")
    typed = "mount /dev/vda /mnt && cat /mnt/greeting; ip addr show eth0; echo by hvc >/dev/hvc0; head -c 4 /dev/hwrng | wc -c; poweroff -f\n"
    text = w.boot("virt", r"^virt: 2 CPUs, disks: vda, network: eth0$", r"^havoc:/root# ", cpus=2, typed=typed, ends=True, arguments=(
        "-drive", "if=none,id=d,format=raw,file=" + disk, "-device", "virtio-blk-pci,drive=d", "-device", "virtio-serial-pci",
        "-chardev", "file,id=c,path=" + os.path.join(w.folder, "hvc0.txt"), "-device", "virtconsole,chardev=c"))
    check("from the disk\n" in text, "the disk cannot be read")
    check(re.search(r"inet 10\.0\.2\.15", text), "the network has no address")
    check(re.search(r"^4$", text, re.M), "there are no random numbers")
    with open(os.path.join(w.folder, "hvc0.txt")) as f:
        check("by hvc" in f.read(), "nothing came from the virtio console")
    w.boot_havoc("virt", r"^virt: 1 CPUs, disks:, network:\r?$", r"^havoc:/root# ")
    for machine in (SVM_2, BOCHS_2):
        w.boot_havoc("virt", r"^virt: 2 CPUs, disks:, network:\r?$", r"^havoc:/root# ", options="cpus=2", machine=machine)


def version_6_12(w):
    w.make("LINUX_VERSION=6.12", "PROGRAM=" + w.write("p.c", says("on 6.12")), timeout=5400)
    w.boot("p", r"Linux version 6\.12\.", "^on 6.12, on havoc$")
    w.boot_havoc("p", r"Linux version 6\.12\.", "^on 6.12, on havoc\r?$")
    w.refused(r"CONFIG_EXT4_FS depends on CONFIG_BLOCK: not so here: CONFIG_BLOCK", "LINUX_VERSION=6.12",
              "LINUX_CONFIG_IN=" + w.write("x.config", "CONFIG_EXT4_FS=y\n"))


def source():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    found = sorted(glob.glob(os.path.join(cache, "havoc/src/linux-source-6.1_*")))
    if not found:
        raise core.Broken("there is no 6.1 in the cache")
    return found[-1]


def own_tree(w):
    """LINUX_SRC, with a whole .config as LINUX_CONFIG_IN; then a change in the tree."""
    w.run("cp", "-a", source(), os.path.join(w.folder, "linux"))
    w.make("PROGRAM=" + w.write("p.c", says("own tree")))
    with open(w.out("p", "config")) as f:
        whole = w.write("whole.config", f.read().replace('CONFIG_DEFAULT_HOSTNAME="havoc"', 'CONFIG_DEFAULT_HOSTNAME="@OWN_NAME@"'))
    words = ("PROGRAM=" + os.path.join(w.folder, "p.c"), "LINUX_SRC=" + os.path.join(w.folder, "linux"), "LINUX_CONFIG_IN=" + whole, "OWN_NAME=whole")
    w.make(*words, timeout=5400)
    w.boot("p", "^own tree, on whole$")
    for name in glob.glob(os.path.join(w.folder, "linux/init/version*.c")):
        w.run("sed", "-i", "s/Linux version /Linux changed version /", name)
    w.make(*words, timeout=5400)
    w.boot("p", "Linux changed version", "^own tree, on whole$")
    # What does not compile: the log's end, its path, a sentence.
    w.write("linux/init/version.c", "this is no C\n")
    w.refused(r"building the guest kernel from \S+ failed, the log is \S+/log/kernel-\w+\.log", *words)
    check("init/version.c:1" in w.said(), "the end of the log is not shown")


def compressions(w):
    program = "PROGRAM=" + w.write("p.c", says("unpacked"))
    for name in ("GZIP", "XZ", "ZSTD", "BZIP2", "LZMA"):
        w.make(program, "KERNEL_COMPRESSION=" + name, timeout=5400)
        with open(w.out("p", "config")) as f:
            check("CONFIG_KERNEL_%s=y\n" % name in f.read(), name + " is not in the configuration")
        w.boot("p", "^unpacked, on havoc$", timeout=180)


def from_nothing(w):
    """A cache of its own, killed half way, gone on with, other folders, no ccache: the same bytes as the usual cache's."""
    w.make()
    cache = os.path.join(w.folder, "cache")
    os.makedirs(os.path.join(cache, "havoc"))
    os.symlink(os.path.dirname(source()), os.path.join(cache, "havoc/src"))
    usual, w.build = w.build, os.path.join(w.folder, "from/nothing")
    environment = {"XDG_CACHE_HOME": cache, "CCACHE_DISABLE": "1"}
    with open(w.log, "ab") as out:
        child = core.children.start(["make", "--no-print-directory", "guest", "BUILD=" + w.build], stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                    env={**os.environ, **core.CLEAN_MAKE, **environment})
    deadline = time.monotonic() + 1800 * w.env.scale
    while len(glob.glob(os.path.join(cache, "havoc/objects/*/*/*.o"))) < 100:
        if child.poll() is not None or time.monotonic() > deadline:
            core.children.stop(child)
            raise Failure("the build did not get half way", w.log)
        time.sleep(1)
    core.children.stop(child)
    check(not glob.glob(w.out("tiny", "bzImage")), "an interrupted build left a kernel")
    w.make(env=environment, timeout=5400)
    for name in ("bzImage", "vmlinux", "config", "initramfs.cpio.gz", "manifest.json"):
        w.run("cmp", os.path.join(usual, "guest/tiny", name), w.out("tiny", name))


CASES = [
    ("tiny-smp", tiny_smp, 600, True), ("virt", virt, 900, True), ("version-6.12", version_6_12, 900, True), ("own-tree", own_tree, 900, True),
    ("compressions", compressions, 200, True), ("from-nothing", from_nothing, 600, True),
]
