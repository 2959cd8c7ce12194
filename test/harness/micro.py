# SPDX-License-Identifier: MIT
"""Micro guests: test/micro/<name>.c, a tiny kernel that tries one behaviour and prints its verdict itself.

    PASS name           FAIL name: why          SKIP name: why

A run without a verdict is an error. Comments of the source say how it is run:

    OPTIONS: text           the hypervisor's command line
    CMDLINE: text           the guest's
    MODULE: text            a module with a line of text, the nth of them "file n" (may stand several times)
    ENTRY: kind             how it is entered, if not by Linux's 64-bit protocol (test/micro/micro.mk)
    EXPECT-LOG: regex       a line that the hypervisor must log (may stand several times)
    EXPECT-RESETS: n        how often the guest is restarted by the hypervisor on the way
    BACKENDS: svm vmx       where it applies; these two if not said; svm-bochs: for what QEMU's SVM does not intercept
    ALSO: vmx:model ...     CPU models on which it runs besides, for what the usual ones do not have
    CLOCK: instructions     QEMU, too, counts instructions as time: for what must not depend on how busy this host is
    HOST-CPUS: n            how many CPUs the machine has; 1 if not said
    FULL: svm vmx           back ends under which it takes too long for `make test`: it is in `make test-full` only
"""
import glob
import os
import re
from dataclasses import replace

from harness import bootcase
from harness.core import Broken, Case, Failure, Skip
from harness.emulator import Machine, Running

MACHINES = {"svm": Machine("qemu", "max"), "vmx": Machine("bochs", "broadwell_ult"),
            "svm-bochs": Machine("bochs", "ryzen")}
BACKENDS = ("svm", "vmx")
RESET_LINE = r"^havoc: guest \S+ restarts "


def comments(path, word):
    with open(path) as f:
        return [m.strip() for m in re.findall(r"\b%s:[ \t]*(.*?)[ \t]*(?:\*/)?$" % word, f.read(), re.M)]


def text_file(number):
    def make(_env, folder):
        path = os.path.join(folder, "module%d" % number)
        with open(path, "w") as f:
            f.write("file %d\n" % number)
        return path
    return make


def run_micro(env, folder, name, source, machine):
    if "build-micro" in env.failed_builds and not os.path.exists(env.path("micro", name + ".bz")):
        raise Broken("not built (see build/micro above)")
    kernel = " ".join(["kernel"] + comments(source, "CMDLINE"))
    modules = tuple((text_file(number), text) for number, text in enumerate(comments(source, "MODULE")))
    boot = bootcase.Boot(name, machine, (), modules=(("micro/%s.bz" % name, kernel),) + modules,
                         options=" ".join(comments(source, "OPTIONS")))
    image = bootcase.iso(env, folder, boot)
    verdict = None
    with Running(env, machine, image, folder, 300 * env.scale) as running:
        pattern = r"^(PASS|FAIL|SKIP) %s(?::[ \t]*([^\r\n]*))?[ \t]*\r?\n" % re.escape(name)
        if running.console.expect(pattern, 240 * env.scale):
            match = running.console.child.match
            verdict = match.group(1).decode(), (match.group(2) or b"").decode(errors="replace")
            # It has itself powered off; the log of that is wanted too.
            running.wait_end(20 * env.scale)
        else:
            running.console.drain(1)
        text, log = running.console.text(), running.console.path
    os.remove(image)
    if verdict is None:
        raise Broken("no verdict", log)
    if verdict[0] == "SKIP":
        raise Skip(verdict[1] or "no reason given")
    if verdict[0] == "FAIL":
        raise Failure(verdict[1] or "no reason given", log)
    found = re.search(bootcase.NEVER["panic"], text, re.M)
    if found:
        raise Failure("the hypervisor panicked", log)
    for wanted in comments(source, "EXPECT-LOG"):
        if not re.search("^havoc: .*" + wanted, text, re.M):
            raise Failure("the hypervisor did not log /%s/" % wanted, log)
    for count in comments(source, "EXPECT-RESETS"):
        seen = len(re.findall(RESET_LINE, text, re.M))
        if seen != int(count):
            raise Failure("the guest was restarted %d times, not %s" % (seen, count), log)


def rows(full):
    found = []
    for source in sorted(glob.glob("test/micro/*.c")):
        name = os.path.basename(source)[:-2]
        where = " ".join(comments(source, "BACKENDS")).split() or list(BACKENDS)
        for row in where + " ".join(comments(source, "ALSO")).split():
            backend, _, model = row.partition(":")
            if (backend in " ".join(comments(source, "FULL")).split()) != full:
                continue
            machine = replace(MACHINES[backend], cpus=int((comments(source, "HOST-CPUS") or ["1"])[0]))
            if model:
                machine = replace(machine, model=model)
            if machine.emulator == "qemu" and "instructions" in comments(source, "CLOCK"):
                machine = replace(machine, icount=True)

            def run(env, folder, name=name, source=source, machine=machine):
                run_micro(env, folder, name, source, machine)
            suite = "micro-full" if full else "micro"
            found.append(Case("%s/%s/%s" % (suite, row.replace(":", "-"), name), run, cost=4))
    return found


def cases(_env):
    return rows(False)


def full_cases(_env):
    return rows(True)
