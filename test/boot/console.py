# SPDX-License-Identifier: MIT
"""The terminal that all guests share, and the monitor: driven as a person would, by keys, and by what is then to be seen."""
import dataclasses
import hashlib
import json
import re
import time

from harness.bootcase import Boot, Do, Expect
from harness.core import Failure

KEY = "\x01"  # Ctrl-A
READY = r"\rhavoc> \x1b\[K\Z"


# ---- What a person does ----

def fail(driver, why):
    raise Failure(why, driver.console.path)


def see(driver, pattern, timeout=60):
    driver.expect(Expect(pattern, timeout=timeout))
    return driver.console.child.match


def key(driver, keys):
    driver.console.send(KEY + keys)


def monitor(driver):
    key(driver, "m")
    see(driver, READY)


def ask(driver, command, timeout=60):
    """What the monitor says to a command: the text between the line that was typed and the next prompt."""
    driver.console.send(command + "\r")
    shown = re.escape(command[-8:])
    match = see(driver, shown + r"\x1b\[K(?:\r" + r"havoc> [^\r\n]*\x1b\[K)*\r\n(?s:(.*?))" + READY, timeout)
    return match.group(1).decode("utf-8", "replace").replace("\r", "")


def parsed(driver, command, timeout=60):
    text = ask(driver, command + " -j", timeout)
    lines = [line for line in text.split("\n") if line.startswith("{")]
    if len(lines) != 1:
        fail(driver, "`%s -j` gave %d objects: %s" % (command, len(lines), text))
    try:
        return json.loads(lines[0])
    except ValueError as e:
        fail(driver, "`%s -j` is no JSON (%s): %s" % (command, e, lines[0]))


def must(driver, command, pattern, timeout=60):
    """The answer matches, and is one line."""
    text = ask(driver, command, timeout).strip("\n")
    said = [line for line in text.split("\n") if not line.startswith("havoc: ")]
    if len(said) != 1 or not re.search(pattern, said[0]):
        fail(driver, "`%s` said, not /%s/: %s" % (command, pattern, text))


def state(driver, name):
    return next((g["state"] for g in parsed(driver, "list")["guests"] if g["name"] == name), None)


# ---- Keys ----

def by_keys(driver):
    """Two shells and two that say hello: whose the terminal is, and what is typed."""
    see(driver, r"^\[hello\] hello", 240)
    key(driver, "h")
    see(driver, r"^havoc: Ctrl-A and then: m the monitor, 1 to 9 that guest, n the next one")
    see(driver, r"Guests: 1 one\* 2 two 3 hello\r?$")
    key(driver, "1")
    see(driver, r"^havoc: guest 1, one\r?$")
    driver.console.send("\r")
    see(driver, r"^havoc:/root# ", 240)
    driver.console.send("echo I am $((100+1))\r")
    see(driver, r"^I am 101\r?$")
    key(driver, "n")
    see(driver, r"^havoc: guest 2, two\r?$")
    driver.console.send("\r")
    see(driver, r"^havoc:/root# ", 240)
    driver.console.send("echo I am $((200+2))\r")
    see(driver, r"^I am 202\r?$")
    key(driver, "n")
    see(driver, r"^havoc: guest 3, hello\r?$")
    see(driver, r"^hello\r?$")
    key(driver, "n")
    see(driver, r"^havoc: guest 1, one\r?$")
    see(driver, r"^I am 101\r?$")  # what it had written is shown again
    # Ctrl-A twice is Ctrl-A: to a shell it means the beginning of the line.
    driver.console.send("cho twice" + KEY + KEY + "e\r")
    see(driver, r"^twice\r?$")
    key(driver, "7")
    see(driver, r"^havoc: there is no guest 7\r?$")
    key(driver, "x")
    see(driver, r"^havoc: Ctrl-A h tells the keys\r?$")
    key(driver, "0")
    see(driver, r"^havoc: all guests; what is typed goes to one \(Ctrl-A and a digit: that guest alone\)\r?$")
    see(driver, r"^\[hello\] hello\r?$")
    driver.console.send("echo in line $((3*3))\r")
    see(driver, r"^\[one\] in line 9\r?$")
    monitor(driver)
    driver.console.send("\x04")  # Ctrl-D: back to where we were
    see(driver, r"^havoc: all guests; what is typed goes to one \(Ctrl-A and a digit: that guest alone\)\r?$")
    monitor(driver)
    driver.console.send("focus two\r")
    see(driver, r"^havoc: guest 2, two\r?$")
    see(driver, r"^I am 202\r?$")
    driver.console.send("echo still $((5*5))\r")
    see(driver, r"^still 25\r?$")


