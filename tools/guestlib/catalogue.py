# SPDX-License-Identifier: MIT
"""The catalogue: a folder under guest/images is an image, and nothing else is needed for a new one.

  initramfs.list   what is in its root (listfile.py). @BIN@/NAME is NAME.c of the same folder or of guest/, compiled;
                   @BUSYBOX@ is a static BusyBox; @IMAGE@ is the folder
  kernel           optional: its kernel's configuration, as names of fragments in guest/linux; default: tiny
  kernel.deb       optional, instead: the Debian package whose kernel it is, unmodified
  cmdline          optional: the kernel's command line
  options          optional: options for the hypervisor's own command line
  try              optional: arguments of QEMU's for `make try`
"""
import os
import re
import subprocess

from guestlib import listfile, program
from guestlib.common import ROOT, TOOLS, Fault, read_text

IMAGES = os.path.join(ROOT, "guest", "images")
FRAGMENTS = os.path.join(ROOT, "guest", "linux")


def names():
    return sorted(name for name in os.listdir(IMAGES) if os.path.isfile(os.path.join(IMAGES, name, "initramfs.list")))


def exists(name):
    return name in names()


def folder(name):
    if not exists(name):
        raise Fault(f"IMAGE={name}: there is no such image; there are: {' '.join(names())}")
    return os.path.join(IMAGES, name)


def part(name, what, default=""):
    path = os.path.join(folder(name), what)
    return read_text(path).strip() if os.path.isfile(path) else default


def family(name):
    """A word for the set of an image's fragments."""
    return "-".join(part(name, "kernel", "tiny").split())


def fragments(name):
    where = os.path.join(folder(name), "kernel")
    found = []
    for word in part(name, "kernel", "tiny").split():
        path = os.path.join(FRAGMENTS, word + ".config")
        if not os.path.isfile(path):
            there = sorted(n[:-7] for n in os.listdir(FRAGMENTS) if n.endswith(".config"))
            raise Fault(f"{where}: there is no fragment {word} in guest/linux; there are: {' '.join(there)}")
        found.append(path)
    return found


def busybox(build):
    path = os.path.join(build, ".bin", "busybox")
    if not os.path.isfile(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if subprocess.run([os.path.join(TOOLS, "guest-busybox"), path + f".{os.getpid()}"], check=False).returncode:
            raise Fault("")  # it has said why
        os.rename(path + f".{os.getpid()}", path)
    return path


def list_values(path, own, build):
    """Values for a list's @BIN@ and @BUSYBOX@, with what they stand for made. `own`: the folder of its own programs."""
    text = read_text(path, "list")
    found = {"BIN": os.path.join(build, ".bin"), "IMAGE": own}
    for name in sorted(set(re.findall(r"@BIN@/([\w.+-]+)", text))):
        places = [os.path.join(where, name + ".c") for where in (own, os.path.join(ROOT, "guest"))]
        source = next((place for place in places if os.path.isfile(place)), None)
        if source is None:
            raise Fault(f"{path}: @BIN@/{name}: there is neither {places[0]} nor {places[1]}")
        program.compile_c(source, os.path.join(build, ".bin", name), ours=source.startswith(ROOT + "/"))
    if "@BUSYBOX@" in text:
        found["BUSYBOX"] = busybox(build)
    return found


def tree(name, values, build):
    path = os.path.join(folder(name), "initramfs.list")
    return listfile.read(path, {**values, **list_values(path, folder(name), build)})
