# SPDX-License-Identifier: MIT
"""A case of the boot matrix: a machine, what is on its CD, and what must be seen on the serial line.

The rows stand in test/boot/cases.py. How a case ends is part of it (`ends`):

    runs      it goes on until the test stops it
    poweroff  the emulated machine is switched off by the hypervisor
    reboot    the emulated machine restarts: the hypervisor comes up again
    halt      nothing happens any more; the CPU is halted
"""
import json
import os
import re
import sys
import time
from dataclasses import dataclass, field

from harness import core, gdbstub, screen
from harness.core import Broken, Case, Failure
from harness.emulator import Machine, Running, halted_share

# The hypervisor's first line: once for each start of the machine.
BANNER = r"havoc: Havoc "  # GRUB leaves the cursor anywhere

# What must be seen in no run, unless the row asks for it (`allow`).
NEVER = {
    "panic": r"^havoc: (panic:|.*assertion failed)[^\n]*(\n[^\n]+)?",
    "kernel panic": r"Kernel panic - not syncing",
    "kernel trouble": r"\b(BUG:|Oops:|Call Trace:|WARNING: CPU|soft lockup|rcu: INFO|unchecked MSR access|Spurious LAPIC|APIC error)",
    "killed": r"^havoc: guest \S+ was stopped:",
    "garbage": r"^havoc: [^\n]*[^\n\t -~]",
}


@dataclass(frozen=True)
class Expect:
    pattern: str
    times: int = 1
    timeout: int = 60


@dataclass(frozen=True)
class AnyOrder:
    """Each of the steps from here on, in any order: what several guests and CPUs do at once has none."""

    steps: tuple  # of Expect


@dataclass(frozen=True)
class Send:
    text: str


@dataclass(frozen=True)
class Paste:
    """A long line to a shell's `cat`, and back: once by the terminal's echo, once by cat."""

    length: int


@dataclass(frozen=True)
class Idle:
    """The host's CPU is halted most of the time (QEMU only)."""

    share: float = 0.6


@dataclass(frozen=True)
class Shows:
    """The pattern stands on the screen, in this colour if one is given (QEMU only)."""

    pattern: str
    attribute: int = None  # ink + 16 * paper, VGA's numbers
    timeout: int = 60


@dataclass(frozen=True)
class Type:
    """On the keyboard (QEMU only)."""

    text: str


@dataclass(frozen=True)
class Patch:
    """From now on a function of the hypervisor is other code (QEMU only): for what a sound hypervisor never does."""

    function: str
    code: object  # of gdbstub.code_*


@dataclass(frozen=True)
class Do:
    """Whatever a function of the driver does: for what is more than a row."""

    function: object


@dataclass(frozen=True)
class Reset:
    """Somebody presses the reset button (QEMU only)."""


@dataclass(frozen=True)
class Json:
    """A line that is one JSON object, in which at these paths ("cpu.model") are values whose text matches."""

    values: tuple  # of (path, pattern)


@dataclass(frozen=True)
class Boot:
    name: str
    machine: Machine
    steps: tuple
    ends: str = "runs"
    elf: str = "havoc-bare.elf"  # havoc.elf: with a guest inside
    image: str = ""  # of guest/images, as the modules `kernel` and `initrd`
    kernel_args: str = None  # instead of the image's own
    modules: tuple = ()  # (file under build/ or a function of (env, folder) that makes one, arguments)
    options: str = ""  # the hypervisor's command line
    files: tuple = ()  # functions of (env, folder) that make one, for the prelude: on the ISO it is /boot/NAME
    prelude: str = ""  # GRUB commands
    grub_modules: tuple = ()
    gfxpayload: str = ""  # under BIOS: a VBE mode
    allow: tuple = ()  # names of NEVER
    menu: bool = False  # GRUB has one
    never: tuple = ()  # more patterns that must not be seen
    fault_in: str = ""  # a function of the hypervisor that is undefined code when it is first called (Bochs only; QEMU: Patch)
    cost: int = field(default=10)
    full: bool = False  # in `make test-full` only: many CPUs or guests, for which two CPUs of the host are too few