def editing(driver):
    """Line editing, history, completion."""
    see(driver, r"^hello\r?$", 240)
    monitor(driver)
    driver.console.send("lst\x1b[D\x1b[Di\r")  # one left of "st", an i
    see(driver, r"GUEST +STATE(?s:.*)" + READY)
    driver.console.send("\x10")  # the last one again
    see(driver, r"havoc> list\x1b\[K\Z")
    driver.console.send("\x15he\t")
    see(driver, r"havoc> help \x1b\[K\Z")
    driver.console.send("re\t")
    see(driver, r"  reset  resume  regs  reboot\r\n\rhavoc> help re\x1b\[K\Z")
    driver.console.send("\x17\x17info gu\t\r")
    see(driver, r"^name +guest\r?$")
    see(driver, READY)
    driver.console.send("rubbish\x03")
    see(driver, r"\^C\r\n" + READY)
    driver.console.send("\x1b[A\x1b[A\r")  # the command before the last
    see(driver, r"GUEST +STATE(?s:.*)" + READY)
    must(driver, "lits", r"^there is no command \"lits\": did you mean `list`\? `help` lists them$")
    must(driver, "frobnicate", r"^there is no command \"frobnicate\": `help` lists them$")
    must(driver, "info", r"^usage: info VM$")
    must(driver, "info no-such", r"^there is no guest \"no-such\": there is guest$")
    must(driver, "x guest here", r"^\"here\" is no address: 0x1000 is")
    must(driver, "x guest 0 999", r"^\"999\" bytes cannot be shown: choose 1 to 256$")
    must(driver, "regs guest.1", r"^guest guest has 1 CPU: the last is guest\.0$")
    must(driver, "a b c d e f g h i j k l m n o p", r"^that is more than \d+ words$")
    driver.console.send("x" * 1000 + "\r")
    see(driver, r"there is no command(?s:.*)" + READY)


# ---- A paste ----

def paste(driver):
    """10 KB into a shell's `cat`, and its check sum: nothing of it is lost."""
    lines = ["%04d %s" % (n, "".join(chr(97 + (n * 7 + i) % 26) for i in range(58))) for n in range(160)]
    driver.console.send("stty -echo; dmesg -n 1; cat >/tmp/p; echo got $(wc -l </tmp/p) $(md5sum /tmp/p)\r")
    time.sleep(2)
    driver.console.send("\r".join(lines) + "\r\x04")
    data = "".join(line + "\n" for line in lines).encode()
    wanted = hashlib.md5(data).hexdigest()
    found = see(driver, r"^got (\d+) ([0-9a-f]{32}) ", 240)
    if (int(found.group(1)), found.group(2).decode()) != (len(lines), wanted):
        fail(driver, "of %d pasted lines with sum %s the guest has %s with sum %s"
             % (len(lines), wanted, found.group(1).decode(), found.group(2).decode()))


# ---- A flood ----

def flooded(count, lines):
    def check(driver):
        """Every line of every guest is there, once, whole, in its order."""
        if driver.console.expect(r"^havoc: (the last guest has stopped|guest f0 cannot)", 900 * driver.env.scale, driver.trouble) is not True:
            fail(driver, "the flood has not ended")
        text = driver.console.text()
        for guest in range(count):
            got = re.findall(r"^\[f%d\] (flood .*)$" % guest, text, re.M)
            for n in range(lines):
                wanted = "flood %u %s end" % (n, "".join(chr(33 + (n + i) % 90) for i in range(n % 97)))
                if n >= len(got) or got[n] != wanted:
                    fail(driver, "line %d of guest f%d is /%s/, not /%s/" % (n, guest, got[n] if n < len(got) else "missing", wanted))
            if len(got) != lines:
                fail(driver, "guest f%d has written %d lines, and %d are there" % (guest, lines, len(got)))
        strange = [line for line in text.split("\n") if re.search(r"flood \d", line) and not re.fullmatch(r"\[f\d\] flood \d+ .* end", line)]
        if strange:
            fail(driver, "a torn line: " + strange[0])
    return check


def steer_in_a_flood(driver):
    """The monitor is there for the user whatever the guests write."""
    see(driver, r"^\[f0\] flood 1 ", 240)
    monitor(driver)
    for n in range(5):
        ask(driver, "list")
    must(driver, "pause f1", r"^guest f1 is paused$")
    must(driver, "stop f0", r"^guest f0 is stopped$")
    if state(driver, "f1") != "paused" or state(driver, "f0") != "stopped" or state(driver, "f2") != "running":
        fail(driver, "not the states that were asked for: " + ask(driver, "list"))
    driver.console.send("\x04")
    see(driver, r"^havoc: \d+ bytes of guest f2 were not kept|^\[f2\] flood")
    key(driver, "3")
    see(driver, r"^havoc: guest 3, f2\r?$")
    see(driver, r"^flood \d+ .* end\r?$")
    monitor(driver)
    ask(driver, "stop all")


