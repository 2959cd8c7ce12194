# SPDX-License-Identifier: MIT
"""What `make guest` does beside the way in: the kernel's variables, the catalogue, the ISO, what is built again and what is
not. `kernel-variables` and `two-at-once` change a few objects of the tiny kernel; none needs another one."""
import fcntl
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import threading
import time

from harness import core
from harness.core import Failure
from harness.emulator import Machine, Running

from ways import check, says


def kernel_variables(w):
    """LINUX_CONFIG_IN with @VAR@ from guest.mk, KERNEL_COMPRESSION, LINUX_EMBED, LINUX_CMDLINE: one kernel for all."""
    w.write("project/a name.config", '# A fragment; @THIS@ is a comment.\nCONFIG_DEFAULT_HOSTNAME="@GUEST_HOST@@BASE2@"\nCONFIG_SIGNALFD=y\n')
    w.write("project/last.config", "# CONFIG_SIGNALFD is not set\n")
    w.write("project/prog.c", says("inside"))
    w.write("project/guest.mk", "PROGRAM = prog.c   # with blanks before this\noverride BASE2 = ated\nLINUX_CONFIG_IN = 'a name.config' last.config\nBASE = templ\nGUEST_HOST = $(BASE)\n")
    w.make("GUEST_DIR=" + os.path.join(w.folder, "project"), "KERNEL_COMPRESSION=gzip", "LINUX_EMBED=1",
           env={"LINUX_CMDLINE": "console=ttyS0 panic=-1 reboot=t marker=17\nlast"})
    with open(w.out("prog", "config")) as f:
        config = f.read()
    for line in ('CONFIG_DEFAULT_HOSTNAME="templated"', "# CONFIG_SIGNALFD is not set", "CONFIG_KERNEL_GZIP=y"):
        check(line in config.split("\n"), "not in the kernel's configuration: " + line)
    check(os.path.getsize(w.out("prog", "initramfs.cpio.gz")) == 0, "there is an initramfs beside the one inside")
    w.boot("prog", "Command line: .*marker=17 last", "^inside, on templated$")
    w.boot("prog", "^inside, on templated$", kernel="vmlinux")
    w.boot_havoc("prog", "Command line: .*marker=17 last", "^inside, on templated\r?$")
    # A change of userspace is in the kernel, and nothing else changes.
    w.write("project/prog.c", says("changed"))
    w.make("GUEST_DIR=" + os.path.join(w.folder, "project"), "KERNEL_COMPRESSION=gzip", "LINUX_EMBED=1")
    w.boot("prog", "^changed, on templated$")


def pvh(w):
    w.make("PROGRAM=" + w.write("p.c", says("by PVH")))
    w.boot("p", "^by PVH, on havoc$", kernel="vmlinux")


def called_elsewhere(w):
    """Relative paths are relative to where make -C was called, also where the clone has files of these names; without -C what
    PWD says is nothing."""
    for name, text in (("clone/p.c", "the clone"), ("project/p.c", "the project")):
        w.write(name, says(text))
    for name in ("Makefile", "mk", "tools", "guest"):
        w.run("cp", "-r", name, os.path.join(w.folder, "clone"))
    clone, project = os.path.join(w.folder, "clone"), os.path.join(w.folder, "project")
    make = ["make", "--no-print-directory"]

    def made(text):
        with gzip.open(os.path.join(clone, "build/guest/p/initramfs.cpio.gz")) as f:
            check(text in f.read(), "it is not made of the file of " + text.decode())
    w.run(*make, "-C", clone, "guest", "PROGRAM=p.c", cwd=project, env={**w.clean(), "PWD": project})
    made(b"the project")
    w.run(*make, "guest", "PROGRAM=p.c", cwd=clone, env={**w.clean(), "PWD": project})
    made(b"the clone")
    w.write("project/guest.mk", "PROGRAM = p.c\n")
    w.run(*make, "-sC../clone", "guest", "GUEST_DIR=.", cwd=project, env={**w.clean(), "PWD": project})
    made(b"the project")


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
    with Running(w.env, Machine("qemu", "max"), os.path.join(w.folder, "havoc.iso"), w.folder, 300) as running:
        if not running.console.expect(r"^from the ISO, on havoc", 120 * w.env.scale):
            raise Failure("the ISO does not start the program", running.console.path)
    os.remove(os.path.join(w.folder, "havoc.iso"))


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


