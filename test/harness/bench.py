# SPDX-License-Identifier: MIT
"""`make bench`: instructions, exits and bytes (test/bench/README.md), and the cases that hold them to the aims."""
import json
import os
import re
import struct
import sys

from harness import bootcase, core
from harness.bootcase import Boot
from harness.core import Broken, Case, Failure
from harness.emulator import Machine, Running

MACHINES = {"svm": Machine("qemu", "max", icount=True), "vmx": Machine("bochs", "broadwell_ult")}

# What is not to be exceeded: instructions, or bytes.
ROUND_TRIP_AIMS = {"cpuid": 350, "in": 200, "hypercall": 250}
ENTRY_AIM = 5000000
IMAGE_AIM = 128 << 10
# The aim that is not reached yet: in `make test` what has been reached is held; the table of `make bench` says MISSED.
IMAGE_REACHED = 191 << 10


def run_guest(env, folder, machine, modules, last, options=""):
    """Boots a guest until its last line has come; returns what was printed."""
    boot = Boot("bench", machine, (), modules=modules, options="loglevel=debug " + options)
    image = bootcase.iso(env, folder, boot)
    with Running(env, machine, image, folder, 900 * env.scale) as running:
        if not running.console.expect(last, 600 * env.scale):
            running.console.drain(1)
            raise Failure("the bench's guest did not come to its end", running.console.path)
        running.wait_end(60 * env.scale)
        text = running.console.text()
    os.remove(image)
    return text


def number(pattern, text, folder):
    found = re.search(pattern, text, re.M)
    if not found:
        raise Broken("no line like /%s/" % pattern, os.path.join(folder, "serial.txt"))
    return int(found.group(1))


def measure_round_trips(env, folder, machine):
    text = run_guest(env, folder, machine, (("bench/bench_guest.bz", "kernel"),), r"^PASS bench_guest", "hypercall.console=on")
    return {name: int(ticks) for name, ticks in re.findall(r"^BENCH (\w+) (\d+)$", text, re.M)}


def measure_boot(env, folder, machine):
    kernel = (os.path.join("guest", "tiny", "bzImage"), "kernel console=ttyS0 quiet panic=-1")
    text = run_guest(env, folder, machine, (kernel, ("bench/initramfs.cpio.gz", "initrd")), r"has powered off")
    result = {
        "entry_to_guest": number(r"^havoc: .*starting the guest (\d+) ticks after", text, folder),
        "guest_to_init": number(r"^BENCH init (\d+)$", text, folder),
        "exits": {name: int(count) for name, count in re.findall(r"^havoc: exits: \S+ (\S+) (\d+)$", text, re.M)},
    }
    used = re.search(r"^havoc: .*?(\d+) KiB (?:of memory )?(?:in use|used) by", text, re.M)
    if used:
        result["memory_in_use"] = int(used.group(1)) << 10
    return result


def measure_image(env):
    path = env.path("havoc-bare.elf")
    with open(path, "rb") as f:
        data = f.read()
    phoff, = struct.unpack_from("<Q", data, 32)
    phentsize, phnum = struct.unpack_from("<HH", data, 54)
    loaded = 0
    for i in range(phnum):
        kind, _, _, _, _, _, memsz, _ = struct.unpack_from("<IIQQQQQQ", data, phoff + i * phentsize)
        if kind == 1:
            loaded += memsz
    return {"file": len(data), "loaded": loaded}


# ---- As cases of `make test` ----

def too_many(values, aims):
    over = ["%s: %d, aim %d" % (name, values[name], aim) for name, aim in aims.items() if values.get(name, aim + 1) > aim]
    if over:
        raise Failure("; ".join(over))


def built(env):
    if "build-bench" in env.failed_builds:
        raise Broken("not built (see build/bench above)")