def port_of_its_own(driver):
    """One guest has the machine's second serial port, and the other the terminal."""
    see(driver, r"^\[hello\] hello\r?$", 240)
    com2 = driver.running.com2
    com2.send("\r")
    if com2.expect(r"^havoc:/root# ", 240 * driver.env.scale) is not True:
        fail(driver, "no shell on the second serial port")
    com2.send("echo on my own $((6*7))\r")
    if com2.expect(r"^on my own 42\r?$", 60 * driver.env.scale) is not True:
        fail(driver, "what is typed at the second serial port has no effect")
    monitor(driver)
    must(driver, "focus own", r"^guest own has nothing to be seen here: it has never run, or has a serial port of its own$")
    must(driver, "create thief image=shell serial=com2", r"^com2 is guest own's already: choose another$")
    must(driver, "create more image=tiny serial=com1", r"com1 is the console's own")
    must(driver, "stop own", r"^guest own is stopped$")
    must(driver, "start own", r"^guest own runs$")
    com2.send("\r")
    if com2.expect(r"^havoc:/root# ", 240 * driver.env.scale) is not True:
        fail(driver, "no shell on the second serial port after a start")
    if re.search(r"\[own\]|my own", driver.console.text().replace("guest own", "")):
        fail(driver, "the terminal shows what is for the other port")
    driver.console.send("\x04")


# ---- Commands ----

LOOKING = ("help", "help x", "list", "info {0}", "stats", "stats {0}", "top", "cpus", "mem", "log", "config", "doctor")
INSIDE = ("regs {0}", "x {0} @0xe0000 32", "bt {0}")
CHANGES = ("start", "stop", "reset", "pause", "resume", "destroy", "create")

# What the state of a guest is after a command that it was asked for in a state; else it stays, and one line says why not.
EFFECT = {
    "start": {"stopped": "running", "made": "running", "crashed": "running"},
    "stop": {"running": "stopped", "paused": "stopped"},
    "reset": {"running": "running", "paused": "running"},
    "pause": {"running": "paused"},
    "resume": {"paused": "running"},
    "destroy": {"running": "stopped", "paused": "stopped", "made": "stopped", "crashed": "stopped"},
    "create": {"stopped": "made"},
}
WAY = {  # how a guest gets into a state from "stopped"
    "stopped": (), "made": ("create",), "running": ("start",), "paused": ("start", "pause"),
}


def bring(driver, name, wanted):
    if state(driver, name) != "stopped":
        parsed(driver, "destroy " + name)
    for command in WAY[wanted]:
        parsed(driver, "%s %s" % (command, name))
    if state(driver, name) != wanted:
        fail(driver, "guest %s is %s, not %s" % (name, state(driver, name), wanted))


def every_command(*states):
    return lambda driver: commands_in(driver, states)


def commands_in(driver, states):
    """Each command on a guest in each of these states; a neighbour that says hello goes on doing so."""
    see(driver, r"^\[near\] hello", 240)
    see(driver, r"^\[far\] hello", 240)
    monitor(driver)
    for wanted in states:
        bring(driver, "far", wanted)
        for command in LOOKING + INSIDE:
            got = parsed(driver, command.format("far"), 120)
            lives = wanted in ("running", "paused")
            none = command in INSIDE and not lives or command == "stats {0}" and wanted == "stopped"
            if ("error" in got) != none:
                fail(driver, "`%s` on a guest that is %s: %s" % (command, wanted, got))
        if state(driver, "far") != wanted:
            fail(driver, "a look has made a guest that was %s %s" % (wanted, state(driver, "far")))
    for command in CHANGES:
        for wanted in states:
            bring(driver, "far", wanted)
            got = parsed(driver, command + " far")
            after = EFFECT[command].get(wanted)
            if ("error" in got) != (after is None):
                fail(driver, "`%s` on a guest that is %s: %s" % (command, wanted, got))
            if state(driver, "far") != (after or wanted):
                fail(driver, "`%s` on a guest that was %s has made it %s" % (command, wanted, state(driver, "far")))
    must(driver, "start near", r"^guest near is running: only one that is stopped can be started$")
    text = ask(driver, "info near")
    if not re.search(r"^devices +ioapic, acpi, serial", text, re.M) or not re.search(r"^CPU +STATE", text, re.M):
        fail(driver, "info says: " + text)
    text = ask(driver, "create new image=tiny memory=32M")
    if "guest new is made" not in text:
        fail(driver, "create said: " + text)
    must(driver, "start new", r"^guest new runs$")
    must(driver, "create new image=tiny", r"^there is a guest new already: destroy it first, or choose another name$")
    must(driver, "create bad image=none", r"the image none of guest bad is missing")
    must(driver, "create worse image=tiny cpus=0", r"cpus")
    driver.console.send("\x04")
    see(driver, r"^\[near\] hello", 120)
    see(driver, r"^\[new\] hello", 240)
    monitor(driver)