def mistakes(w):
    """A mistake changes nothing of a guest that is there, and make says nothing of deleting it."""
    source = w.write("p.c", says("first"))
    w.make("PROGRAM=" + source)
    before = stamps(w, "p")
    w.write("p.c", says("second"))
    w.write("unknown.config", "CONFIG_NO_SUCH_SYMBOL=y\n")
    for word in ("IMAGE=nope", "KERNEL_COMPRESSION=FOO", "LINUX_INIT=/bin/nope", "LINUX_VERSION=1.0", "OCI=" + source,
                 "LINUX_CONFIG_IN=" + os.path.join(w.folder, "unknown.config")):
        status, text = w.call("PROGRAM=" + source, "GUEST_NAME=p", word)
        check(status != 0 and "havoc: " in text, word + " is not refused")
        check("Deleting" not in text, "make deletes the guest that was there: " + word)
        check(stamps(w, "p") == before, "a mistake changes the guest: " + word)
    w.make("PROGRAM=" + source)
    check(stamps(w, "p") != before, "the mistake is in the way of the next build")


def manifest(w):
    """Hashes and sizes are those of the files; two builds in two folders are the same bytes."""
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


def goals(w):
    """Several goals of one call come one after the other, also with -j; each waits for another make in its build folder."""
    product = os.path.join(w.build, "gen/dsdt.S")
    make = ["make", "--no-print-directory", "-j4", "BUILD=" + w.build]
    w.run(*make, "clean", product, "clean", product, env=w.clean())
    check(os.path.exists(product), "clean and what came after it were made at once")
    w.run(*make, "clean", env=w.clean())
    os.makedirs(w.build)
    with open(os.path.join(w.build, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with open(w.log, "ab") as out:
            child = core.children.start([*make, product], stdout=out, stderr=out, stdin=subprocess.DEVNULL, env={**os.environ, **w.clean()})
        deadline = time.monotonic() + 60 * w.env.scale
        while "another make is at work in %s/: waiting for it" % w.build not in w.said():
            check(child.poll() is None and time.monotonic() < deadline, "a file is made in spite of the lock")
            time.sleep(0.1)
        check(not os.path.exists(product), "it was not waited for")
    check(child.wait(60 * w.env.scale) == 0 and os.path.exists(product), "it did not go on")
    core.children.stop(child)


def try_values(w):
    """Before anything is made."""
    for word, sentence in (("MEM=abc", "MEM=abc: give a number with M or G"), ("MEM=1M", "from 32M"), ("CPUS=0", "CPUS=0: give a number from 1 to 64"),
                           ("CPUS=two", "CPUS=two: give")):
        before = len(w.said()) if os.path.exists(w.log) else 0
        status = core.command(["make", "--no-print-directory", "try", "BUILD=" + w.build, word], w.log, 60 * w.env.scale, env=w.clean())
        check(status not in (0, None) and sentence in w.said(before), word + " is not refused")
        check(not os.path.exists(os.path.join(w.build, "guest")), "something was made before " + word + " was refused")


def help_text(w):
    text = w.make("help", "LINUX_CMDLINE=quiet marker", env={"KERNEL_COMPRESSION": "XZ"})
    for name in ("IMAGE", "PROGRAM", "LINUX_INITRAMFS_ROOT", "LINUX_INITRAMFS_IN", "LINUX_INITRAMFS_IMAGE", "LINUX_CONFIG_IN", "LINUX_SRC",
                 "LINUX_VERSION", "LINUX_CMDLINE", "KERNEL_COMPRESSION", "LINUX_EMBED", "OCI", "LINUX_INIT", "GUEST_NAME"):
        check("\n  " + name + " " in text, "not in make guest help: " + name)
    check("[quiet marker]" in text and "[XZ]" in text and "[0]" in text, "make guest help does not show the values")
    check(not os.path.exists(os.path.join(w.build, "guest")), "make guest help built something")


CASES = [
    ("iso", iso, 60, True), ("kernel-variables", kernel_variables, 120), ("two-at-once", two_at_once, 90),
    ("pvh", pvh, 10), ("images", images, 15), ("new-image", new_image, 10), ("called-elsewhere", called_elsewhere, 10),
    ("unchanged", unchanged, 15), ("mistakes", mistakes, 10), ("manifest", manifest, 10), ("goals", goals), ("try-values", try_values),
    ("help", help_text),
]