def cases(_env):
    found = []
    for backend, machine in MACHINES.items():
        def trips(env, folder, machine=machine):
            built(env)
            values = measure_round_trips(env, folder, machine)
            missing = set(ROUND_TRIP_AIMS) - set(values)
            if missing:
                raise Broken("not measured: " + " ".join(sorted(missing)), os.path.join(folder, "serial.txt"))
            too_many(values, ROUND_TRIP_AIMS)

        def boot(env, folder, machine=machine):
            built(env)
            too_many(measure_boot(env, folder, machine), {"entry_to_guest": ENTRY_AIM})

        found += [Case("bench/%s/round-trips" % backend, trips, cost=10), Case("bench/%s/boot" % backend, boot, cost=30)]

    def image(env, _folder):
        built(env)
        too_many(measure_image(env), {"file": IMAGE_REACHED})
    return found + [Case("bench/image", image)]


# ---- As a table ----

def line(text, values, aim="", unit=""):
    print("  %-38s %s %12s%s" % (text, " ".join("%12s" % v for v in values), aim, unit))


def table(env):
    if not core.make(env, "build-bench", env.path("test", "bench", "make.txt")):
        print("\n".join(core.tail(env.path("test", "bench", "make.txt"))), file=sys.stderr)
        return 1
    result = {"image": measure_image(env)}
    jobs = [(b, what) for b in MACHINES for what in ("boot", "round_trips")]
    measure = {"boot": measure_boot, "round_trips": measure_round_trips}

    def one(job):
        folder = env.path("test", "bench", *job)
        os.makedirs(folder, exist_ok=True)
        return measure[job[1]](env, folder, MACHINES[job[0]])
    try:
        with core.ThreadPoolExecutor(env.jobs) as pool:
            for job, values in zip(jobs, pool.map(one, jobs)):
                result.setdefault(job[0], {})[job[1]] = values
    except Failure as e:
        print("bench: %s\n  log: %s" % (e, e.log), file=sys.stderr)
        return 1
    finally:
        core.children.stop_all()

    with open(env.path("bench.json"), "w") as f:
        json.dump(result, f, indent=1, sort_keys=True)
        f.write("\n")

    def row(text, get, aim=None):
        values = [get(result[b]) for b in MACHINES]
        over = aim and any(isinstance(v, int) and v > aim for v in values)
        line(text, values, "<= %d" % aim if aim else "", "  MISSED" if over else "")
        return bool(over)

    missed = False
    print("Instructions (%s)" % "; ".join("%s: %s, %s" % (b, m.emulator, m.model) for b, m in MACHINES.items()))
    line("", [b.upper() for b in MACHINES], "aim")
    missed |= row("entry to the guest's first instruction", lambda r: r["boot"]["entry_to_guest"], ENTRY_AIM)
    row("the guest's start to /init", lambda r: r["boot"]["guest_to_init"])
    for name in result["svm"]["round_trips"]:
        missed |= row("round trip: " + name, lambda r, n=name: r["round_trips"].get(n, "-"), ROUND_TRIP_AIMS.get(name))
    print("Exits of a tiny Linux, to its power-off")
    names = sorted({n for b in MACHINES for n in result[b]["boot"]["exits"]})
    for name in names:
        row(name, lambda r, n=name: r["boot"]["exits"].get(n, 0))
    row("all", lambda r: sum(r["boot"]["exits"].values()))
    print("Bytes")
    over = result["image"]["file"] > IMAGE_AIM
    line("image without guest, file", [result["image"]["file"], ""], "<= %d" % IMAGE_AIM, "  MISSED" if over else "")
    line("image without guest, loaded", [result["image"]["loaded"], ""])
    if all("memory_in_use" in result[b]["boot"] for b in MACHINES):
        row("memory in use by the hypervisor", lambda r: r["boot"]["memory_in_use"])
    print("also in " + env.path("bench.json"))
    if missed or over:
        print("MISSED: an aim that is not reached. `make test` holds what has been (test/harness/bench.py).")
    return 0