def power_off(driver):
    driver.console.send("poweroff\r")
    see(driver, r"^havoc: powering off, as the monitor was told")


def reboot(driver):
    driver.console.send("reboot\r")
    see(driver, r"^havoc: rebooting, as the monitor was told")


def idle(driver):
    """The last guest has gone, and the machine stays."""
    driver.console.send("poweroff -f\r")
    see(driver, r"^havoc: guest guest has powered off")
    see(driver, READY)
    must(driver, "start guest", r"^guest guest runs$")
    driver.console.send("\x04")
    see(driver, r"^havoc:/root# ", 240)
    monitor(driver)


# ---- The rows ----

def rows(qemu, bochs, guests, shell):
    flood = "".join("[vm f%d]\nkernel = flood\nmemory = 24M\n" % n for n in range(4))
    short = (("bench/flood_guest.bz", "image flood"),)
    long = (("bench/flood_minute.bz", "image flood"),)
    people = ("[vm one]\nimage = shell\nmemory = 64M\n[vm two]\nimage = shell\nmemory = 64M\n"
              "[vm hello]\nimage = tiny\nmemory = 32M\n")
    pair = "[vm near]\nimage = tiny\nmemory = 32M\n[vm far]\nimage = tiny\nmemory = 32M\n"

    def named(prefix, row):
        return Boot(**{**row.__dict__, "name": prefix})

    out = []
    for backend, machine in (("svm", qemu), ("vmx", bochs)):
        out += [
            named("console/%s-keys" % backend,
                  guests("", machine(cpus=2), people, (Do(by_keys),), images=("shell", "tiny"), cost=60)),
            named("console/%s-paste" % backend, shell("", machine(), (Do(paste),))),
            named("console/%s-flood" % backend,
                  guests("", machine(cpus=2, one_thread=True), flood, (Do(flooded(4, 600)),), images=(), files_of=short, ends="poweroff", cost=60)),
            named("console/%s-com2" % backend,
                  guests("", machine(com2=True), "[vm own]\nimage = shell\nmemory = 64M\nserial = com2\n[vm hello]\nimage = tiny\nmemory = 32M\n",
                         (Do(port_of_its_own),), images=("shell", "tiny"), cost=60)),
            named("monitor/%s-editing" % backend,
                  Boot("", machine(), (Do(editing), Do(power_off)), elf="havoc.elf", ends="poweroff", cost=30)),
            named("monitor/%s-commands" % backend,
                  guests("", machine(cpus=2), pair, (Do(every_command(*(WAY if backend == "svm" else ("stopped", "running")))), Do(power_off)),
                         ends="poweroff", cost=120)),
            named("monitor/%s-in-a-flood" % backend,
                  guests("", machine(cpus=2, one_thread=True), flood, (Do(steer_in_a_flood),), images=(), files_of=long, cost=60)),
            named("monitor/%s-stays" % backend,
                  shell("", machine(), (Do(idle), Do(reboot)), options="on-idle=monitor", ends="reboot")),
        ]
    # On the slow emulator: `make test-full`.
    slow = ("console/vmx-flood", "monitor/vmx-in-a-flood", "monitor/vmx-stays")
    return [dataclasses.replace(row, full=True) if row.name in slow else row for row in out]


def full_rows(qemu, bochs, guests):
    pair = "[vm near]\nimage = tiny\nmemory = 32M\n[vm far]\nimage = tiny\nmemory = 32M\n"
    flood = "".join("[vm f%d]\nkernel = flood\nmemory = 24M\n" % n for n in range(4))
    # In Bochs 600 lines are a minute and more: console/vmx-flood.
    return [
        Boot(**{**guests("", qemu(cpus=2, one_thread=True), flood, (Do(flooded(4, 6000)),), images=(),
                         files_of=(("bench/flood_minute.bz", "image flood"),), ends="poweroff", cost=200).__dict__,
                "name": "console/svm-flood-a-minute"}),
        Boot(**{**guests("", bochs(cpus=2), pair, (Do(every_command(*WAY)), Do(power_off)), ends="poweroff", cost=200).__dict__,
                "name": "monitor/vmx-every-command"})]
