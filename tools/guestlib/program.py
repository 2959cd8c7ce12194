# SPDX-License-Identifier: MIT
"""Programs for guests: compiled from C against musl, static (18 KB for hello; glibc's is 760 KB), or given ready.

A result stands under build/guest/.bin with a note of what it was made from, and is made again only if that changed.
"""
import hashlib
import json
import os
import re
import shutil
import subprocess

from guestlib import elf
from guestlib.common import ROOT, Fault, sha256_file

# Linux's own headers (linux/...) are not among musl's. guest/ holds havoc.h.
INCLUDE = ["-I" + os.path.join(ROOT, "guest")] + [word for folder in ("/usr/include", "/usr/include/x86_64-linux-gnu")
                                                   for word in ("-idirafter", folder)]
OURS = ["-std=gnu11", "-Os", "-static", "-s", "-Wall", "-Wextra", "-Werror"]
THEIRS = ["-std=gnu11", "-O2", "-static", "-s", "-Wall"]


def compiler():
    return os.environ.get("GUEST_CC") or "musl-gcc"


def identity(command):
    """Tells one compiler from the next without starting it."""
    path = shutil.which(command[0])
    if not path:
        raise Fault(f"{command[0]} is not installed (run: tools/setup guest)")
    info = os.stat(os.path.realpath(shutil.which("gcc") or path))
    return [" ".join(command), path, info.st_size, info.st_mtime_ns]


def note_of(command, files):
    return {"made": identity(command), "from": {name: sha256_file(name) for name in files}}


def is_current(out, command):
    try:
        with open(out + ".json") as file:
            note = json.load(file)
        return os.path.isfile(out) and note == note_of(command, note["from"])
    except (OSError, ValueError, KeyError):
        return False


def dependencies(path):
    """The files that a depfile of gcc names, for the target "x". # and spaces have a backslash before them, and those that stand
    before a space are doubled; $ is $$."""
    with open(path, errors="surrogateescape") as file:
        words = re.findall(r"(?:(?:\\\\)*\\[ \t]|\\#|\S)+", file.read().replace("\\\n", " ").split(":", 1)[1])
    return sorted({re.sub(r"((?:\\\\)*)\\([ \t])", lambda m: m.group(1)[::2] + m.group(2), word).replace("\\#", "#").replace("$$", "$")
                   for word in words})


def compile_c(source, out, ours=False):
    """`ours`: a program of this repository, which has to compile without a warning."""
    command = [compiler()] + (OURS if ours else THEIRS) + INCLUDE + [f"-ffile-prefix-map={os.path.dirname(source)}=."]
    if is_current(out, command + [source]):
        return out
    os.makedirs(os.path.dirname(out), exist_ok=True)
    temporary = f"{out}.{os.getpid()}"
    try:
        identity(command)  # says so if there is no such compiler
        result = subprocess.run(command + ["-MMD", "-MT", "x", "-MF", temporary + ".d", "-o", temporary, source],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        text = result.stdout.decode(errors="replace").strip()
        if result.returncode:
            raise Fault(f"{source} does not compile:\n{text}")
        if text:
            print(text, flush=True)
        note = note_of(command + [source], dependencies(temporary + ".d"))
        os.replace(temporary, out)
        with open(out + ".json", "w") as file:
            json.dump(note, file)
    finally:
        for left in (temporary, temporary + ".d"):
            if os.path.exists(left):
                os.remove(left)
    return out


def provide(path, folder):
    """PROGRAM: the file that becomes /init."""
    if path.endswith(".c"):
        name = os.path.basename(path)[:-2] + "-" + hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
        return compile_c(path, os.path.join(folder, name))
    kind = elf.kind_of_file(path)
    if kind.kind == "script":
        raise Fault(f"PROGRAM={path} is a script: it needs {kind.interpreter or 'an interpreter'} beside it. Give both in a folder "
                    "as LINUX_INITRAMFS_ROOT")
    if not kind.kind:
        raise Fault(f"PROGRAM={path} is neither a C file (.c) nor an ELF program")
    if kind.wrong:
        raise Fault(f"PROGRAM={path} is {kind.wrong}: the guest runs 64-bit x86 programs")
    if kind.dynamic:
        raise Fault(f"PROGRAM={path} is dynamically linked (it needs {kind.interpreter or 'an interpreter'}): link it with -static, give its C file, or put "
                    "it with its libraries in a folder as LINUX_INITRAMFS_ROOT")
    return path
