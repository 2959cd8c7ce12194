# SPDX-License-Identifier: MIT
"""A guest's kernel: from the cache, or built.

The cache, ${XDG_CACHE_HOME:-~/.cache}/havoc:
  deb/             packages as fetched, verified; Linux's goes when it is unpacked
  src/NAME/        Linux, unpacked
  config/KEY       the whole .config that a wish came to, KEY being a hash of wish, source and compiler
  objects/NAME/    the objects of what was built last of a source and set of fragments: the next build goes on from them
  kernel/KEY/      finished: bzImage, vmlinux, config. KEY is a hash of the whole .config, source, compiler, procedure
  ccache/ log/     what they say

A kernel with an initramfs inside, or from LINUX_SRC, is not kept there: it changes with every change of those.
"""
import os
import re
import shutil
import subprocess

from guestlib import kconfig
from guestlib.common import TOOLS, Fault, cache_folder, copy_file, find_tool, read_text, sha256_file, sha256_text, write_file
from guestlib.lock import Lock

# Raise it when what follows builds something else from the same input.
PROCEDURE = 2

COMPRESSIONS = {"GZIP": ("gzip", "gzip"), "BZIP2": ("bzip2", "bzip2"), "LZMA": ("xz", "xz-utils"), "XZ": ("xz", "xz-utils"),
                "LZO": ("lzop", "lzop"), "LZ4": ("lz4", "lz4"), "ZSTD": ("zstd", "zstd")}
EMBEDDED = "havoc-initramfs.cpio.gz"  # in the build's own folder, so that no path of this machine gets into the kernel
BUSY = "another build is using the kernel cache"


def prepare_cache():
    cache = cache_folder()
    try:
        for part in ("deb", "src", "config", "kernel", "log", "objects"):
            os.makedirs(os.path.join(cache, part), exist_ok=True)
    except OSError as e:
        raise Fault(f"cannot write to {cache}: {e.strerror}: set XDG_CACHE_HOME to a folder that can be written") from e
    if re.search(r"[\s:]", cache):
        raise Fault(f"Linux cannot be built in a path with spaces or colons ({cache}): set XDG_CACHE_HOME to another folder")
    return cache


def compression(name):
    name = name.upper()
    if name not in COMPRESSIONS:
        raise Fault(f"KERNEL_COMPRESSION={name}: choose one of {' '.join(COMPRESSIONS)}")
    find_tool(*COMPRESSIONS[name])
    return name


def compiler_id():
    def first(*command):
        try:
            return subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True, check=True).stdout.split("\n")[0]
        except (OSError, subprocess.CalledProcessError) as e:
            raise Fault(f"{command[0]} does not work or is not installed (run: tools/setup guest)") from e
    return f"gcc {first('gcc', '-dumpfullversion')}, {first('ld', '--version')}"


class Kernel:
    """What build.py gets: the folder that holds bzImage, vmlinux and config, and what they were made from."""

    def __init__(self, folder, key, source, compilers):
        self.folder = folder
        self.key = key
        self.source = source
        self.compilers = compilers


