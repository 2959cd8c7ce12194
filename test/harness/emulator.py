# SPDX-License-Identifier: MIT
"""The emulated machines: QEMU (SVM) and Bochs (VMX), without a display, with COM1 on a socket that pexpect drives.

A machine ends by itself (the guest powered it off), or stop() ends it; a `timeout` around the emulator
sees to it that nothing is left even if this process is killed.
"""
import json
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass

import pexpect
from pexpect import fdpexpect

from harness import gdbstub
from harness.core import Broken, Failure, Skip, children

OVMF_CODE = "/usr/share/OVMF/OVMF_CODE_4M.fd"
OVMF_VARS = "/usr/share/OVMF/OVMF_VARS_4M.fd"
OVMF_BOCHS = "/usr/share/ovmf/OVMF.fd"
BOCHS_BIOS = "/usr/share/bochs/BIOS-bochs-latest"
BOCHS_VGABIOS = "/usr/share/vgabios/vgabios.bin"
SEABIOS = "/usr/share/seabios/bios-256k.bin"


@dataclass(frozen=True)
class Machine:
    """What is to be emulated."""

    emulator: str  # "qemu" or "bochs"
    model: str  # -cpu of QEMU, model= of Bochs
    firmware: str = "bios"  # "bios", "uefi"; Bochs: also "seabios"
    mem: int = 512  # MiB
    cpus: int = 1
    strict: bool = False  # Bochs: MSRs that the model does not know fault
    # QEMU: all CPUs in one thread, in turns. With a thread each (7.2) it now and then forgets, behind a VM exit and as long as
    # the CPUs write to devices all the time, how addresses are translated: a triple fault of the guest or the host.
    one_thread: bool = False
    icount: bool = False  # QEMU: one tick of the TSC is one instruction
    board: str = "q35"  # QEMU: -machine
    media: str = "cd"  # "cd", or QEMU: "disk", "usb": the ISO written to one
    serial: bool = True  # QEMU: is there a COM1?
    com2: bool = False  # is there a second one?
    extra: tuple = ()  # QEMU: more arguments; Bochs: more lines

    @property
    def backend(self):
        return "VMX" if self.emulator == "bochs" else "SVM"


class Plain(fdpexpect.fdspawn):
    """Guests' names without their colours."""

    NAME = re.compile(rb"\x1b\[3\dm(\[[^\]\x1b]*\])\x1b\[m")
    BEGUN = re.compile(rb"\x1b(\[(3(\dm?)?)?)?\Z|\x1b\[3\dm\[[^\]\x1b]{0,40}(\](\x1b(\[)?)?)?\Z")
    rest = b""

    def read_nonblocking(self, size=1, timeout=None):
        while True:
            try:
                data = self.rest + super().read_nonblocking(size, timeout)
            except (pexpect.EOF, pexpect.TIMEOUT):
                if not self.rest:
                    raise
                data, self.rest = self.rest, b""
                return data
            data = self.NAME.sub(rb"\1", data)
            begun = self.BEGUN.search(data)
            self.rest = data[begun.start():] if begun else b""
            data = data[:begun.start()] if begun else data
            if data:  # nothing would mean the end
                return data


class Console:
    """A serial line: what came is in a file of the case's folder."""

    def __init__(self, sock, folder, name="serial.txt"):
        self.path = os.path.join(folder, name)
        self.sock = sock
        self.file = open(self.path, "wb", buffering=0)
        self.child = Plain(sock, timeout=60, maxread=65536)
        self.child.logfile_read = self.file
        self.child.delaybeforesend = None

    def text(self):
        with open(self.path, "rb") as f:
            return Plain.NAME.sub(rb"\1", f.read()).decode("utf-8", "replace").replace("\r", "")

    def expect(self, pattern, timeout, trouble=None):
        """Waits for a regular expression. True: it came; False: the machine ended, or `trouble` came before it;
        None: time ran out."""
        patterns = [pexpect.EOF, pexpect.TIMEOUT] + [re.compile(p.encode(), re.M) for p in (pattern, trouble) if p]
        try:
            found = self.child.expect(patterns, timeout=timeout)
        except OSError:  # the other end was closed with bytes of ours unread
            self.child.before = b""
            return False
        return (False, None, True, False)[found]

    def send(self, text):
        self.sock.sendall(text.encode())

    def drain(self, timeout):
        """Reads until the machine ends (True) or time runs out (False)."""
        return self.expect(r"(?!)", timeout) is False

    def close(self):
        self.sock.close()
        self.file.close()


