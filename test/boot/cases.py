# SPDX-License-Identifier: MIT
"""The boot matrix: a row per case. What the words mean is in test/harness/bootcase.py."""
import dataclasses
import os
import struct

import console
from harness import debian, gdbstub
from harness.bootcase import BANNER, AnyOrder, Boot, Expect, Idle, Json, Paste, Patch, Reset, Send, Shows, Type
from harness.emulator import Machine

# ---- Machines ----

MAX = Machine("qemu", "max")
BROADWELL = Machine("bochs", "broadwell_ult")


def qemu(model="max", **more):
    return Machine("qemu", model, **more)


def bochs(model="broadwell_ult", **more):
    return Machine("bochs", model, **more)


def full(*boots):
    """What `make test` is spared (test/harness/suites.py, "boot-full")."""
    return tuple(dataclasses.replace(b, full=True) for b in boots)


# ---- What is seen ----

HELLO = Expect(r"^hello\r?$", times=4)
PROMPT = Expect(r"^havoc:/root# ")
OFF = Expect(r"^havoc: guest \S+ has powered off")
LINUX = Expect(r"Linux version 6")


def hello(name, machine, **more):
    """The main job: the guest that is embedded says hello once a second."""
    more.setdefault("cost", 40 if machine.firmware == "uefi" else 12)
    return Boot(name + "/hello", machine, (Expect(BANNER), LINUX, HELLO), elf="havoc.elf", **more)


def without(name, machine, args, *more, **options):
    """The guest does without something that it would rather have, and says hello all the same."""
    return Boot("without/" + name, machine, (LINUX,) + more + (HELLO,), image="tiny", kernel_args="console=ttyS0 panic=-1 reboot=t " + args,
                cost=20, **options)


def shell(name, machine, steps, **more):
    return Boot(name, machine, (PROMPT,) + steps, image="shell", cost=25, **more)


def terminal(name, machine, cols, rows, **more):
    """A shell on the screen: what it is told by the terminal, colours, and a program that uses all of the screen."""
    more.setdefault("cost", 25)
    return Boot("screen/" + name, machine,
                (Shows(r"^havoc:/root# "), Type("echo $((6*7))\n"), Shows(r"^42 "), Type(r"printf '\033[999;999H\033[6n\033[H\033[J'; cat" + "\n"),
                 Shows(r"\A\^\[\[%d;%dR" % (rows, cols)), Type("\x03\n\n\n"),
                 Type(r"printf '\033[31;44mcolour\033[m\n'" + "\n"), Shows(r"^colour", 0x14),
                 Type("vi /etc/profile\n"), Shows(r"(?s)\APS1='havoc:.*\n~ .*^- /etc/profile 1/\d+ "),
                 Type("jO#Hello\033"), Shows(r"(?s)\APS1='havoc:[^\n]*\n#Hello .*2/\d+ "),
                 Type(":q!\n"), Shows(r"(?s)^colour .*^havoc:/root# "),
                 Type("\x01m"), Shows(r"^havoc> "), Type("list\n"), Shows(r"(?s)GUEST +STATE.* guest +running .*^havoc> "),
                 Type("\x04echo back$((1+1))\n"), Shows(r"^back2 "),
                 Type("poweroff -f\n")), ends="poweroff", image="shell", **more)


def refusal(name, machine, sentence, **more):
    """The hypervisor says why it cannot start a guest, and what to do. `on-error` decides what comes then."""
    more.setdefault("options", "on-error=poweroff")
    more.setdefault("ends", "poweroff")
    more.setdefault("elf", "havoc.elf")
    return Boot("refusal/" + name, machine, (Expect("^havoc: [^\n]*" + sentence),), never=(r"Linux version",), **more)


def linux_reboot(name, machine, way, how):
    """A kernel without an init panics and restarts, by `way` of its reboot= option; the log says how."""
    return Boot("reboot/" + name, machine, (LINUX, Expect("Kernel panic"), Expect(r"^havoc: guest \S+ restarts \(%s\)" % how),
                                            LINUX, Expect("Kernel panic")), image="tiny",
                kernel_args="console=ttyS0 panic=-1 rdinit=/none reboot=" + way, allow=("kernel panic", "kernel trouble"))


def panic(name, code, *lines, **more):
    """The hypervisor fails at the guest's next HLT: cause, registers, backtrace, log; then what on-error= says."""
    more.setdefault("ends", "halt")
    return Boot("panic/" + name, MAX,
                (HELLO, Patch("exit_hlt", code)) + tuple(Expect("^havoc: " + line) for line in lines) +
                (Expect(r"^havoc: backtrace:"), Expect(r"^havoc:   [0-9a-f]{16} exit_hlt\+"),
                 Expect(r"^havoc:   [0-9a-f]{16} \? vcpu_run\+0x"), Expect(r"^havoc:   [0-9a-f]{16} boot_main\+0x"),
                 Expect(r"^havoc: the last lines of the log:"), Expect(r"^havoc: \| .*SVM, 5\d\d MiB of memory")),
                elf="havoc.elf", allow=("panic",), **more)


LAST = r'^havoc: the log of the last boot is kept \(it ended by %s\): "log --last" in the monitor shows it'


def kept_log(name, machine, *steps, **more):
    """The hypervisor fails, at the guest's next HLT, and restarts the machine: the next boot knows why."""
    if machine.emulator == "qemu":
        break_it = (HELLO, Patch("exit_hlt", gdbstub.code_undefined))
        again, slow = HELLO, 60
    else:
        # Bochs 2.7 goes on several times slower when its machine has been reset.
        break_it = ()
        again, slow = LINUX, 120
        more["fault_in"] = "exit_hlt"
    return Boot("kept-log/" + name, machine,
                (Expect(BANNER),) + break_it +
                (Expect(r"^havoc: panic: invalid opcode \(#UD\)", timeout=90), Expect(BANNER, timeout=slow),
                 Expect(LAST % r"a panic: invalid opcode \(#UD\), error code 0, at 0008:[0-9a-f]{16}"), again) + steps,
                elf="havoc.elf", options="on-error=reboot", allow=("panic",), cost=60 if machine.firmware == "uefi" else 20, **more)


