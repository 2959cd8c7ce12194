# SPDX-License-Identifier: MIT
"""QEMU's debugger stub, as far as a test needs it: writes to the machine's physical memory while it runs.

GDB manual, "GDB Remote Serial Protocol"; QEMU, "GDB usage" (physical memory mode).
"""
import re
import struct

from harness import core
from harness.core import Broken

IMAGE_VA = 0xffffffff80000000  # arch/include/arch/layout.h; loaded where it is linked, if that is free


class Stub:
    def __init__(self, sock, log, timeout):
        self.sock = sock
        self.log = log
        sock.settimeout(timeout)

    def _ask(self, text):
        self.sock.sendall(b"$%s#%02x" % (text.encode(), sum(text.encode()) & 0xff))
        answer = b""
        try:
            while not re.search(rb"#..", answer):
                part = self.sock.recv(4096)
                if not part:
                    break
                answer += part
        except OSError:
            pass
        found = re.search(rb"\$([^#]*)#..", answer)
        if not found:
            raise Broken("QEMU's debugger stub does not answer to " + text, self.log)
        self.sock.sendall(b"+")
        return found.group(1).decode()

    def write_physical(self, address, data):
        """Stops the machine, writes, lets it go on."""
        for request in ("?", "Qqemu.PhyMemMode:1", "M%x,%x:%s" % (address, len(data), data.hex()), "D"):
            if self._ask(request).startswith("E"):
                raise Broken("QEMU's debugger stub refuses " + request, self.log)


def symbols(env, elf):
    return {name: int(value, 16) for value, _, name in
            (line.split() for line in core.output(["nm", env.path(elf + ".debug")]).splitlines() if len(line.split()) == 3)}


# ---- Machine code to put in a function's place ----

def code_undefined(_at, _symbol):
    return b"\x0f\x0b"  # ud2


def code_null_read(_at, _symbol):
    return b"\x31\xc0\x48\x8b\x00"  # xor eax, eax; mov rax, [rax]


def code_assertion(at, symbol):
    """host_panic("assertion failed: a test, %d", 42), with a number in R12 that is to be seen."""
    code = b"\x49\xbc" + struct.pack("<Q", 0x1badb00200c0ffee)  # mov r12, ...
    code += b"\xbe" + struct.pack("<I", 42)  # mov esi, 42
    text = len(code) + 7 + 5
    code += b"\x48\x8d\x3d" + struct.pack("<i", text - len(code) - 7)  # lea rdi, [rip + ...]
    code += b"\xe8" + struct.pack("<i", symbol["host_panic"] - (at + len(code) + 5))  # call
    return code + b"assertion failed: a test, %d\0"


def patch(running, env, elf, function, code):
    known = symbols(env, elf)
    at = known[function]
    running.debugger.write_physical(at - IMAGE_VA, code(at, known))


def bochs_commands(env, elf, function):
    """For Bochs's own debugger: stop where the function is first called, and put undefined code there."""
    at = symbols(env, elf)[function]
    there = at - IMAGE_VA
    return ("lb 0x%x" % at, "c", "setpmem 0x%x 1 0x0f" % there, "setpmem 0x%x 1 0x0b" % (there + 1), "d 1")