def iso(env, folder, boot):
    out = os.path.join(folder, "case.iso")
    argv = ["tools/mkiso", "-o", out, "--elf", env.path(boot.elf)]
    if boot.machine.media == "cd":  # on a stick it must be fit for both
        argv += ["--firmware", "uefi" if boot.machine.firmware == "uefi" else "bios"]
    if boot.menu:
        argv += ["--menu"]
    if boot.options:
        argv += ["--cmdline", boot.options]
    if boot.image:
        guest = env.path("guest", boot.image)
        args = boot.kernel_args
        if args is None:
            with open(os.path.join(guest, "cmdline")) as f:
                args = f.read().strip()
        argv += ["--module", "%s=kernel %s" % (os.path.join(guest, "bzImage"), args),
                 "--module", "%s=initrd" % os.path.join(guest, "initramfs.cpio.gz")]
    for source, args in boot.modules:
        path = source(env, folder) if callable(source) else env.path(source)
        argv += ["--module", "%s=%s" % (path, args)]
    for source in boot.files:
        argv += ["--file", source(env, folder)]
    if boot.prelude:
        argv += ["--grub-prelude", boot.prelude]
    if boot.gfxpayload:
        argv += ["--gfxpayload", boot.gfxpayload]
    for module in boot.grub_modules:
        argv += ["--grub-module", module]
    log = os.path.join(folder, "mkiso.txt")
    if core.command(argv, log, 120 * env.scale) != 0:
        raise Broken("mkiso failed", log)
    return out