def doctor(name, machine, *lines, **more):
    """The doctor's report, line by line; no guest, and the end."""
    steps = tuple(Expect(line) for line in lines)
    return Boot("doctor/" + name, machine, steps + (Expect(r"^havoc: the doctor is done"),), ends="halt",
                **{"options": "doctor=on", "elf": "havoc.elf", "never": (r"Linux version",), **more})


# ---- Files that are no kernels ----

def text_file(_env, folder):
    path = os.path.join(folder, "readme.txt")
    with open(path, "w") as f:
        f.write("This is no kernel.\n" * 100)
    return path


def truncated_kernel(env, folder):
    path = os.path.join(folder, "truncated")
    with open(env.path("guest", "tiny", "bzImage"), "rb") as f, open(path, "wb") as out:
        out.write(f.read(300000))
    return path


def truncated_elf(env, folder):
    path = os.path.join(folder, "truncated")
    with open(env.path("guest", "tiny", "vmlinux"), "rb") as f, open(path, "wb") as out:
        out.write(f.read(9 << 20))
    return path


def seven_bytes(_env, folder):
    path = os.path.join(folder, "seven")
    with open(path, "w") as f:
        f.write("file 9\n")
    return path


def patched_kernel(at, value):
    def make(env, folder):
        path = os.path.join(folder, "patched-%x" % at)
        with open(env.path("guest", "tiny", "bzImage"), "rb") as f:
            image = bytearray(f.read())
        image[at:at + len(value)] = value
        with open(path, "wb") as out:
            out.write(image)
        return path
    return make


def elf_file(name, segments, entry=None):
    """An ELF64 kernel: (physical address, bytes in memory) of each segment; with a PVH note if there is an entry for it."""
    def make(_env, folder):
        rows = [struct.pack("<IIQQQQQQ", 1, 7, 0x1000, where, where, 16, size, 4096) for where, size in segments]
        if entry is not None:
            rows.append(struct.pack("<IIQQQQQQ", 4, 4, 0x800, 0, 0, 24, 24, 4))
        head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, len(rows), 0, 0, 0)
        note = struct.pack("<III4sQ", 4, 8, 18, b"Xen", entry or 0)
        path = os.path.join(folder, name)
        with open(path, "wb") as f:
            f.write((head + b"".join(rows)).ljust(0x800, b"\0") + note.ljust(0x800, b"\0") + b"\xf4" * 16)
        return path
    return make


def zeros(mib):
    def make(_env, folder):
        path = os.path.join(folder, "zeros")
        with open(path, "wb") as f:
            f.truncate(mib << 20)
        return path
    return make


# ---- A MADT that lists CPUs which are not there ----

def false_madt(apic_ids):
    def make(_env, folder):
        # ACPI specification, "Multiple APIC Description Table": local APICs, and the I/O APIC of both emulators.
        body = struct.pack("<II", 0xfee00000, 0)
        body += b"".join(struct.pack("<BBBBI", 0, 8, n, apic_id, 1) for n, apic_id in enumerate(apic_ids))
        body += struct.pack("<BBBBII", 1, 12, 0, 0, 0xfec00000, 0)
        table = bytearray(b"APIC" + struct.pack("<IBB6s8sI4sI", 36 + len(body), 1, 0, b"HAVOC ", b"FALSE   ", 1, b"HVOC", 1) + body)
        table[9] = -sum(table) & 0xff
        path = os.path.join(folder, "madt.aml")
        with open(path, "wb") as f:
            f.write(table)
        return path
    return make


def only(image):
    """The modules of a havoc.conf with one guest: it uses all CPUs, which a guest without one does not."""
    return ((conf_file("[vm only]\nimage = %s\n" % image), "config"),) + image_modules(image)


def cpus_left_out(name, machine):
    """CPU 9 does not answer; the one behind it does."""
    return Boot("smp/%s-left-out" % name, machine,
                (Expect(r"^havoc: the CPU with APIC ID 9 is left out: it does not answer"), Expect(r"^havoc: \S+, 2 CPUs, "), HELLO),
                files=(false_madt((0, 9, 1)),), modules=only("tiny"), prelude="acpi --exclude=APIC /boot/madt.aml", grub_modules=("acpi",))


# ---- Several guests, by a havoc.conf ----

def conf_file(text):
    def make(_env, folder):
        path = os.path.join(folder, "havoc.conf")
        with open(path, "w") as f:
            f.write(text)
        return path
    return make


def image_modules(*names):
    return tuple(("guest/%s/%s" % (name, file), "image %s/%s" % (name, file))
                 for name in names for file in ("bzImage", "initramfs.cpio.gz", "cmdline"))


def guests(name, machine, text, steps, images=("tiny",), files_of=(), **more):
    return Boot("guests/" + name, machine, steps, modules=((conf_file(text), "config"),) + image_modules(*images) + files_of, **more)


def tiny_guests(name, machine, count, **more):
    """So many tiny guests at once: each says hello, twice."""
    text = "".join("[vm g%d]\nimage = tiny\nmemory = 32M\ncmdline = console=ttyS0 quiet\n" % n for n in range(count))
    steps = tuple(Expect(r"^\[g%d\] hello\r?$" % n, timeout=120 + 10 * count) for n in range(count))
    if count == 1: # it has the console to itself
        steps = (HELLO,)
    # The pattern of each is looked for behind the last one's: all in order, hence each at least once.
    return guests(name, machine, text, steps, cost=20 + 6 * count, **more)


