# SPDX-License-Identifier: MIT
"""The order of things: the root, the initramfs, the kernel, and the folder build/guest/NAME with a manifest.

Every file there is written only if it changed, so that what depends on it is made again only then.
"""
import json
import os
import shlex
import stat

from guestlib import catalogue, cpio, image, inputs as variables, kconfig, kernel, listfile, oci, package, program, source
from guestlib.common import Fault, copy_file, sha256_file, write_file
from guestlib.lock import Lock
from guestlib.tree import Entry, Tree, add_mount_points, check_program, choose_init, overlay

FILES = ("bzImage", "vmlinux", "initramfs.cpio.gz", "config", "cmdline", "options")
DEFAULT_CMDLINE = variables.VARIABLES["LINUX_CMDLINE"][1]


def remove(path):
    if os.path.exists(path):
        os.remove(path)


class Guest:
    """One guest that is to be made: from the catalogue, or of the user's own."""

    def __init__(self, name, given, build):
        self.name = name
        self.build = build  # build/guest
        self.out = os.path.join(build, name)
        self.inputs = given
        self.image = name
        self.changed = False
        self.pending = []  # what is put in its place when all of the guest is made: (function, arguments)
        self.rdinit_word = ""  # what an image that has an /init of its own adds to the command line
        self.custom = not catalogue.exists(name)
        if not self.custom:
            return
        base = given.get("IMAGE", "tiny")
        if not given.is_custom():
            self.inputs = self.recall()
            base = self.inputs.get("IMAGE", "tiny")
        if len(base.split()) > 1:
            raise Fault(f"IMAGE={base}: a guest of your own begins from one image of the catalogue, not from several")
        catalogue.folder(base)
        self.image = base

    def recall(self):
        """The variables by which it was made before."""
        try:
            with open(os.path.join(self.out, ".inputs")) as file:
                old = json.load(file)
        except (OSError, ValueError) as e:
            made = [n for n in sorted(os.listdir(self.build) if os.path.isdir(self.build) else [])
                    if os.path.isfile(os.path.join(self.build, n, ".inputs"))]
            raise Fault(f"IMAGE={self.name}: there is no such image; there are: {' '.join(catalogue.names() + made)} "
                        "(and to make one of your own: make guest help)") from e
        new = {k: v for k, v in self.inputs.values.items() if k != "IMAGE"}
        # What @NAME@ stood for is kept, too; the environment has what is given for it now.
        old = {k: v for k, v in old.items() if k in variables.VARIABLES or k not in os.environ}
        return variables.Inputs({**old, **new}, self.inputs.bases)

    # ---- The root -----------------------------------------------------------------------------------

    def list_tree(self):
        path = self.inputs.path("LINUX_INITRAMFS_IN")
        own = catalogue.list_values(path, os.path.dirname(path), self.build)
        return listfile.read(path, {**own, **self.inputs.values})

    def tree(self):
        """What goes into the initramfs."""
        get = self.inputs.get
        if not (self.custom and self.inputs.ways()):
            if get("LINUX_INIT"):
                raise Fault(f"LINUX_INIT={get('LINUX_INIT')}: the image {self.image} has an /init of its own: LINUX_INIT goes with LINUX_INITRAMFS_ROOT or OCI")
            tree = catalogue.tree(self.image, self.inputs.values, self.build)
            check_program(tree, self.rdinit(), f"the image {self.image}")
            return tree
        tree, process, what = Tree(), None, "the list " + self.inputs.path("LINUX_INITRAMFS_IN")
        if get("OCI"):
            what = self.inputs.oci_path()
            tree, process = oci.tree(what, self.build)
        if get("LINUX_INITRAMFS_ROOT"):
            what = self.inputs.path("LINUX_INITRAMFS_ROOT")
            if not os.path.isdir(what):
                raise Fault(f"LINUX_INITRAMFS_ROOT={what}: " + ("this is no folder: a ready initramfs is given as LINUX_INITRAMFS_IMAGE"
                                                                if os.path.exists(what) else "there is no such folder"))
            if os.path.commonpath([os.path.realpath(what), os.path.realpath(self.build)]) == os.path.realpath(what):
                raise Fault(f"LINUX_INITRAMFS_ROOT={what}: the guests are built inside it ({self.build}): give a folder of its own")
            root = Tree()
            root.add_directory(what)
            tree = overlay(tree, root)
        if get("PROGRAM"):
            path = program.provide(self.inputs.path("PROGRAM"), os.path.join(self.build, ".bin"))
            what = get("LINUX_INITRAMFS_ROOT") and what or f"PROGRAM={self.inputs.path('PROGRAM')}"
            tree.add("init", Entry(stat.S_IFREG | 0o755, source=os.path.realpath(path), where="PROGRAM=" + self.inputs.path("PROGRAM")))
        if get("LINUX_INITRAMFS_IN"):
            tree = overlay(tree, self.list_tree())
        if self.inputs.ways() != ["LINUX_INITRAMFS_IN"]:
            add_mount_points(tree, what)
        if self.rdinit() != "init":
            check_program(tree, self.rdinit(), what)
        elif get("OCI"):
            self.rdinit_word = oci.add_init(tree, process, self.build, what, get("LINUX_INIT"))
        else:
            choose_init(tree, get("LINUX_INIT"), what)
        return tree

    def rdinit(self):
        """The program that the command line names, else init."""
        words = [word[7:] for word in self.cmdline().split() if word.startswith("rdinit=")]
        return words[-1].lstrip("/") if words else "init"

    def cmdline(self):
        text = self.inputs.get("LINUX_CMDLINE") or catalogue.part(self.image, "cmdline") or DEFAULT_CMDLINE
        text = " ".join(text.split("\n") + [self.rdinit_word]).strip()
        if len(text) > 2000:
            raise Fault(f"LINUX_CMDLINE has {len(text)} characters: Linux takes at most 2047")
        return text

    def initramfs(self, path):
        """Makes it; returns the tree, or None for a ready one."""
        ready = self.custom and self.inputs.path("LINUX_INITRAMFS_IMAGE")
        state = path + ".digest" if os.path.basename(path).startswith(".") else os.path.join(self.out, ".initramfs.digest")
        if ready:
            image.check(ready, self.cmdline())
            self.pending = [(copy_file, ready, path), (write_file, state, "ready\n")]
            if os.path.basename(path).startswith("."):
                self.commit()  # the kernel's build reads it
            return None
        tree = self.tree()
        digest = cpio.digest(tree) + "\n"
        try:
            with open(state) as file:
                same = os.path.isfile(path) and file.read() == digest
        except OSError:
            same = False
        if not same:
            new = os.path.join(os.path.dirname(path), ".initramfs.new")
            cpio.write_gzip(tree, new)
            self.pending = [(remove, state), (os.replace, new, path), (write_file, state, digest)]
            if os.path.basename(path).startswith("."):
                self.commit()
        return tree

    def commit(self):
        for function, *arguments in self.pending:
            function(*arguments)
        self.pending = []

    # ---- The kernel ---------------------------------------------------------------------------------

    def wishes(self, embed):
        """What is asked of the kernel's configuration, and whether it is a whole one."""
        own = self.inputs.paths("LINUX_CONFIG_IN")
        full = any(kconfig.is_full(path) for path in own)
        # The compression is a choice of one: of the variable, else of the user's files, else the default.
        asked = self.inputs.get("KERNEL_COMPRESSION")
        values = {**self.inputs.values, "KERNEL_COMPRESSION": kernel.compression(asked or "LZ4")}
        members = {"CONFIG_KERNEL_" + name: name for name in kernel.COMPRESSIONS}
        mine = {}
        for path in own:
            mine.update(kconfig.read_fragment(path, values))
        chosen = [members[name] for name in mine if name in members and mine[name].value == "y"]
        if not asked and len(chosen) == 1:
            values["KERNEL_COMPRESSION"] = kernel.compression(chosen[0])
        wishes = {}
        for path in [] if full else catalogue.fragments(self.image):
            wishes.update(kconfig.read_fragment(path, values))
        wishes.update(mine)
        wishes = {name: wish for name, wish in wishes.items() if name not in members}
        wishes["CONFIG_KERNEL_" + values["KERNEL_COMPRESSION"]] = kconfig.Wish("y", "KERNEL_COMPRESSION")
        if embed:
            wishes["CONFIG_BLK_DEV_INITRD"] = kconfig.Wish("y", "LINUX_EMBED")
            wishes["CONFIG_INITRAMFS_SOURCE"] = kconfig.Wish(f'"{kernel.EMBEDDED}"', "LINUX_EMBED")
        return wishes, full

    def kernel(self, cache, wishes, full, embed):
        packaged = catalogue.part(self.image, "kernel.deb")
        if packaged and embed:
            raise Fault(f"LINUX_EMBED=1: the kernel of {self.image} is a package's, ready as it is: leave it out")
        if packaged:
            return package.provide(packaged, cache)
        linux = source.find(cache, self.inputs.path("LINUX_SRC"), self.inputs.get("LINUX_VERSION"))
        return kernel.Builder(linux, cache, "own" if full else catalogue.family(self.image)).provide(wishes, full, embed, self.out)

    def make(self):
        embed = self.inputs.get("LINUX_EMBED", "0")
        if embed not in ("0", "1"):
            raise Fault(f"LINUX_EMBED={embed}: give 1 (the initramfs inside the bzImage) or 0 (beside it)")
        self.inputs.check()
        os.makedirs(self.out, exist_ok=True)
        try:
            return self.make_locked(embed)
        finally:
            remove(os.path.join(self.out, ".initramfs.new"))
            if not os.listdir(self.out):  # a mistake came before anything was made
                os.rmdir(self.out)

    def make_locked(self, embed):
        with Lock(os.path.join(self.build, ".locks"), self.name, None):
            # What can be wrong without a kernel is said before one is built.
            wishes, full = self.wishes(embed == "1")
            initramfs = os.path.join(self.out, ".initramfs" if embed == "1" else "initramfs.cpio.gz")
            tree = self.initramfs(initramfs)
            cache = kernel.prepare_cache()
            result = self.kernel(cache, wishes, full, initramfs if embed == "1" else None)
            self.commit()
            if embed == "1":
                write_file(os.path.join(self.out, "initramfs.cpio.gz"), "")
            if not kernel.is_made(self.out, result.key):
                kernel.forget(self.out)
                for name in ("vmlinux", "config", "bzImage"):
                    copy_file(os.path.join(result.folder, name), os.path.join(self.out, name))
                write_file(os.path.join(self.out, ".kernel"), result.key + "\n")
            write_file(os.path.join(self.out, "cmdline"), self.cmdline() + "\n")
            options = catalogue.part(self.image, "options")
            write_file(os.path.join(self.out, "options"), options + "\n" if options else "")
            write_file(os.path.join(self.out, "try"), catalogue.part(self.image, "try"))
            self.manifest(result, tree, embed)
            if self.custom:
                write_file(os.path.join(self.out, ".inputs"), json.dumps(self.inputs.recorded(), indent=1, sort_keys=True) + "\n")
        return self

    def manifest(self, result, tree, embed):
        known, path = {}, os.path.join(self.out, ".hashes")
        try:
            with open(path) as file:
                known = json.load(file)
        except (OSError, ValueError):
            pass
        hashes, files = {}, {}
        for name in FILES:
            full = os.path.join(self.out, name)
            info = os.stat(full)
            stamp = [info.st_size, info.st_mtime_ns, info.st_ino]
            hashes[name] = stamp + [known[name][3] if known.get(name, [])[:3] == stamp else sha256_file(full)]
            files[name] = {"bytes": info.st_size, "sha256": hashes[name][3]}
        write_file(path, json.dumps(hashes))
        self.changed = write_file(os.path.join(self.out, "manifest.json"), json.dumps({
            "name": self.name, "image": self.image, "linux": result.source.name, "kernel": result.key,
            "compilers": result.compilers, "cmdline": self.cmdline(), "options": catalogue.part(self.image, "options"),
            "embedded": embed == "1", "entries": len(tree.entries) if tree else None, "files": files,
        }, indent=1, sort_keys=True) + "\n")

    def summary(self):
        def size(name):
            bytes_there = os.path.getsize(os.path.join(self.out, name))
            return f"{bytes_there / 1e6:.2f} MB" if bytes_there >= 100000 else f"{bytes_there / 1e3:.1f} KB"
        inside = self.inputs.get("LINUX_EMBED") == "1"
        root = "initramfs inside" if inside else f"initramfs.cpio.gz {size('initramfs.cpio.gz')}"
        folder = os.path.relpath(os.path.dirname(self.build))
        build = "" if folder == "build" else " BUILD=" + shlex.quote(folder)
        return f"havoc: {os.path.relpath(self.out)}: bzImage {size('bzImage')}, {root}; to try it: make try IMAGE={self.name}{build}"


