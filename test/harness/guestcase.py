# SPDX-License-Identifier: MIT
"""What the cases of `make guest` share (test/guest/): a call of make as a user makes it, a boot straight in QEMU
(tools/try), and a boot under the hypervisor."""
import importlib
import os
import re
import subprocess
import sys
import time

from harness import bootcase, core
from harness.bootcase import Boot, Expect
from harness.core import Broken, Case, Failure
from harness.emulator import Machine

# The variables of this run's own caller are none of the case's.
VARIABLES = ("IMAGE", "PROGRAM", "OCI", "LINUX_INITRAMFS_ROOT", "LINUX_INIT", "LINUX_INITRAMFS_IN", "LINUX_INITRAMFS_IMAGE",
             "LINUX_CONFIG_IN", "LINUX_VERSION", "LINUX_SRC", "LINUX_CMDLINE", "LINUX_EMBED", "KERNEL_COMPRESSION", "GUEST_NAME",
             "GUEST_DIR")
SVM = Machine("qemu", "max")


class Work:
    """One case's folder, with a build folder of its own and files that the case writes."""

    def __init__(self, env, folder):
        self.env = env
        self.folder = os.path.abspath(folder)
        self.build = os.path.join(self.folder, "build")
        self.log = os.path.join(self.folder, "make.txt")

    def write(self, name, text="", mode=0o644):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def out(self, name, part=""):
        return os.path.join(self.build, "guest", name, part)

    def run(self, *argv, env=None, timeout=300, cwd=None):
        """A program that has to succeed; what it prints."""
        before = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        if core.command(list(argv), self.log, timeout * self.env.scale, env=env, cwd=cwd) != 0:
            raise Failure("%s failed" % os.path.basename(argv[0]), self.log)
        return self.said(before)

    def said(self, since=0):
        with open(self.log, errors="replace") as f:
            f.seek(since)
            return f.read()

    @staticmethod
    def clean(env=None):
        """For make: nothing of what this run's caller has set."""
        return {**core.CLEAN_MAKE, **{name: "" for name in VARIABLES}, **(env or {})}

    def call(self, *words, env=None, timeout=1500, prefix=()):
        """`make guest WORDS`: (exit status, what it printed)."""
        before = os.path.getsize(self.log) if os.path.exists(self.log) else 0
        status = core.command([*prefix, "make", "--no-print-directory", "guest", "BUILD=" + self.build, *words], self.log,
                              timeout * self.env.scale, env=self.clean(env))
        if status is None:
            raise Failure("make guest did not end", self.log)
        return status, self.said(before)

    def make(self, *words, **more):
        status, text = self.call(*words, **more)
        if status != 0:
            raise Failure("make guest %s failed" % " ".join(words), self.log)
        return text

    def refused(self, pattern, *words, **more):
        """It must fail, and say why in one sentence; never by a traceback."""
        status, text = self.call(*words, **more)
        if status == 0:
            raise Failure("make guest %s is not refused" % " ".join(words), self.log)
        if "Traceback" in text:
            raise Failure("a traceback instead of a sentence", self.log)
        if not re.search("^havoc: .*" + pattern, text, re.M | re.S):
            raise Failure("the sentence is not there: /%s/" % pattern, self.log)

    def boot(self, name, *patterns, kernel="bzImage", cpus=1, arguments=(), never=("Kernel panic",), timeout=90, ends=False, typed="",
             argv=None):
        """Straight in QEMU. Every pattern has to come, in this order; with `ends` the guest has to power off then."""
        path = os.path.join(self.folder, "serial-%s-%s.txt" % (name, kernel))
        limit = ["timeout", "-s", "KILL", str(int(timeout * self.env.scale) + 60)]
        argv = limit + (argv or ["tools/try", "--kernel", kernel, "--cpus", str(cpus),
                "--mem", "192M", self.out(name)] + (["--", *arguments] if arguments else []))
        with open(path, "wb") as out:
            child = core.children.start(argv, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **self.clean()})
        deadline = time.monotonic() + timeout * self.env.scale
        at, left = 0, list(patterns)
        try:
            while left or ends:
                with open(path, "rb") as f:
                    text = f.read().decode("utf-8", "replace").replace("\r", "")
                bad = next((p for p in never if re.search(p, text, re.M)), None)
                if bad:
                    raise Failure("not to be seen, but there: " + bad, path)
                while left:
                    found = re.compile(left[0], re.M).search(text, at)
                    if not found:
                        break
                    at, left = found.end(), left[1:]
                    if typed and not left:
                        child.stdin.write(typed.encode())
                        child.stdin.flush()
                if child.poll() is not None:
                    if left:
                        raise Failure("the guest ended before /%s/" % left[0], path)
                    if ends:
                        break
                if time.monotonic() > deadline:
                    raise Failure("time ran out before %s" % ("/%s/" % left[0] if left else "the guest powered off"), path)
                time.sleep(0.1)
            return text
        finally:
            child.stdin.close()
            core.children.stop(child)

    def boot_havoc(self, name, *patterns, machine=SVM, options="", ends="runs", **more):
        """Under the hypervisor, as GRUB modules."""
        with open(self.out(name, "cmdline")) as f:
            modules = [(lambda *_: self.out(name, "bzImage"), "kernel " + f.read().strip())]
        if os.path.getsize(self.out(name, "initramfs.cpio.gz")):
            modules.append((lambda *_: self.out(name, "initramfs.cpio.gz"), "initrd"))
        boot = Boot(name, machine, tuple(Expect(p) for p in patterns), modules=tuple(modules), options=options, ends=ends, **more)
        if "build-guest-test" in self.env.failed_builds:
            raise Broken("the hypervisor is not built (see build/guest above)")
        bootcase.run_boot(self.env, self.folder, boot)


def case(name, function, cost=5, wide=False):
    return Case(name, lambda env, folder: function(Work(env, folder)), cost=cost, wide=wide)


def tables(env, *names):
    sys.path.insert(0, os.path.join(env.root, "test", "guest"))
    return [row for name in names for row in importlib.import_module(name).CASES]


def cases(env):
    return [case("guest/" + name, function, *more) for name, function, *more in tables(env, "ways", "container", "builds", "bad")]


def full_cases(env):
    return [case("guest-full/" + name, function, *more) for name, function, *more in tables(env, "full")]