def stress(name, machine, seconds, operations, seed, **more):
    """A driver on the last CPU makes, starts, pauses, resets, stops and destroys guests at random; it says how that ends."""
    text = """[vm keep]
image = tiny
memory = 32M
weight = 10000
cmdline = console=ttyS0 quiet stress=%d,%d,%d
[vm smp]
image = tiny-smp
memory = 48M
cpus = 2
hypercalls = console
cmdline = console=ttyS0 quiet
[vm crash]
kernel = crash
memory = 24M
on-crash = restart
""" % (seconds, operations, seed)
    return Boot("stress/" + name, machine,
                (Expect(r"^\[keep\] hello", times=2, timeout=600),
                 Expect(r"^havoc: stress: (PASS|FAIL)", timeout=7200)),
                elf="stress/havoc-stress.elf", options="loglevel=err on-error=poweroff", never=(r"stress: FAIL",),
                modules=((conf_file(text), "config"),) + image_modules("tiny", "tiny-smp") + (("micro/mmio_exec.bz", "image crash"),),
                ends="poweroff", allow=("killed", "kernel trouble"), **more)


def deaths(name, machine, **more):
    """Guests that die, each in its way; the counters of their neighbours, one on each CPU, go on."""
    ways = (("triple", "triple_fault", "on-reboot = stop", r"guest triple has rebooted \(triple fault\) and is stopped"),
            ("exec", "mmio_exec", "", r"guest exec was stopped: it executes from"),
            ("insn", "mmio_unknown", "", r"guest insn was stopped: .*0f 29"),
            ("halt", "hlt_dead", "", r"guest halt halted with interrupts off"),
            ("hang", "endless", "watchdog = 1s", r"guest hang was stopped: its watchdog has seen"))
    text = "".join("[vm good%d]\nimage = tiny\nmemory = 32M\naffinity = %d\nweight = 1000\ncmdline = console=ttyS0 quiet\n" % (n, n) for n in (0, 1))
    text += "".join("[vm %s]\nkernel = %s\nmemory = 80M\n%s\n" % row[:3] for row in ways)
    files = tuple((("bench/endless_guest.bz" if kernel == "endless" else "micro/%s.bz" % kernel), "image " + kernel) for _, kernel, _, _ in ways)
    return guests(name, machine, text, (AnyOrder(tuple(Expect("^havoc: " + row[3], timeout=300) for row in ways)),
                                        AnyOrder((Expect(r"^\[good0\] hello", times=2), Expect(r"^\[good1\] hello", times=2)))),
                  files_of=files, allow=("killed",), cost=40, **more)


def hostile(name, machine):
    """A guest that does its worst to itself, four lives long; its neighbours go on."""
    text = "[vm good]\nimage = tiny\n[vm bad]\nkernel = bad\ncpus = 5\n[vm smp]\nimage = tiny-smp\ncpus = 2\nhypercalls = console\n"
    steps = (AnyOrder((Expect(r"^\[bad\] PASS smp_hostile", timeout=240), Expect(r"^havoc: guest bad was stopped: it executes", timeout=240),
                       Expect(r"^\[good\] hello", times=2), Expect(r"^\[smp\] hello from CPU 1"))),
             Expect(r"^\[good\] hello", times=2), Expect(r"^\[smp\] hello from CPU 0"), Expect(r"^\[smp\] hello from CPU 1"))
    return guests(name, machine, text, steps, images=("tiny", "tiny-smp"), files_of=(("micro/smp_hostile.bz", "image bad"),),
                  allow=("killed",), never=(r"^havoc: guest (good|smp) (restarts|was stopped)",))


def pvh(name, machine, image="tiny", steps=(LINUX, HELLO), args="console=ttyS0 panic=-1", **more):
    """The kernel's vmlinux: an ELF file, entered by its PVH note."""
    return Boot("formats/%s-pvh" % name, machine, steps, modules=(("guest/%s/vmlinux" % image, "kernel " + args),
                ("guest/%s/initramfs.cpio.gz" % image, "initrd")), cost=20, **more)


# Each with one mistake in its kernel or files, the sentence for it, and where that stands.
BAD_GUESTS = (
    ("short", "kernel = short", "the kernel image is cut off", truncated_kernel),
    ("zimage", "kernel = zimage", "the kernel image is a zImage", patched_kernel(0x211, b"\0")),
    ("long", "kernel = long\ncmdline = console=ttyS0", "command line has more than the 10 characters", patched_kernel(0x238, b"\x0a\0\0\0")),
    ("text", "kernel = text", "text is no kernel that can be booted", text_file),
    ("bare", "kernel = bare", "an ELF file with neither a PVH note", elf_file("bare", ((1 << 20, 4096),))),
    ("lap", "kernel = lap", "segment 1 of the kernel .* lies over another", elf_file("lap", ((1 << 20, 4097), ((1 << 20) + 4096, 64)), 1 << 20)),
    ("low", "kernel = low", "lies over .* what the loader puts below", elf_file("low", ((0x1000, 4096),), 0x1000)),
    ("far", "kernel = far", "is not in the guest's RAM of 32 MiB", elf_file("far", ((1 << 20, 32 << 20),), 1 << 20)),
    ("wrap", "kernel = wrap", "is not in the guest's RAM", elf_file("wrap", (((1 << 64) - 4096, 8192),), 1 << 20)),
    ("entry", "kernel = entry", "entry point, 0x300000, is not in what is loaded", elf_file("entry", ((1 << 20, 4096),), 3 << 20)),
    ("fat", "kernel = good\ninitrd = fat", "initial RAM disk of 20 MiB does not fit", zeros(20)),
    ("port", "kernel = good\nexit-port = 0x3fa", "exit-port 0x3fa would lie on a port of its uart", None),
    ("more", "kernel = good\nmodule = text", "a Linux bzImage takes an initrd and no further modules", None),
)


def bad_guests(name, machine):
    text = "".join("[vm %s]\n%s\nmemory = 32M\n" % row[:2] for row in BAD_GUESTS) + "[vm good]\nimage = tiny\nmemory = 32M\n"
    files = tuple((source, "image " + guest) for guest, _, _, source in BAD_GUESTS if source)
    steps = tuple(Expect(r"^havoc: guest %s cannot be started: .*%s" % (guest, sentence)) for guest, _, sentence, _ in BAD_GUESTS)
    return guests(name, machine, text, (AnyOrder(steps + (Expect(r"^\[good\] hello", times=2),)), Expect(r"^\[good\] hello")),
                  files_of=files + (("guest/tiny/bzImage", "image good"),), never=(r"was stopped",))


