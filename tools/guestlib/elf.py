# SPDX-License-Identifier: MIT
"""What can be started as a guest's program, told by its first bytes: an ELF file for x86-64, static or with its
interpreter, or a script. See the ELF specification, "ELF Header" and "Program Header".
"""
import struct
from dataclasses import dataclass

PT_INTERP = 3


@dataclass
class Kind:
    kind: str  # "elf", "script", "" for neither
    interpreter: str = ""  # what it needs besides itself
    shared: bool = False  # ET_DYN without an interpreter: a library, or a static PIE
    wrong: str = ""  # why it is no program for this machine
    dynamic: bool = False  # it has an interpreter, also where its name stands too far behind to be known


def kind_of(data):
    """`data`: the file's beginning; 4096 bytes are enough."""
    if data[:2] == b"#!":
        words = data[2:].split(b"\n", 1)[0].split()
        return Kind("script", words[0].decode("utf-8", "surrogateescape") if words else "")
    if data[:4] != b"\x7fELF":
        return Kind("")
    if len(data) < 64 or data[4] != 2 or data[5] != 1:
        return Kind("elf", wrong="a 32-bit program" if len(data) > 5 and data[4] == 1 else "a damaged ELF file")
    e_type, machine = struct.unpack_from("<HH", data, 16)
    if machine != 62:
        return Kind("elf", wrong="a program for another kind of CPU")
    if e_type not in (2, 3):
        return Kind("elf", wrong="an object file, not a program: link it")
    phoff, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    interpreter, dynamic = "", False
    for at in range(phoff, phoff + size * count, size or 1):
        if size < 56 or at + size > len(data):
            break
        if struct.unpack_from("<I", data, at)[0] == PT_INTERP:
            dynamic = True
            offset, = struct.unpack_from("<Q", data, at + 8)
            length, = struct.unpack_from("<Q", data, at + 32)
            interpreter = data[offset:offset + length].split(b"\0")[0].decode("utf-8", "surrogateescape")
    return Kind("elf", interpreter, shared=e_type == 3 and not dynamic, dynamic=dynamic)


def kind_of_file(path):
    with open(path, "rb") as file:
        return kind_of(file.read(4096))
