# SPDX-License-Identifier: MIT
"""Kernels out of Debian's own packages, unmodified: fetched when a test wants one, kept by hash in the cache, never committed."""
import gzip
import os
import re
import subprocess

from harness.core import Broken, Skip

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "havoc", "deb")


def _run(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, timeout=1800)


def fetch(package, arch=None):
    """The package's file. Where the distribution has none, the case does not apply."""
    done = _run("tools/fetch-deb", package, CACHE, *([arch] if arch else []))
    said = done.stderr.decode(errors="replace").strip()
    if done.returncode == 0:
        return done.stdout.decode().strip().split("\n")[-1]
    if "do not know" in said or "has no apt" in said:
        raise Skip(said.split("\n")[-1])
    raise Broken("%s cannot be fetched: %s" % (package, said.split("\n")[-1]))


def newest(package, arch=None):
    """The file of the package that an empty one like linux-image-amd64 stands for today."""
    deb = fetch(package, arch)
    needs = _run("dpkg-deb", "--field", deb, "Depends").stdout.decode().split()
    return fetch(needs[0], arch) if needs and needs[0].startswith("linux-image-") else deb


def member(package, pattern, arch=None):
    """A source of a module: the file of the package that a pattern of tar's names."""
    def make(_env, folder):
        deb = newest(package, arch)
        path = os.path.join(folder, package + "-" + re.sub(r"\W+", "-", os.path.basename(pattern)))
        with open(path, "wb") as out:
            unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            subprocess.run(["tar", "-xO", "--wildcards", pattern], stdin=unpack.stdout, stdout=out, check=False, timeout=600)
            unpack.stdout.close()
            unpack.wait()
        if not os.path.getsize(path):
            raise Broken("there is no %s in %s" % (pattern, deb))
        return path
    return make


def shell_initrd(arch):
    """The initramfs of the image `shell`, with the BusyBox of another architecture in the place of its own."""
    def make(env, folder):
        busybox = member("busybox-static", "./bin/busybox", arch)(env, folder)
        # Laid over it: what comes later in the archive counts.
        tree = os.path.join(folder, "tree")
        os.makedirs(os.path.join(tree, "bin"))
        os.rename(busybox, os.path.join(tree, "bin", "busybox"))
        os.chmod(os.path.join(tree, "bin", "busybox"), 0o755)
        over = subprocess.run(["cpio", "-o", "-H", "newc", "-R", "0:0", "--quiet"], input=b"bin/busybox\n", cwd=tree, check=True,
                              stdout=subprocess.PIPE, timeout=60).stdout
        path = os.path.join(folder, "initrd-" + arch)
        with open(env.path("guest", "shell", "initramfs.cpio.gz"), "rb") as f, open(path, "wb") as out:
            out.write(f.read() + gzip.compress(over))
        return path
    return make
