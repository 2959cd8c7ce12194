#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Proves the layering of docs/architecture.md on what was compiled, by nm, and on what is included.

    test/check/layers.py build/metal

Who may refer to whom is the table LAYERS. Besides that: vmm/ has no mutable file-scope state, no inline
assembly stands outside arch/include/arch/insn.h, and devices include only their seams.
"""
import glob
import os
import re
import subprocess
import sys

# folder -> the folders (or single files) whose symbols it may use. Its own always; `host`: what vmm/host.h
# declares; `panic`: of that only host_panic(), which hv_assert() calls; `gen`, `link`: made by the build, the linker.
LAYERS = {
    "vmm/lib": {"host"},
    "vmm/mem": {"vmm/lib", "host"},
    "vmm/emul": {"vmm/lib", "vmm/mem", "panic"},
    "vmm/dev": {"vmm/lib", "panic"},
    "vmm/irq": {"vmm/lib", "vmm/dev", "panic"},
    "vmm/load": {"vmm/lib", "vmm/mem", "gen", "panic"},
    "vmm/core": {"vmm/lib", "vmm/mem", "vmm/emul", "vmm/dev", "vmm/irq", "vmm/load", "vmm/machine/machine.c", "host"},
    "vmm/monitor": {"vmm/lib", "vmm/mem", "vmm/dev", "vmm/load", "vmm/core", "host"},
    "vmm/machine": {"vmm/lib", "vmm/mem", "vmm/dev", "vmm/irq", "vmm/load", "vmm/core", "host"},
    "arch/vmx": {"vmm/lib", "vmm/mem", "vmm/core", "host", "arch/host"},
    "arch/svm": {"vmm/lib", "vmm/mem", "vmm/core", "host", "arch/host"},
    "arch/host": {"vmm/lib", "vmm/mem", "vmm/dev/clock.c", "gen", "link", "boot"},
    "boot": None,  # everything: it wires all together
    "gen": set(),
}

# What vmm/ may keep outside struct host, vm, vcpu and pcpu: the log, which must work in a panic.
STATE_ALLOWED = {"vmm/lib/log.c"}

# What the files of a folder may include besides the compiler's headers and their own.
CONSTANTS = {"arch/regs.h", "arch/msr.h", "arch/cpuid.h"}
SEAMS = {"vmm/" + n + ".h" for n in ("assert", "bus", "chardev", "clock", "errno", "gmem", "irq", "string", "types")}
INCLUDES = {"vmm/dev": SEAMS, "vmm/irq": SEAMS}
COMPILER = {"stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "stdatomic.h", "limits.h"}

ASM_HOME = "arch/include/arch/insn.h"

faults = []


def fault(text):
    faults.append(text)


def nm(path):
    """(type, name) of each symbol of an object."""
    out = subprocess.run(["nm", "-P", path], check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout
    for line in out.splitlines():
        name, kind = line.split()[:2]
        yield kind, name


def declared(header):
    """The functions that a header declares."""
    with open(header) as f:
        text = re.sub(r"/\*.*?\*/", " ", f.read(), flags=re.S)
    text = re.sub(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)
    return set(re.findall(r"\b(\w+)\s*\([^()]*(?:\([^()]*\)[^()]*)*\)\s*(?:must_check|printf_like\([^)]*\)|\s)*;", text))


def layer_of(source):
    return "gen" if source.startswith("gen/") else source.rsplit("/", 1)[0]


def check_symbols(metal):
    objects = sorted(glob.glob(metal + "/**/*.o", recursive=True))
    objects = [o for o in objects if os.path.exists(os.path.relpath(o, metal)[:-2]) or "/gen/" in o]
    host = declared("vmm/include/vmm/host.h")
    if len(host) < 15 or "host_panic" not in host:
        fault("test/check/layers.py finds only %s in host.h: its pattern is wrong" % sorted(host))

    owner, undefined = {}, {}
    for path in objects:
        source = os.path.relpath(path, metal)[:-2]
        for kind, name in nm(path):
            if kind == "U":
                undefined.setdefault(source, set()).add(name)
            elif kind.isupper() or kind in "wv":
                owner.setdefault(name, source)
            if kind in "dDbBcC" and source.startswith("vmm/") and source not in STATE_ALLOWED:
                fault("%s: mutable file-scope state: %s" % (source, name))
    if not any(s.startswith("vmm/") for s in undefined):
        fault("no objects of vmm/ in %s" % metal)

    for source in sorted(undefined):
        layer = layer_of(source)
        allowed = LAYERS.get(layer)
        if layer not in LAYERS:
            fault("%s: test/check/layers.py has no row for %s" % (source, layer))
        if allowed is None:
            continue
        for name in sorted(undefined[source]):
            home = owner.get(name)
            target = layer_of(home) if home else "link"
            if target == layer or target in allowed or home in allowed:
                continue
            if name in host and ("host" in allowed or (name == "host_panic" and "panic" in allowed)):
                continue
            fault("%s: uses %s of %s: %s may use only %s" % (source, name, home or "nobody", layer, " ".join(sorted(allowed))))

    # The whole of vmm/ against the two seams.
    for source in sorted(s for s in undefined if s.startswith("vmm/")):
        for name in sorted(undefined[source]):
            home = owner.get(name, "")
            if not home.startswith(("vmm/", "gen/")) and name not in host:
                fault("%s: uses %s, which vmm/ does not define and host.h does not declare" % (source, name))


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: "\n" * m.group(0).count("\n"), text, flags=re.S)


def check_sources():
    files = [f for pattern in ("boot/*.[ch]", "arch/**/*.[ch]", "vmm/**/*.[ch]") for f in glob.glob(pattern, recursive=True)]
    for path in sorted(files):
        with open(path) as f:
            text = without_comments(f.read())
        if path != ASM_HOME:
            for found in re.finditer(r"\b(__asm__|__asm|asm)\b", text):
                fault("%s:%d: inline assembly: it belongs in %s" % (path, text.count("\n", 0, found.start()) + 1, ASM_HOME))
        for line, kind, name in ((text.count("\n", 0, m.start()) + 1, m.group(1), m.group(2))
                                 for m in re.finditer(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', text, re.M)):
            check_include(path, line, kind, name)


def check_include(path, line, kind, name):
    where = "%s:%d: includes %s" % (path, line, name)
    if not path.startswith("vmm/"):
        other = {"arch/vmx": "svm", "arch/svm": "vmx"}.get(os.path.dirname(path))
        if other and other in name:
            fault(where + ": the back ends do not see each other")
        return
    if name in COMPILER:
        return
    if not name.startswith("vmm/") and name not in CONSTANTS:
        # A header that stands beside the file.
        if kind == '"' and os.path.exists(os.path.join(os.path.dirname(path), name)):
            return
        if not (path.endswith("string.h") and name == "string.h"):  # the host test's
            fault(where + ": vmm/ includes vmm/ and the constants of arch/ only")
        return
    allowed = INCLUDES.get(os.path.dirname(path))
    if allowed is not None and name not in allowed | CONSTANTS and name != "vmm/%s.h" % os.path.basename(path)[:-2].split("_")[0]:
        fault(where + ": a device sees only its seams (%s)" % " ".join(sorted(allowed)))


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    check_symbols(sys.argv[1].rstrip("/"))
    check_sources()
    for text in faults:
        print(text)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