DEBIAN = debian.member("linux-image-amd64", "./boot/vmlinuz-*")
DEBIAN_6_12 = debian.member("linux-image-6.12-amd64", "./boot/vmlinuz-*")
DEBIAN_I386 = debian.member("linux-image-686", "./boot/vmlinuz-*", "i386")


def stock(name, machine, cpus, kernel=DEBIAN, initrd="guest/shell/initramfs.cpio.gz", **more):
    """Debian's kernel as it is in its package, to a shell and to its power-off."""
    steps = (# It unpacks itself first, with xz: some billions of instructions.
             Expect(r"Linux version 6\S* \(debian-kernel@", timeout=900), Expect(r"Allowing %d (present )?CPUs" % cpus, timeout=120),
             Expect(r"^havoc:/root# ", timeout=600),
             Send("nproc; echo $((6*7))\n"), Expect(r"^%d\r?\n42\r?$" % cpus), Send("poweroff -f\n"), OFF)
    return Boot("stock/" + name, machine, steps, ends="poweroff", cost=120, options="mem=512M cpus=%d" % cpus,
                modules=((kernel, "kernel console=ttyS0,115200 panic=-1"), (initrd, "initrd")), **more)


def installer(name, machine, arch, cpus):
    """The kernel and the initrd of Debian's installer, as they are in its package: to a shell in it, and to its power-off."""
    kernel, initrd = (debian.member("debian-installer-12-netboot-" + arch, "*/text/debian-installer/%s/%s" % (arch, part))
                      for part in ("linux", "initrd.gz"))
    steps = (Expect(r"Linux version 6\S* \(debian-kernel@", timeout=900), Expect(r"~ # ", timeout=900),
             Send("mount -t proc none /proc; grep -c ^processor /proc/cpuinfo\n"), Expect(r"^%d\r?$" % cpus), Send("poweroff -f\n"), OFF)
    return Boot("stock/" + name, machine, steps, ends="poweroff", cost=150, options="mem=768M cpus=%d" % cpus,
                modules=((kernel, "kernel console=ttyS0,115200 panic=-1 rdinit=/bin/sh"), (initrd, "initrd")))


def memtest(name, machine, bits):
    """Debian's memtest86+ makes a pass over the least memory that a guest can have."""
    kernel = debian.member("memtest86+", "./boot/memtest86+%s.bin" % bits)
    return Boot("stock/" + name, machine, (Expect(r"Memtest86\+ v"), Expect(r"Pass: +1 +Errors: 0 ", timeout=3600)), cost=200,
                options="mem=16M", modules=((kernel, "kernel console=ttyS0,115200"),))


def smp_guest(name, machine, cpus, timeout=60):
    """A guest with several CPUs, on fewer or more: it uses what KVM's interface has for them; a program on each says so, twice."""
    steps = tuple(Expect(line, timeout=timeout) for line in (
        r"kvm-guest: KVM setup pv remote TLB flush", r"kvm-guest: setup PV sched yield", r"kvm-guest: setup PV IPIs",
        r"Brought up 1 node, %d CPU" % cpus)) if cpus > 1 else ()
    return Boot("smp-guest/" + name, machine,
                steps + tuple(Expect(r"^hello from CPU %d\r?$" % n, timeout=timeout) for n in range(cpus)) * 2,
                image="tiny-smp", kernel_args="console=ttyS0", options="cpus=%d hypercall.console=on" % cpus, cost=30)


def smp(name, machine, cpus):
    return Boot("smp/" + name, machine, (Expect(r"^havoc: \S+, %d CPUs, " % cpus), LINUX, HELLO), modules=only("tiny"), cost=20)


def smp_shell(name, machine, steps, **more):
    return Boot("smp/" + name, machine, (Expect(r"^havoc: \S+, \d CPUs, "), PROMPT) + steps, modules=only("shell"), cost=25, **more)