class Builder:
    """`family`: a word for configurations that share one tree of objects, because they differ in little."""

    def __init__(self, source, cache, family):
        self.source = source
        self.cache = cache
        self.compilers = compiler_id()
        tree = "" if source.id == source.name else "-" + sha256_text(source.path)[:8]
        self.build = os.path.join(cache, "objects", re.sub(r"[^\w.-]", "_", f"{source.name}{tree}-{family}"))

    def kbuild(self, what, log, build, *arguments, total=None):
        """Nothing of the caller's environment but what finds the tools; fixed names and dates, so that two builds give the
        same bytes."""
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": os.path.expanduser("~"), "LC_ALL": "C", "TZ": "UTC",
            "CCACHE_DIR": os.path.join(self.cache, "ccache"), "CCACHE_MAXSIZE": "2G",
            "KBUILD_BUILD_TIMESTAMP": "1970-01-01 00:00:00 UTC", "KBUILD_BUILD_VERSION": "1",
            "KBUILD_BUILD_USER": "havoc", "KBUILD_BUILD_HOST": "havoc"}
        if total is not None:
            environment["PROGRESS_TOTAL"] = str(total)
        # TMPDIR, because a small /tmp is full before the cache is.
        if "TMPDIR" in os.environ:
            environment["TMPDIR"] = os.environ["TMPDIR"]
        status = subprocess.run(
            [os.path.join(TOOLS, "progress"), what, log, "make", "-C", self.source.path, "O=" + build, "ARCH=x86_64",
             "LOCALVERSION=", *arguments], env=environment, close_fds=False, check=False).returncode
        if status:
            with open(log, errors="replace") as file:
                # On a full disk the log may have no room for it either.
                if "No space left on device" in file.read() or shutil.disk_usage(self.cache).free < 1 << 20:
                    raise Fault(f"no space left on the disk for {what.split(' ')[0]} the guest kernel: a build needs 1 GB in {self.cache}; "
                                "free some, or set XDG_CACHE_HOME to a folder elsewhere")
            raise Fault(f"{what} failed, the log is {log}; if something from outside stopped it, try again: it resumes")

    def configure(self, wishes, full):
        """The whole .config; remembered, because kconfig needs two seconds for it."""
        wish = kconfig.text_of(wishes)
        key = sha256_text(f"{PROCEDURE}\n{self.source.id}\n{self.compilers}\n{wish}")[:16]
        kept = os.path.join(self.cache, "config", key)
        if not os.path.isfile(kept):
            # Its own folder and lock: nobody waits minutes to hear of a wrong symbol.
            folder = self.build + ".config"
            with Lock(self.cache, "lock-config", BUSY):
                os.makedirs(folder, exist_ok=True)
                write_file(os.path.join(folder, "wish"), wish)
                self.kbuild("configuring the guest kernel", os.path.join(self.cache, "log", f"config-{key}.log"), folder,
                            f"KCONFIG_ALLCONFIG={folder}/wish", "allnoconfig")
                final = read_text(os.path.join(folder, ".config"))
                kconfig.explain(self.source, wishes, final, os.path.join(folder, ".config"), full)
                write_file(kept, final)
        return read_text(kept)

    def make(self, config, key, embed):
        """Builds in self.build; the lock is held."""
        os.makedirs(self.build, exist_ok=True)
        write_file(os.path.join(self.build, ".config"), config)
        if embed:
            copy_file(embed, os.path.join(self.build, EMBEDDED))
        compiler = "ccache gcc" if shutil.which("ccache") else "gcc"
        # The counter's end: about the lines that kbuild prints for so many symbols, measured.
        total = 0 if os.path.exists(os.path.join(self.build, "vmlinux")) else 450 + int(1.45 * len(kconfig.final_values(config)))
        self.kbuild(f"building the guest kernel from {self.source.name}", os.path.join(self.cache, "log", f"kernel-{key}.log"),
                    self.build, f"CC={compiler}", f"-j{os.cpu_count() or 1}", "bzImage", total=total)

    def collect(self, folder, config):
        os.makedirs(folder, exist_ok=True)
        copy_file(os.path.join(self.build, "arch/x86/boot/bzImage"), os.path.join(folder, "bzImage"))
        stripped = os.path.join(folder, ".vmlinux")
        subprocess.run(["strip", "-o", stripped, os.path.join(self.build, "vmlinux")], check=True)
        copy_file(stripped, os.path.join(folder, "vmlinux"))
        os.remove(stripped)
        write_file(os.path.join(folder, "config"), config)

    def provide(self, wishes, full, embed, out):
        """Returns the Kernel. With `embed` (an initramfs), or from LINUX_SRC, it stands in `out`, else in the cache."""
        config = self.configure(wishes, full)
        inside = sha256_file(embed) if embed else ""
        key = sha256_text(f"{PROCEDURE}\n{self.source.id}\n{self.compilers}\n{inside}\n{config}")[:16]
        straight = embed or self.source.id != self.source.name
        done = out if straight else os.path.join(self.cache, "kernel", key)
        if straight:
            if not is_made(out, key):
                with Lock(self.cache, "lock", BUSY):
                    self.make(config, key, embed)
                    forget(out)
                    self.collect(out, config)
                write_file(os.path.join(out, ".kernel"), key + "\n")
        elif not os.path.exists(os.path.join(done, "bzImage")):
            with Lock(self.cache, "lock", BUSY):
                if not os.path.exists(os.path.join(done, "bzImage")):
                    self.make(config, key, None)
                    for left in os.listdir(os.path.dirname(done)):
                        if left.endswith(".tmp"):  # of a build that was killed at its end
                            shutil.rmtree(os.path.join(os.path.dirname(done), left))
                    self.collect(done + ".tmp", config)
                    os.rename(done + ".tmp", done)
        return Kernel(done, key, self.source, self.compilers)


def is_made(folder, key):
    try:
        with open(os.path.join(folder, ".kernel")) as file:
            return file.read().strip() == key and all(os.path.isfile(os.path.join(folder, name)) for name in ("bzImage", "vmlinux"))
    except OSError:
        return False


def forget(folder):
    """Before its files are replaced: an interrupted replacement must not be taken for the old kernel."""
    if os.path.exists(os.path.join(folder, ".kernel")):
        os.remove(os.path.join(folder, ".kernel"))