class Running:
    """A started emulator; a context manager that leaves nothing behind."""

    def __init__(self, env, machine, iso, folder, limit, debugger=()):
        """`debugger`: commands for Bochs's, carried out before the machine starts."""
        self.env = env
        self.machine = machine
        self.folder = folder
        self.log = os.path.join(folder, "emulator.txt")
        self.child = None
        self.console = None
        self.com2 = None
        self.monitor = None
        self.debugger = None  # QEMU: a gdbstub.Stub
        self.debugger_sock = None
        self.scratch = []
        self.pending = b""
        self.events = []
        if machine.emulator == "qemu":
            self._qemu(iso, limit)
        else:
            self._bochs(iso, limit, debugger)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        if self.child:
            children.stop(self.child)
            self.child = None
        for closing in (self.monitor, self.debugger_sock, self.console, self.com2):
            if closing:
                closing.close()
        self.monitor = self.debugger_sock = None
        for path in self.scratch:
            try:
                os.remove(path)
            except OSError:
                pass

    def wait_end(self, timeout):
        """Does the emulator end by itself within the time?"""
        ended = self.console.drain(timeout)
        if ended and self.child:
            try:
                self.child.wait(30 * self.env.scale)
            except subprocess.TimeoutExpired:
                return False
        return ended

    def _start(self, argv, limit, **kwargs):
        with open(self.log, "ab") as out:
            out.write((" ".join(argv) + "\n").encode())
            out.flush()
            argv = ["timeout", "-s", "KILL", str(int(limit) + 60)] + argv
            self.child = children.start(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, **kwargs)

    def _qemu(self, iso, limit):
        m = self.machine
        ours, theirs = socket.socketpair()
        mon_ours, mon_theirs = socket.socketpair()
        self.debugger_sock, gdb_theirs = socket.socketpair()
        accel = "tcg,thread=single" if m.one_thread else "tcg"
        argv = ["qemu-system-x86_64", "-accel", accel, "-machine", m.board, "-cpu", m.model, "-nodefaults", "-no-user-config",
                "-display", "none", "-vga", "std",
                "-chardev", "socket,id=com1,fd=%d" % theirs.fileno(), "-serial", "chardev:com1" if m.serial else "none",
                "-chardev", "socket,id=mon,fd=%d" % mon_theirs.fileno(), "-mon", "chardev=mon,mode=control",
                "-chardev", "socket,id=gdb,fd=%d" % gdb_theirs.fileno(), "-gdb", "chardev:gdb"]
        if m.media == "cd":
            argv += ["-drive", "if=none,id=iso,media=cdrom,readonly=on,file=" + iso, "-device", "ide-cd,drive=iso,bus=ide.0"]
        else:
            argv += ["-drive", "if=none,id=iso,format=raw,snapshot=on,file=" + iso]
            argv += {"disk": ["-device", "ide-hd,drive=iso,bus=ide.0"],
                     "usb": ["-device", "qemu-xhci", "-device", "usb-storage,drive=iso"]}[m.media]
        if m.mem > 8192:
            # More than this host has: a sparse file.
            ram = os.path.join(self.folder, "ram")
            self.scratch.append(ram)
            with open(ram, "wb") as f:
                try:
                    f.truncate(m.mem << 20)
                except OSError as e:
                    raise Skip("no sparse file of %d MiB in %s: %s" % (m.mem, self.folder, e)) from e
            argv += ["-object", "memory-backend-file,id=ram,size=%dM,mem-path=%s,share=on" % (m.mem, ram),
                     "-machine", "memory-backend=ram"]
        argv += ["-m", "%dM" % m.mem, "-smp", str(m.cpus)]
        if m.firmware == "uefi":
            own = os.path.join(self.folder, "vars.fd")
            shutil.copyfile(OVMF_VARS, own)
            self.scratch.append(own)
            argv += ["-drive", "if=pflash,format=raw,readonly=on,file=" + OVMF_CODE,
                     "-drive", "if=pflash,format=raw,file=" + own]
        if m.icount:
            argv += ["-icount", "shift=0"]
        given = [theirs, mon_theirs, gdb_theirs]
        if m.com2:
            second, second_theirs = socket.socketpair()
            given.append(second_theirs)
            argv += ["-chardev", "socket,id=com2,fd=%d" % second_theirs.fileno(), "-serial", "chardev:com2"]
            self.com2 = Console(second, self.folder, "com2.txt")
        argv += list(m.extra)
        self._start(argv, limit, pass_fds=tuple(sock.fileno() for sock in given))
        for sock in given:
            sock.close()
        self.debugger = gdbstub.Stub(self.debugger_sock, self.log, 20 * self.env.scale)
        self.monitor = mon_ours
        self.console = Console(ours, self.folder)
        self.execute("qmp_capabilities", timeout=60)

    def _bochs(self, iso, limit, debugger):
        m = self.machine
        # Bochs connects to us: so that the port is free for certain, and no two cases want the same.
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(2)
            port = listener.getsockname()[1]
            rom = {"bios": BOCHS_BIOS, "uefi": OVMF_BOCHS, "seabios": SEABIOS}[m.firmware]
            lines = [
                "config_interface: textconfig",
                "display_library: term",
                "cpu: model=%s, count=%d, ips=100000000, quantum=16, reset_on_triple_fault=0, ignore_bad_msrs=%d, "
                "cpuid_limit_winnt=0" % (m.model, m.cpus, not m.strict),
                "memory: guest=%d, host=%d" % (m.mem, min(m.mem, 2048)),
                "romimage: file=%s%s" % (rom, ", options=fastboot" if m.firmware == "bios" else ""),
                "vgaromimage: file=" + BOCHS_VGABIOS,
                "pci: enabled=1, chipset=i440fx",
                "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
                'ata0-master: type=cdrom, path="%s", status=inserted' % os.path.abspath(iso),
                "boot: cdrom",
                "clock: sync=none, time0=946681200",
                "com1: enabled=1, mode=socket-client, dev=localhost:%d" % port,
                "speaker: enabled=0",
                "log: " + os.path.abspath(os.path.join(self.folder, "bochs.log")),
                "error: action=ignore",
                "panic: action=fatal",
            ] + ["com2: enabled=1, mode=socket-client, dev=localhost:%d" % port] * m.com2 + list(m.extra)
            rc = os.path.join(self.folder, "bochsrc")
            with open(rc, "w") as f:
                f.write("\n".join(lines) + "\n")
            go = os.path.join(self.folder, "go.rc")
            with open(go, "w") as f:
                f.write("".join(line + "\n" for line in tuple(debugger) + ("c",)))
            self._start(["bochs", "-q", "-f", rc, "-rc", go], limit, env={**os.environ, "TERM": "dumb"})
            listener.settimeout(180 * self.env.scale)  # long with more memory than Bochs holds at once
            try:
                sock, _ = listener.accept()
                if m.com2:
                    self.com2 = Console(listener.accept()[0], self.folder, "com2.txt")
            except socket.timeout as e:
                self.stop()
                raise Broken("Bochs did not start", self.log) from e
        sock.settimeout(None)
        self.console = Console(sock, self.folder)

    # ---- QEMU's machine protocol: a JSON object a line ----

    def _answer(self, timeout):
        """The next line that is an answer; events on the way are kept."""
        self.monitor.settimeout(timeout * self.env.scale)
        while True:
            while b"\n" not in self.pending:
                try:
                    part = self.monitor.recv(65536)
                except socket.timeout as e:
                    raise Broken("QEMU's monitor does not answer", self.log) from e
                if not part:
                    return None
                self.pending += part
            line, self.pending = self.pending.split(b"\n", 1)
            message = json.loads(line)
            if "event" in message:
                self.events.append(message)
            elif "QMP" not in message:
                return message

    def execute(self, name, timeout=20, **arguments):
        request = {"execute": name}
        if arguments:
            request["arguments"] = arguments
        try:
            self.monitor.sendall(json.dumps(request).encode() + b"\n")
            answer = self._answer(timeout)
        except OSError:
            answer = None
        if answer is None:
            raise Failure("the machine has ended", self.console.path)
        if "error" in answer:
            raise Broken("QEMU: %s: %s" % (name, answer["error"].get("desc")), self.log)
        return answer["return"]

    def how_it_ended(self):
        """The reason of QEMU's SHUTDOWN event ("guest-shutdown", "guest-reset", ...); None if there was none."""
        try:
            self._answer(10)
        except OSError:
            pass
        return next((e["data"]["reason"] for e in self.events if e["event"] == "SHUTDOWN"), None)


def halted_share(running, samples=40, pause=0.05):
    """Which share of the samples finds the (first) CPU halted. QEMU only."""
    halted = 0
    for _ in range(samples):
        halted += "HLT=1" in running.execute("human-monitor-command", **{"command-line": "info registers"})
        time.sleep(pause)
    return halted / samples