class Driver:
    """Carries out the steps of a row on a running machine."""

    def __init__(self, env, boot, running):
        self.env = env
        self.boot = boot
        self.running = running
        self.console = running.console
        self.reader = screen.Reader(env.root, running.folder)
        self.screen_path = os.path.join(running.folder, "screen.txt")
        # No use in waiting after a panic.
        self.trouble = None if "panic" in boot.allow else NEVER["panic"]
        # What stands before the hypervisor's first line depends on the firmware.
        self.grace = {"bios": 30, "seabios": 30, "uefi": 120}[boot.machine.firmware]

    def fail(self, why):
        raise Failure(why, self.console.path)

    def expect(self, step):
        for n in range(step.times):
            found = self.console.expect(step.pattern, (step.timeout + self.grace) * self.env.scale, self.trouble)
            self.grace = 0
            if found:
                continue
            count = " (%d of %d)" % (n + 1, step.times) if step.times > 1 else ""
            self.fail("%s before /%s/%s" % ("time ran out" if found is None else "the machine ended", step.pattern, count))

    def any_order(self, step):
        left = {s.pattern: s.times for s in step.steps}
        deadline = time.monotonic() + (max(s.timeout for s in step.steps) + self.grace) * self.env.scale
        self.grace = 0
        while left:
            # One line may match several.
            pattern = "|".join("(?:%s)" % p for p in left)
            found = self.console.expect(pattern, max(deadline - time.monotonic(), 0), self.trouble)
            if not found:
                self.fail("%s before %s" % ("time ran out" if found is None else "the machine ended",
                                            ", ".join("/%s/ (%d more)" % row for row in left.items())))
            got = self.console.child.after.decode("utf-8", "replace")
            for p in [p for p in left if re.search(p, got, re.M)]:
                left[p] -= 1
                if not left[p]:
                    del left[p]

    def send(self, step):
        self.console.send(step.text)

    def paste(self, step):
        # Digits and letters whose order shows what was lost or doubled. No line is longer than a terminal's 4095.
        text = "".join("%05d" % (7 * i % 99991) for i in range(step.length // 5))
        # A message of the kernel's must not come in between: on a loaded machine it speaks of long readouts.
        self.console.send("dmesg -n 1; echo $((6*9)); cat\n")
        self.expect(Expect(r"^54\r?$"))
        time.sleep(1)
        self.console.send(text + "\n")
        for what in ("echoed", "given back"):
            found = self.console.expect(r"[0-9]{100,}\r?\n", 120 * self.env.scale)
            if not found:
                self.fail("a pasted line of %d characters was not %s" % (len(text), what))
            got = re.sub(r"[^0-9]", "", self.console.child.after.decode())
            if got != text:
                at = next((i for i, (a, b) in enumerate(zip(got, text)) if a != b), min(len(got), len(text)))
                self.fail("a pasted line of %d characters was %s as %d, different from character %d"
                          % (len(text), what, len(got), at))
        self.console.send("\x04")

    def patch(self, step):
        gdbstub.patch(self.running, self.env, self.boot.elf, step.function, step.code)

    def json(self, step):
        self.expect(Expect(r"^\{[^\n]*\}\r?\n"))
        try:
            got = json.loads(self.console.child.after.decode())
        except ValueError as e:
            self.fail("no JSON: %s" % e)
        for path, pattern in step.values:
            value = got
            for key in path.split("."):
                try:
                    value = value[int(key) if isinstance(value, list) else key]
                except (KeyError, IndexError, ValueError, TypeError):
                    self.fail("there is no %s in the JSON" % path)
            if not re.search(pattern, str(value)):
                self.fail("%s is %s, not /%s/" % (path, value, pattern))

    def reset(self, _step):
        self.running.execute("system_reset")

    def idle(self, step):
        share = halted_share(self.running)
        if share < step.share:
            self.fail("the host CPU is halted in only %d %% of the samples" % (100 * share))

    def shows(self, step):
        deadline = time.monotonic() + (step.timeout + self.grace) * self.env.scale
        while True:
            seen = self.reader.read(self.running)
            if screen.find(seen, step.pattern, step.attribute):
                break
            with open(self.screen_path, "w") as f:
                f.write(screen.as_text(seen) + "\n")
            if time.monotonic() > deadline:
                raise Failure("the screen does not show /%s/%s" % (
                    step.pattern, "" if step.attribute is None else " in colour %#x" % step.attribute), self.screen_path)
            time.sleep(0.3)
        self.grace = 0

    def type(self, step):
        for c in step.text:
            self.running.execute("human-monitor-command", **{"command-line": "sendkey %s 10" % screen.key_of(c)})
            time.sleep(0.04)

    def end(self):
        ends = self.boot.ends
        limit = 60 * self.env.scale
        if ends == "poweroff":
            if not self.running.wait_end(limit):
                self.fail("the machine was not switched off")
            if self.boot.machine.emulator == "qemu" and self.running.how_it_ended() != "guest-shutdown":
                self.fail("the machine ended by " + str(self.running.how_it_ended()))
            if len(re.findall(BANNER, self.console.text(), re.M)) > 1:
                self.fail("the machine was restarted, not switched off")
        elif ends == "reboot":
            self.grace = 120
            self.expect(Expect(BANNER))
        elif ends == "halt":
            before = len(self.console.text())
            if self.running.wait_end(3):
                self.fail("the machine ended, but was to halt")
            if len(self.console.text()) != before and re.search(BANNER, self.console.text()[before:], re.M):
                self.fail("the machine was restarted, but was to halt")
            if self.boot.machine.emulator == "qemu" and halted_share(self.running, 10) < 1:
                self.fail("the CPU was to be halted, but runs")

    def run(self):
        actions = {Expect: self.expect, AnyOrder: self.any_order, Send: self.send, Paste: self.paste, Idle: self.idle, Shows: self.shows, Type: self.type,
                   Patch: self.patch, Do: lambda step: step.function(self), Reset: self.reset, Json: self.json}
        for step in self.boot.steps:
            actions[type(step)](step)
        self.end()

    def look_for_trouble(self):
        text = self.console.text()
        for name, pattern in NEVER.items():
            found = re.search(pattern, text, re.M)
            if found and name not in self.boot.allow:
                start = text.rfind("\n", 0, found.start()) + 1
                end = text.find("\n", found.end())
                self.fail("%s: %s" % (name, " / ".join(text[start:end].split("\n")).strip()))
        for pattern in self.boot.never:
            found = re.search(pattern, text, re.M)
            if found:
                self.fail("not to be seen, but there: " + found.group(0).strip())


def run_boot(env, folder, boot):
    if "build-boot" in env.failed_builds:
        raise Broken("not built (see build/boot above)")
    image = iso(env, folder, boot)
    limit = sum(s.timeout * s.times for s in boot.steps if isinstance(s, Expect)) + 600
    debugger = gdbstub.bochs_commands(env, boot.elf, boot.fault_in) if boot.fault_in else ()
    with Running(env, boot.machine, image, folder, limit * env.scale, debugger) as running:
        driver = Driver(env, boot, running)
        try:
            driver.run()
        except Failure:
            # A panic says more than that something did not come. Give it the time to be printed.
            running.console.drain(1)
            driver.look_for_trouble()
            raise
        driver.look_for_trouble()
    os.remove(image)


def rows(env, full):
    sys.path.insert(0, os.path.join(env.root, "test", "boot"))
    import cases as table  # pylint: disable=import-outside-toplevel

    def case(boot):
        return Case(("boot-full/" if full else "boot/") + boot.name, lambda env, folder: run_boot(env, folder, boot), cost=boot.cost)
    return [case(b) for b in table.CASES if b.full == full]


def cases(env):
    return rows(env, False)


def full_cases(env):
    return rows(env, True)
