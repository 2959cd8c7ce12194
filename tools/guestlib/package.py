# SPDX-License-Identifier: MIT
"""A kernel out of a distribution's package, as it is: fetched once, kept in the cache by the package's hash."""
import os
import shutil
import subprocess
import tempfile

from guestlib.common import TOOLS, Fault, sha256_file
from guestlib.kernel import Kernel


class Package:
    """What stands in the manifest as the kernel's source."""

    def __init__(self, path):
        self.name = os.path.basename(path)[:-len(".deb")]


def fetch(name, cache):
    done = subprocess.run([os.path.join(TOOLS, "fetch-deb"), name, os.path.join(cache, "deb")],
                          stdout=subprocess.PIPE, universal_newlines=True, check=False)
    if done.returncode:
        raise Fault("")  # fetch-deb has said why
    return done.stdout.strip().split("\n")[-1]


def newest(name, cache):
    """linux-image-amd64 is empty: it depends on the kernel of today."""
    path = fetch(name, cache)
    needs = subprocess.run(["dpkg-deb", "--field", path, "Depends"], stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout.split()
    return fetch(needs[0], cache) if needs and needs[0].startswith("linux-image-") else path


def extract(deb, folder):
    with tempfile.TemporaryDirectory(dir=os.path.dirname(folder)) as root:
        unpack = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE)
        status = subprocess.run(["tar", "-xC", root, "--wildcards", "./boot/vmlinuz-*", "./boot/config-*"], stdin=unpack.stdout, check=False).returncode
        unpack.stdout.close()
        if unpack.wait() or status:
            raise Fault(f"{deb} holds no kernel in /boot")
        os.makedirs(folder + ".tmp", exist_ok=True)
        for name in os.listdir(os.path.join(root, "boot")):
            part = "bzImage" if name.startswith("vmlinuz") else "config"
            shutil.copyfile(os.path.join(root, "boot", name), os.path.join(folder + ".tmp", part))
        with open(os.path.join(folder + ".tmp", "vmlinux"), "wb"):
            pass  # the package has none
    os.rename(folder + ".tmp", folder)


def provide(name, cache):
    deb = newest(name, cache)
    key = "deb-" + sha256_file(deb)[:16]
    folder = os.path.join(cache, "kernel", key)
    if not os.path.exists(os.path.join(folder, "bzImage")):
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        shutil.rmtree(folder + ".tmp", ignore_errors=True)
        extract(deb, folder)
    return Kernel(folder, key, Package(deb), "the package's own")