CASES = console.rows(qemu, bochs, guests, shell) + list(full(*console.full_rows(qemu, bochs, guests))) + [
    # The main job, on every model.
    hello("svm-max-bios", MAX),
    hello("svm-max-uefi", qemu(firmware="uefi")),
    hello("svm-epyc-bios", qemu("EPYC")),
    hello("svm-epyc-uefi", qemu("EPYC", firmware="uefi", mem=1024)),
    hello("svm-phenom-bios", qemu("phenom")),
    hello("svm-max-i440fx", qemu(board="pc")),
    hello("svm-disk-bios", qemu(media="disk")),
    hello("svm-usb-bios", qemu(media="usb")),
    hello("svm-usb-uefi", qemu(media="usb", firmware="uefi")),
    hello("vmx-broadwell-bios", BROADWELL),
    hello("vmx-broadwell-uefi", bochs(firmware="uefi")),
    hello("vmx-arrandale-bios", bochs("corei5_arrandale_m520")),
    hello("vmx-skylake-strict", bochs("corei7_skylake_x", strict=True)),
    hello("vmx-icelake-bios", bochs("corei7_icelake_u")),
    hello("svm-bochs-ryzen", bochs("ryzen"), never=("Firmware Bug",)),
    hello("svm-cpuid-limited", qemu("max,level=1")),
    hello("vmx-cpuid-limited", bochs(extra=("cpu: cpuid_limit_winnt=1",))),
    hello("vmx-haswell-seabios", bochs("corei7_haswell_4770", firmware="seabios")),

    # Several CPUs, guests with several CPUs, several guests: the few that two CPUs of the host bear at any load.
    smp("svm-2", qemu(cpus=2), 2),
    smp("vmx-2", bochs(cpus=2), 2),
    Boot("smp/svm-lone-guest", qemu(cpus=2), (Expect(r"^havoc: SVM, 5\d\d MiB of memory"), LINUX, HELLO), elf="havoc.elf"),
    cpus_left_out("svm", qemu(cpus=2)),
    smp_shell("vmx-poweroff", bochs(cpus=2), (Send("poweroff -f\n"), OFF), ends="poweroff"),
    smp_guest("svm-2-on-1", MAX, 2),
    smp_guest("svm-4-on-2", qemu(cpus=2), 4),
    smp_guest("vmx-2-on-2", bochs(cpus=2), 2),
    tiny_guests("svm-4-on-2", qemu(cpus=2), 4),
    tiny_guests("vmx-4-on-2", bochs(cpus=2), 4),
    guests("svm-mistakes", qemu(cpus=2), "[vm a]\nimage = tiny\nmemroy = 64M\n[vm b]\nimage = none\n[vm c]\nimage = tiny\n"
           "affinity = 7\n[vm d]\nimage = tiny\ndedicated = on\naffinity = 1\nmemory = 64M\n[vm e]\nimage = tiny\n",
           (Expect(r"^havoc: havoc.conf:3: the key memroy is not known in \[vm\]: did you mean memory\?"),
            Expect(r"^havoc: havoc.conf:4: the image none of guest b is missing"),
            Expect(r"^havoc: havoc.conf:6: guest c is to run on CPU 7, and the machine has 2"),
            Expect(r"^havoc: guest a is not started"), Expect(r"^\[d\] hello"), Expect(r"^\[e\] hello"))),
    guests("svm-all-mistakes", MAX, "[vm a]\nimage = none\n", (Expect(r"^havoc: no guest can be started"),),
           options="on-error=poweroff", ends="poweroff"),
    guests("svm-lone", MAX, "[vm only]\nimage = tiny\n", (LINUX, HELLO)),
    *(guests(backend + "-devices", machine(cpus=2), "[vm mute]\nimage = tiny-smp\ncmdline = console=ttyS0\ncpus = 2\nhypercalls = console\n"
             "devices = none\n[vm late]\nimage = tiny\ncmdline = console=ttyS0\ndevices = serial\n",
             (AnyOrder((Expect(r"^\[mute\] hello from CPU 1", times=2), Expect(r"^\[late\] hello", times=2))),),
             images=("tiny", "tiny-smp"), never=(r"^\[mute\] \[", r"rtc_cmos")) for backend, machine in (("svm", qemu), ("vmx", bochs))),
    guests("svm-crash", qemu(cpus=2), "[vm good]\nimage = tiny\n[vm bad]\nkernel = bad\non-crash = restart\n",
           (AnyOrder((Expect(r"^havoc: guest bad was stopped: it executes from"),
                      Expect(r"^havoc: guest bad restarts \(it had crashed\), \d so far", timeout=120),
                      Expect(r"^\[good\] hello", times=4))), Expect(r"^\[good\] hello", times=2)),
           files_of=(("micro/mmio_exec.bz", "image bad"),), allow=("killed",)),
    hostile("svm-hostile", qemu(cpus=2)),

    deaths("svm-deaths", qemu(cpus=2, mem=1024)),
    deaths("vmx-deaths", bochs(cpus=2, mem=1024)),

    # A random hand on the guests' lives.
    stress("svm", qemu(cpus=3, mem=1024), 40, 100000, 1, cost=50),

    # Their firmware's ways with them; many CPUs, many guests; and that all of them are still there at the end.
    *full(
        stress("svm-5-minutes", qemu(cpus=5, mem=1024), 300, 100000, 2, cost=320),
        stress("vmx", bochs(cpus=3, mem=1024), 300, 3000, 3, cost=400),
        smp("svm-4-uefi", qemu(cpus=4, firmware="uefi"), 4),
        smp("svm-phenom-3", qemu("phenom", cpus=3), 3),
        smp("svm-64", qemu(cpus=64, mem=1024), 64),
        smp("vmx-4", bochs(cpus=4), 4),
        smp("vmx-arrandale-2", bochs("corei5_arrandale_m520", cpus=2), 2),
        smp("vmx-skylake-strict-2", bochs("corei7_skylake_x", cpus=2, strict=True), 2),
        cpus_left_out("vmx", bochs(cpus=2)),
        smp_shell("svm-on-idle-reboot", qemu(cpus=4), (Send("poweroff -f\n"), OFF), options="on-idle=reboot", ends="reboot"),
        smp_shell("svm-on-idle-halt", qemu(cpus=4), (Send("poweroff -f\n"), OFF), options="on-idle=halt", ends="halt"),
        *(smp_guest("%s-%d-on-2" % (backend, n), machine(cpus=2), n) for backend, machine in (("svm", qemu), ("vmx", bochs))
          for n in (1, 2, 4, 8) if (backend, n) not in (("svm", 4), ("vmx", 2))),
        smp_guest("svm-8-on-4", qemu(cpus=4), 8),
        smp_guest("vmx-8-on-1", BROADWELL, 8),
        smp_guest("svm-16-on-2", qemu(cpus=2), 16, timeout=240),
        smp_guest("svm-64-on-2", qemu(cpus=2), 64, timeout=600),
        smp_guest("vmx-16-on-2", bochs(cpus=2), 16, timeout=240),
        hostile("vmx-hostile", bochs(cpus=2)),
        guests("svm-demo", qemu(cpus=2), open(os.path.join("guest", "demo.conf")).read(),
               (Expect(r"^\[smp\] hello from CPU 0"), Expect(r"^\[smp\] hello from CPU 1"), Expect(r"^\[tiny\] hello"),
                Expect(r"^\[ring3\] hello from ring 3")), images=("tiny", "tiny-smp", "vmcall-hello")),
        tiny_guests("svm-4-on-1", MAX, 4),
        *(tiny_guests("%s-%d-on-%d" % (backend, n, cpus), machine(cpus=cpus, mem=512 if n < 16 else 2048), n)
          for backend, machine in (("svm", qemu), ("vmx", bochs)) for n in (1, 4, 16, 32) for cpus in (2, 4) if (n, cpus) != (4, 2)),
    ),

    # Formats.
    pvh("svm", MAX),
    pvh("vmx", BROADWELL),
    pvh("svm-2-cpus", MAX, "tiny-smp", tuple(Expect(r"^hello from CPU %d" % n) for n in (0, 1)), options="cpus=2 hypercall.console=on"),
    bad_guests("svm-bad-kernels", MAX),
    bad_guests("vmx-bad-kernels", BROADWELL),
    guests("svm-multiboot-modules", MAX, "[vm mb]\nkernel = mb\ncmdline = alpha beta=1\ninitrd = one\nmodule = one first=1 second\n"
           "module = one\nmemory = 32M\n[vm end]\nkernel = end\nexit-port = 0xf4\nmemory = 32M\n[vm good]\nimage = tiny\nmemory = 32M\n",
           (AnyOrder((Expect(r"\] FAIL multiboot32: module 0 has other contents"), Expect(r"^havoc: guest end has ended by its exit port: 3735928559 "),
                      Expect(r"\[good\] hello", times=3))),),
           files_of=(("micro/multiboot32.bz", "image mb"), ("micro/exit_port.bz", "image end"), (seven_bytes, "image one"))),
    refusal("truncated-elf", MAX, "the kernel image is cut off", elf="havoc-bare.elf", modules=((truncated_elf, "kernel"),)),
    refusal("long-command-line", MAX, "command line has more than the 2047 characters", elf="havoc-bare.elf",
            modules=(("guest/tiny/bzImage", "kernel " + "x" * 2048),)),

    # Kernels that use the PIC, the PIT or the HPET, for want of something better; and a machine that has none of these.
    without("svm-noapic", MAX, "noapic"),
    without("vmx-noapic", BROADWELL, "noapic"),
    without("svm-nolapic", MAX, "nolapic"),
    without("vmx-nolapic", BROADWELL, "nolapic"),
    without("svm-no-kvmclock", MAX, "no-kvmclock"),
    without("vmx-no-kvmclock", BROADWELL, "no-kvmclock"),
    without("svm-minimal", MAX, "", options="machine=minimal"),
    without("vmx-minimal", BROADWELL, "", options="machine=minimal"),

    # Debian's kernels.
    stock("debian-svm-2-cpus", qemu(cpus=2, mem=1024), 2),
    *full(
        stock("debian-svm-1-cpu", qemu(mem=1024), 1),
        memtest("memtest-svm", MAX, "x64"),
        memtest("memtest-32-bit-svm", MAX, "ia32"),
        stock("debian-i386-svm", qemu(mem=1024), 1, DEBIAN_I386, debian.shell_initrd("i386")),
        stock("debian-svm-4-cpus", qemu(cpus=4, mem=1024), 4),
        stock("debian-vmx-1-cpu", bochs(mem=1024), 1),
        stock("debian-vmx-2-cpus", bochs(cpus=2, mem=1024), 2),
        stock("debian-vmx-4-cpus", bochs(cpus=2, mem=1024), 4),
        stock("debian-i386-vmx", bochs(mem=1024), 1, DEBIAN_I386, debian.shell_initrd("i386")),
        *(stock("debian-6.12-svm-%d-cpus" % n, qemu(cpus=n, mem=1024), n, DEBIAN_6_12) for n in (1, 2, 4)),
        *(stock("debian-6.12-vmx-%d-cpus" % n, bochs(cpus=min(n, 2), mem=1024), n, DEBIAN_6_12) for n in (1, 2, 4)),
        *(installer("installer-svm-%d-cpus" % n, qemu(cpus=n, mem=2048), "amd64", n) for n in (1, 2, 4)),
        *(installer("installer-vmx-%d-cpus" % n, bochs(cpus=min(n, 2), mem=2048), "amd64", n) for n in (1, 2, 4)),
        installer("installer-i386-svm", qemu(mem=2048), "i386", 1),
        memtest("memtest-vmx", BROADWELL, "x64"),
    ),

    # Memory: more than 4 GiB, more than 64 GiB, and guests as large.
    hello("svm-max-5g", qemu(mem=5120)),
    hello("svm-max-80g", qemu(mem=80 * 1024)),
    hello("svm-max-80g-uefi", qemu(mem=80 * 1024, firmware="uefi")),
    hello("vmx-broadwell-5g", bochs(mem=5120), cost=60),
    shell("memory/svm-guest-6g", qemu(mem=8192),
          (Send("grep MemTotal /proc/meminfo\n"), Expect(r"^MemTotal: +(5|6)\d{6} kB")), options="mem=6G"),
    shell("memory/svm-guest-70g", qemu(mem=80 * 1024),
          (Send("grep MemTotal /proc/meminfo\n"), Expect(r"^MemTotal: +(6|7)\d{7} kB")), options="mem=70G"),
    shell("memory/vmx-guest-300m", BROADWELL,
          (Send("grep MemTotal /proc/meminfo\n"), Expect(r"^MemTotal: +2\d{5} kB")), options="mem=300M"),

    # A halted guest halts the host's CPU.
    Boot("idle/svm", MAX, (HELLO, Idle()), elf="havoc.elf"),

    # A machine without a serial port: a terminal on the screen, and the keyboard. (In QEMU only: of Bochs' displays those that Debian
    # has without X are `term`, which wants a terminal to draw on and gives no picture, and `rfb`, which needs a client for both.)
    terminal("bios", qemu(serial=False), 80, 25),
    terminal("uefi", qemu(serial=False, firmware="uefi"), 160, 50, cost=60),
    terminal("uefi-1080p", qemu(serial=False, firmware="uefi", extra=("-global", "VGA.xres=1920", "-global", "VGA.yres=1080")), 120, 33,
             cost=60),
    terminal("vbe", qemu(serial=False), 128, 48, gfxpayload="1024x768x32", grub_modules=("vbe",)),
    # There is one, but it is not to be used; or it is another one.
    terminal("none", MAX, 80, 25, options="console=none", never=(BANNER, "Linux version")),
    Boot("screen/com2", qemu(extra=("-serial", "null")), (Shows(r"^hello"),), elf="havoc.elf", options="console=com2",
         never=(BANNER, "Linux version")),
    # On both: typed on the one and on the other.
    Boot("screen/both", MAX, (PROMPT, Shows(r"^havoc:/root# "), Type("echo $((6*7))\n"), Expect(r"^42\r?$"), Shows("^42 "),
                              Send("echo $((6*8))\n"), Expect(r"^48\r?$"), Shows("^48 ")), image="shell"),
    Boot("screen/keymap", MAX, (PROMPT, Type("echo Yz/y\n"), Shows("^Zy-z "), Expect(r"^Zy-z\r?$")), image="shell",
         options="keymap=de"),

    # Typing; power.
    shell("shell/svm-max", MAX,
          (Send("echo $((6*7))\n"), Expect(r"^42\r?$"), Paste(3000), PROMPT, Send("poweroff -f\n"), OFF), ends="poweroff"),
    shell("shell/vmx-broadwell", BROADWELL,
          (Send("echo $((6*7))\n"), Expect(r"^42\r?$"), Paste(3000), PROMPT, Send("poweroff -f\n"), OFF), ends="poweroff"),
    shell("shell/vmx-arrandale", bochs("corei5_arrandale_m520"),
          (Send("echo $((6*7))\n"), Expect(r"^42\r?$"), Paste(1000), PROMPT, Send("poweroff -f\n"), OFF), ends="poweroff"),
    shell("shell/svm-phenom-uefi", qemu("phenom", firmware="uefi"),
          (Send("echo $((6*7))\n"), Expect(r"^42\r?$"), Paste(1000), PROMPT, Send("poweroff -f\n"), OFF), ends="poweroff"),
    shell("power/svm-reboot-guest", MAX,
          (Send("reboot -f\n"), Expect(r"^havoc: guest \S+ restarts \(triple fault\)"), LINUX, PROMPT, Send("poweroff -f\n"), OFF), ends="poweroff"),
    shell("power/vmx-reboot-guest", BROADWELL,
          (Send("reboot -f\n"), Expect(r"^havoc: guest \S+ restarts \(triple fault\)"), LINUX, PROMPT, Send("poweroff -f\n"), OFF), ends="poweroff"),
    shell("power/svm-on-idle-reboot", MAX, (Send("poweroff -f\n"), OFF), options="on-idle=reboot", ends="reboot"),
    shell("power/svm-on-idle-halt", MAX, (Send("poweroff -f\n"), OFF), options="on-idle=halt", ends="halt"),
    shell("power/vmx-on-idle-reboot", BROADWELL, (Send("poweroff -f\n"), OFF), options="on-idle=reboot", ends="reboot"),
    shell("power/vmx-on-idle-halt", BROADWELL, (Send("poweroff -f\n"), OFF), options="on-idle=halt", ends="halt"),
    shell("power/svm-uefi-poweroff", qemu(firmware="uefi"), (Send("poweroff -f\n"), OFF), ends="poweroff"),
    linux_reboot("svm-triple-fault", MAX, "t", "triple fault"),
    linux_reboot("svm-keyboard", MAX, "k", "[^)]*"),
    linux_reboot("svm-cf9", MAX, "p", "port 0xCF9"),
    linux_reboot("svm-bios", MAX, "b", "port 0xCF9"),
    linux_reboot("vmx-bios", BROADWELL, "b", "port 0xCF9"),
    linux_reboot("vmx-keyboard", BROADWELL, "k", "[^)]*"),

    # Hypercalls from ring 3.
    Boot("hypercall/svm", MAX, (Expect(r"^hello from ring 3\r?$", times=3),), image="vmcall-hello",
         options="hypercall.console=on"),
    Boot("hypercall/vmx", BROADWELL, (Expect(r"^hello from ring 3\r?$", times=3),), image="vmcall-hello",
         options="hypercall.console=on"),
    Boot("hypercall/svm-off", MAX, (Expect(r"vmcall-hello: no console hypercall here", times=2),), image="vmcall-hello",
         never=("hello from ring 3",)),
    Boot("hypercall/vmx-off", BROADWELL, (Expect(r"vmcall-hello: no console hypercall here", times=2),),
         image="vmcall-hello", never=("hello from ring 3",)),
    Boot("hypercall/svm-compat", MAX, (Expect(r"^hello, the older way\r?$", times=3),), image="vmcall-compat",
         options="hypercall.compat=on"),
    Boot("hypercall/vmx-compat", BROADWELL, (Expect(r"^hello, the older way\r?$", times=3),), image="vmcall-compat",
         options="hypercall.compat=on"),

    # Images and options.
    Boot("modules/win-over-embedded", MAX, (Expect(r"^hello from ring 3\r?$", times=2),), elf="havoc.elf",
         image="vmcall-hello", options="hypercall.console=on", never=(r"^hello\r?$",)),
    Boot("modules/arguments", MAX, (Expect(r"Command line: .*\bmarker=7\b"), HELLO), image="tiny",
         kernel_args="console=ttyS0 marker=7"),
    Boot("options/cmdline", MAX, (Expect(r"Command line: .*\bmarker=8\b"), HELLO), elf="havoc.elf",
         options='cmdline="console=ttyS0 marker=8"'),
    Boot("options/unknown", MAX, (Expect(r"^havoc: .*the option mme=?\S* is not known: did you mean mem=\?"), HELLO), elf="havoc.elf", options="mme=64M"),
    Boot("options/bad-value", MAX, (Expect(r"^havoc: .*mem=lots is not possible"), HELLO), elf="havoc.elf", options="mem=lots"),
    shell("options/loglevel", MAX, (Send("poweroff -f\n"), Expect(r"^havoc: exits: .*\bcpuid\b")), options="loglevel=debug",
          ends="poweroff"),

    # Havoc's own failure. The same for both vendors.
    panic("undefined", gdbstub.code_undefined, r"panic: invalid opcode \(#UD\)", r"rax [0-9a-f]{16} ", r"cr3 [0-9a-f]{16}  cr4 "),
    panic("null-pointer", gdbstub.code_null_read, r"panic: page fault .*: null pointer", r"rax 0{16} "),
    panic("assertion", gdbstub.code_assertion, r"panic: Havoc itself has failed, on CPU 0:", "assertion failed: a test, 42",
          r"r12 1badb00200c0ffee"),
    panic("on-error", gdbstub.code_undefined, r"panic: invalid opcode \(#UD\)", options="on-error=reboot", ends="reboot"),

    # The log that outlives a warm reset. (Not vmx-uefi: OVMF does not come up again after a reset of Bochs 2.7.)
    kept_log("svm-bios", MAX),
    kept_log("svm-uefi", qemu(firmware="uefi")),
    kept_log("svm-i440fx-5g", qemu(board="pc", mem=5120)),
    kept_log("vmx-bios", BROADWELL),
    Boot("kept-log/svm-reset-button", MAX, (HELLO, Reset(), Expect(BANNER), Expect(LAST % "a reset that was not Havoc's"), HELLO),
         elf="havoc.elf"),
    shell("kept-log/svm-orderly", MAX, (Send("poweroff -f\n"), OFF, Expect(BANNER), PROMPT), options="on-idle=reboot",
          never=("the log of the last boot",)),

    # The doctor; from a boot menu, too.
    doctor("svm", MAX, r"^Havoc +\S", r"^back end +SVM", r"^can start guests +yes", r"^nested paging +used", r"^decode assists +missing +\w",
           r"^AMD-V +on ", r"^0x100000 +0x\w+ +RAM", r"^TSC, measured +\d{8,} Hz", r"^screen +VGA text, 80 x 25", r"^FINDINGS"),
    doctor("svm-none", qemu("max,-svm"), r"^back end +none", r"^can start guests +no", r"^FINDINGS", r"^This CPU offers neither VMX"),
    doctor("svm-no-npt", qemu("qemu64"), r"^nested paging +missing +guests cannot be started", r"^FINDINGS", r"^This CPU has SVM without nested"),
    doctor("no-local-apic", qemu("max,-apic"), r"^can start guests +no", r"^local APIC +none", r"^The CPU's local APIC is absent"),
    doctor("svm-iommu", qemu("EPYC", extra=("-device", "amd-iommu")), r"^IOMMU +on ", r"^IOMMU +AMD-Vi"),
    doctor("vmx-no-ept", bochs("core2_penryn_t9600"), r"^EPT +missing +guests cannot be started", r"^FINDINGS", r"^This CPU's VMX has no EPT "),
    doctor("vmx-locked", bochs(firmware="seabios"), r"^EPT +used", r"^VT-x +LOCKED OFF", r"^VMX is locked off by the firmware",
           prelude="wrmsr 0x3a 0x1", grub_modules=("wrmsr",)),
    *(Boot("doctor/%s-json" % name, machine,
           (Json((("backend", backend), ("usable", "True"), ("cpu.model", r"\w"), ("cpu.cpus_listed", "^1$"), ("features.0.state", "^used$"),
                  ("memory.ram", r"^(4|5)\d\d$"), ("memory_map.0.kind", "RAM"), ("machine.tsc_hz", r"^\d{8,}$"), ("console.serial", "there"),
                  ("firmware.0.setting", r"VT-x|AMD-V"), ("findings.0", r"\.$"))),
            Expect(r"^havoc: the doctor is done")), elf="havoc-bare.elf", options="doctor=json loglevel=info", ends="halt", cost=cost)
      for name, backend, machine, cost in (("svm", "SVM", MAX, 12), ("svm-uefi", "SVM", qemu(firmware="uefi"), 40), ("vmx", "VMX", BROADWELL, 12))),
    Boot("doctor/menu-bios", MAX, (Expect(r"Havoc doctor"), Send("d"), Expect(r"^back end +SVM"), Expect(r"^havoc: the doctor is done")),
         elf="havoc.elf", menu=True, ends="halt", never=("Linux version",)),
    Boot("doctor/menu-default", qemu(firmware="uefi"), (Expect(r"Havoc doctor"), Expect(BANNER), LINUX, HELLO), elf="havoc.elf", menu=True,
         options='cmdline="console=ttyS0 marker=$8;9"', cost=40),

    # Preflight: what is wrong and what to do, in one sentence.
    refusal("vmx-no-ept", bochs("core2_penryn_t9600"), r"This CPU's VMX has no EPT "),
    refusal("vmx-no-unrestricted-guest", bochs("corei5_lynnfield_750"), r"This CPU's VMX has no unrestricted guest "),
    refusal("vmx-locked", bochs(firmware="seabios"), r"VMX is locked off by the firmware \(IA32_FEATURE_CONTROL = 0x1\)",
            prelude="wrmsr 0x3a 0x1", grub_modules=("wrmsr",)),
    refusal("svm-none", qemu("max,-svm"), "this CPU offers neither VMX"),
    refusal("svm-no-npt", qemu("qemu64"), "SVM without nested paging"),
    refusal("no-local-apic", qemu("max,-apic"), "this CPU's local APIC is absent or turned off"),
    refusal("no-guest", MAX, "there is no guest image", elf="havoc-bare.elf"),
    refusal("no-kernel", MAX, "module 1 is no kernel that can be booted", elf="havoc-bare.elf", modules=((text_file, "kernel"),)),
    refusal("truncated-kernel", MAX, "kernel", elf="havoc-bare.elf", modules=((truncated_kernel, "kernel"),)),
    refusal("too-little-memory", MAX, "the guest needs 6553[0-9] MiB", options="mem=64G on-error=poweroff"),
    refusal("vmx-too-little-memory", BROADWELL, "the guest needs 6553[0-9] MiB", options="mem=64G on-error=poweroff"),
    refusal("on-error-halt", qemu("max,-svm"), "this CPU offers neither VMX", options="", ends="halt"),
    refusal("on-error-reboot", qemu("max,-svm"), "this CPU offers neither VMX", options="on-error=reboot", ends="reboot"),
]
