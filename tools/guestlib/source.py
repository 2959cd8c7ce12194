# SPDX-License-Identifier: MIT
"""Where Linux comes from: LINUX_SRC, or the distribution's linux-source package (LINUX_VERSION), unpacked in the cache.

Without LINUX_VERSION it is 6.1, else the next newer one there is, else the newest. What is in the cache is used
without asking the network.
"""
import os
import re
import shutil
import subprocess

from guestlib.common import TOOLS, Fault, sha256_text
from guestlib.lock import Lock

DEFAULT = (6, 1)
UNPACKED = 2000 << 20  # bytes, of 6.12 with its package; 6.1 needs 10 % less


class Source:
    """An unpacked tree. `id`: what of it goes into the key of a kernel; `name`: for people and folder names."""

    def __init__(self, path, name, key):
        self.path = path
        self.name = name
        self.id = key


def version_of(name):
    match = re.match(r"linux-source-([0-9.]+)", name)
    return tuple(int(n) for n in match.group(1).split(".")) if match else None


def choose(versions, wanted):
    """Of the versions there are: the one that is wanted, or the default's rule. None if it is not there."""
    versions = sorted(set(versions))
    if wanted:
        return wanted if wanted in versions else None
    newer = [v for v in versions if v >= DEFAULT]
    return newer[0] if newer else versions[-1] if versions else None


def dotted(version):
    return ".".join(str(n) for n in version)


def parse_version(text):
    if not text:
        return None
    if not re.fullmatch(r"\d+\.\d+", text):
        raise Fault(f"LINUX_VERSION={text}: give it as the distribution's packages have it, for example 6.1 or 6.12 "
                    "(for any other give a tree, LINUX_SRC=...)")
    return tuple(int(n) for n in text.split("."))


# ---- LINUX_SRC ------------------------------------------------------------------------------------------

def tree_version(path):
    try:
        with open(os.path.join(path, "Makefile")) as file:
            head = file.read(2000)
    except OSError:
        head = ""
    numbers = [re.search(rf"^{name} = (\S*)$", head, re.M) for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    if not all(numbers) or not os.path.isfile(os.path.join(path, "Kconfig")):
        raise Fault(f"LINUX_SRC={path} is no unpacked Linux: it has no Makefile and Kconfig of Linux's")
    return ".".join(n.group(1) for n in numbers)


def own_tree(path):
    path = os.path.realpath(path)
    if not os.path.isdir(path):
        raise Fault(f"LINUX_SRC={path}: there is no such folder")
    version = tree_version(path)
    if re.search(r"[\s:]", path):
        raise Fault(f"LINUX_SRC={path}: Linux cannot be built from a path with spaces or colons: move it, or mount it elsewhere")
    if os.path.exists(os.path.join(path, ".config")) or os.path.isdir(os.path.join(path, "include", "config")):
        raise Fault(f"LINUX_SRC={path} has been built in: Linux wants a clean tree (run: make -C {path} mrproper)")
    # Names, sizes and dates: what make looks at, too.
    listing = subprocess.run(["find", ".", "-name", ".git", "-prune", "-o", "-type", "f", "-printf", "%p %s %T@\n"], cwd=path,
                             stdout=subprocess.PIPE, check=True).stdout
    key = sha256_text("\n".join(sorted(listing.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode().split("\n"))))
    return Source(path, f"linux-{version}", f"tree {path} {version} {key}")


# ---- The distribution's ---------------------------------------------------------------------------------

def unpacked(cache):
    """Versions in the cache: the newest package's tree of each. A tree gets its name only when it is complete."""
    folder = os.path.join(cache, "src")
    found = {}
    for name in sorted(os.listdir(folder) if os.path.isdir(folder) else [], key=natural):
        if version_of(name):
            found[version_of(name)] = name
    return found


def natural(text):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def packages():
    if not shutil.which("apt-cache"):
        return []
    names = subprocess.run(["apt-cache", "pkgnames", "linux-source-"], stdout=subprocess.PIPE, universal_newlines=True, check=False)
    return [version_of(name) for name in names.stdout.split() if re.fullmatch(r"linux-source-[0-9.]+", name)]


def fetch(cache, version):
    src = os.path.join(cache, "src")
    os.makedirs(src, exist_ok=True)
    free = shutil.disk_usage(src).free
    if free < UNPACKED:
        raise Fault(f"no space left for Linux's source: it needs {UNPACKED >> 20} MB in {cache}, and {free >> 20} MB are free: "
                    "free some, or set XDG_CACHE_HOME to a folder elsewhere")
    fetched = subprocess.run([os.path.join(TOOLS, "fetch-deb"), f"linux-source-{dotted(version)}", os.path.join(cache, "deb")],
                             stdout=subprocess.PIPE, universal_newlines=True, check=False)
    if fetched.returncode:
        raise Fault("")  # fetch-deb has said why
    deb = fetched.stdout.strip()
    temporary = os.path.join(src, "tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    os.makedirs(temporary)
    unpack = ('dpkg-deb -x "$1" "$2/deb"; '
              'tar -C "$2" -xf "$(find "$2/deb/usr/src" -type f -name "linux-source-*.tar.*" | head -n 1)"')
    if subprocess.run([os.path.join(TOOLS, "progress"), "unpacking the Linux source", os.path.join(cache, "log", "unpack.log"),
                       "sh", "-eu", "-c", unpack, "sh", deb, temporary], check=False).returncode:
        shutil.rmtree(temporary, ignore_errors=True)
        raise Fault(f"{os.path.basename(deb)} cannot be unpacked")
    tree = next(name for name in os.listdir(temporary) if name.startswith("linux-source-"))
    name = os.path.basename(deb).rsplit("_", 1)[0]
    os.rename(os.path.join(temporary, tree), os.path.join(src, name))
    shutil.rmtree(temporary)
    os.remove(deb)


def package_version(wanted):
    """Of the package lists; what they do not have is said at once."""
    known = packages()
    version = choose(known, wanted)
    if version is None:
        raise Fault(f"LINUX_VERSION={dotted(wanted)}: the package lists have no linux-source-{dotted(wanted)} (they have: "
                    f"{' '.join(dotted(v) for v in sorted(set(known)))}); for another give a tree, LINUX_SRC=..." if known else
                    "the package lists have no linux-source package: run 'apt-get update' as root, or give an unpacked Linux, LINUX_SRC=...")
    return version


def distribution(cache, wanted):
    if choose(unpacked(cache), wanted) is None:
        version = package_version(wanted)
        with Lock(cache, "lock", "another build is using the kernel cache"):
            if choose(unpacked(cache), wanted) is None:
                fetch(cache, version)
    there = unpacked(cache)
    name = there[choose(there, wanted)]
    return Source(os.path.join(cache, "src", name), name, name)


def find(cache, src, version):
    return own_tree(src) if src else distribution(cache, parse_version(version))
