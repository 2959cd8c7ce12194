# SPDX-License-Identifier: MIT
"""The variables of `make guest`: what they mean, their values, and the paths among them.

mk/guest.mk hands them over as NAME=VALUE. A relative path is relative to where make was called; one that guest.mk sets,
to guest.mk's own folder. Every other NAME=VALUE is for @NAME@ in templates.
"""
import os
import re
import shlex

from guestlib import template
from guestlib.common import Fault, read_text

# name -> (what it means, the default as text)
VARIABLES = {
    "IMAGE": ("an image of the catalogue, or several; for a guest of your own, the kernel and command line to begin from", "tiny"),
    "PROGRAM": ("a C file, or a static executable: compiled, and made /init", ""),
    "LINUX_INITRAMFS_ROOT": ("a folder that becomes the root", ""),
    "LINUX_INIT": ("the program in LINUX_INITRAMFS_ROOT that /init links to; with OCI, what is started", "the only one; the image's"),
    "LINUX_INITRAMFS_IN": ("a list in gen_init_cpio's form, with @VAR@; laid over the root, if that is given too", ""),
    "LINUX_INITRAMFS_IMAGE": ("a ready initramfs (cpio, or packed with gzip, xz, zstd, lz4): wins over the others", ""),
    "OCI": ("an OCI image layout (FOLDER, FOLDER:TAG) or a `docker save` archive", ""),
    "LINUX_CONFIG_IN": ("kernel configurations, whole or fragments, with @VAR@", ""),
    "LINUX_VERSION": ("which linux-source package of the distribution: 6.1, 6.12", "6.1, else the nearest"),
    "LINUX_SRC": ("an unpacked Linux instead", ""),
    "LINUX_CMDLINE": ("the kernel's command line", "console=ttyS0 panic=-1 reboot=t"),
    "LINUX_EMBED": ("1: one bzImage with the initramfs inside; 0: two files", "0"),
    "KERNEL_COMPRESSION": ("of the bzImage: LZ4, GZIP, XZ, ZSTD, BZIP2, LZMA, LZO", "LZ4"),
    "GUEST_NAME": ("the name of the result, build/guest/NAME", "that of what is given"),
}
# What makes a guest of one's own, not one of the catalogue.
WAYS = ("PROGRAM", "OCI", "LINUX_INITRAMFS_ROOT", "LINUX_INITRAMFS_IN", "LINUX_INITRAMFS_IMAGE")
PATHS = WAYS + ("LINUX_CONFIG_IN", "LINUX_SRC")


class Inputs:
    def __init__(self, values, bases):
        """`values`: NAME -> text; `bases`: NAME -> the folders that a relative path is tried against."""
        # What stands before a comment in guest.mk is part of the value for make, and nobody means it.
        self.values = {name: value.strip() if name in VARIABLES else value for name, value in values.items() if value}
        self.bases = bases

    def get(self, name, default=""):
        return self.values.get(name, default)

    def place(self, name, text):
        """A path of variable `name`, absolute."""
        text = os.path.expanduser(text)
        found = [os.path.normpath(os.path.join(base, text)) for base in self.bases.get(name) or [os.getcwd()]]
        return next((path for path in found if os.path.lexists(path)), found[0])

    def absent(self, name, text, kind="file"):
        """The sentence for a path that is not there: a relative one was looked for where the user called make."""
        base = "" if os.path.isabs(os.path.expanduser(text)) else f" in {(self.bases.get(name) or [os.getcwd()])[0]}"
        return f"{name}={text}: there is no such {kind}{base}"

    def need(self, name, kind="file"):
        """Says so if what a variable names is not there, or cannot be read."""
        try:
            os.stat(self.path(name) or ".")
            if kind == "file" and os.path.isfile(self.path(name)):
                with open(self.path(name), "rb"):
                    pass
        except (FileNotFoundError, NotADirectoryError) as e:
            raise Fault(self.absent(name, self.get(name), kind)) from e
        except OSError as e:
            raise Fault(f"cannot read {name}={self.get(name)}: {e.strerror}") from e

    def path(self, name):
        return self.place(name, self.get(name)) if self.get(name) else ""

    def paths(self, name):
        """Several, as a shell splits words; but a value that is one file is that file, spaces or not."""
        value = self.get(name)
        if not value or os.path.exists(self.place(name, value)):
            return [self.place(name, value)] if value else []
        try:
            return [self.place(name, word) for word in shlex.split(value)]
        except ValueError as e:
            raise Fault(f"{name}={value}: a quote is not closed") from e

    def check(self):
        """What can be told before anything is read."""
        for name, kind in (("PROGRAM", "file"), ("LINUX_INITRAMFS_ROOT", "folder"), ("LINUX_INITRAMFS_IN", "file"),
                           ("LINUX_INITRAMFS_IMAGE", "file"), ("LINUX_SRC", "folder")):
            # A ready initramfs wins over these two: they are not looked at.
            if self.get("LINUX_INITRAMFS_IMAGE") and name in ("LINUX_INITRAMFS_ROOT", "LINUX_INITRAMFS_IN"):
                continue
            self.need(name, kind)
            if kind == "file" and os.path.exists(self.path(name)) and not os.path.isfile(self.path(name)):
                raise Fault(f"{name}={self.get(name)} is " + ("a folder: give it as LINUX_INITRAMFS_ROOT, or name a file"
                                                              if os.path.isdir(self.path(name)) else "a pipe or a device: give a file"))
        if self.get("OCI") and not os.path.exists(self.oci_file()):
            raise Fault(self.absent("OCI", self.get("OCI"), "file or folder")
                        + " (a docker image is saved by: docker save -o image.tar NAME)")
        if self.get("OCI") and not os.path.isfile(self.oci_file()) and not os.path.isdir(self.oci_file()):
            raise Fault(f"OCI={self.get('OCI')} is a pipe or a device: give an archive of `docker save` or a folder")
        if self.get("OCI") and self.get("PROGRAM"):
            raise Fault("OCI and PROGRAM both say what /init is: give one of them")
        paths = self.paths("LINUX_CONFIG_IN")
        words = shlex.split(self.get("LINUX_CONFIG_IN")) if len(paths) > 1 else [self.get("LINUX_CONFIG_IN")]
        for word, path in zip(words, paths):
            if not os.path.exists(path):
                raise Fault(self.absent("LINUX_CONFIG_IN", word))
            if not os.path.isfile(path):
                raise Fault(f"LINUX_CONFIG_IN={word} is {'a folder' if os.path.isdir(path) else 'a pipe or a device'}: give a kernel configuration")

    def ways(self):
        return [name for name in WAYS if self.get(name)]

    def is_custom(self):
        return bool(self.ways() or self.get("GUEST_NAME"))

    def recorded(self):
        """What is kept of a guest of one's own, so that IMAGE=<its name> makes it again."""
        kept = {name: self.get(name) for name in VARIABLES if self.get(name)}
        for name in PATHS:
            if name in kept:
                kept[name] = " ".join(shlex.quote(path) for path in self.paths(name)) if name == "LINUX_CONFIG_IN" else self.oci_path() \
                    if name == "OCI" else self.path(name)
        return {**self.template_values(), **kept}

    def template_values(self):
        """What @NAME@ and ${NAME} stood for in the user's own templates."""
        found = set()
        for path in self.paths("LINUX_CONFIG_IN") + ([self.path("LINUX_INITRAMFS_IN")] if self.get("LINUX_INITRAMFS_IN") else []):
            text = read_text(path)
            found |= template.names(text) | set(re.findall(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}", text))
        values = {name: self.values.get(name, os.environ.get(name)) for name in found if name not in VARIABLES}
        return {name: value for name, value in values.items() if value is not None}

    def oci_end(self):
        """How much of OCI is the path: it may end in :TAG, or :NAME:TAG."""
        value = self.get("OCI")
        ends = [len(value)] + [i for i in range(len(value) - 1, 0, -1) if value[i] == ":"]
        return next((i for i in ends if os.path.exists(self.place("OCI", value[:i]))), len(value))

    def oci_file(self):
        return self.place("OCI", self.get("OCI")[:self.oci_end()])

    def oci_path(self):
        """OCI, with the path in it absolute."""
        return self.oci_file() + self.get("OCI")[self.oci_end():]


def name_of(inputs, catalogue):
    """The name of a guest of one's own: GUEST_NAME, or that of what is given."""
    name = inputs.get("GUEST_NAME")
    if name:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", name):
            raise Fault(f"GUEST_NAME={name[:110]}: use letters, digits and . _ + - only, the first a letter or digit, and at most 100")
    else:
        way = next(way for way in ("LINUX_INITRAMFS_IMAGE", "OCI", "PROGRAM", "LINUX_INITRAMFS_ROOT", "LINUX_INITRAMFS_IN")
                   if inputs.get(way))
        text = os.path.basename((inputs.oci_path() if way == "OCI" else inputs.path(way)).rstrip("/"))
        if way == "OCI":
            text = text.split(":")[0]
        if way != "LINUX_INITRAMFS_ROOT":
            text = re.sub(r"(\.(c|cpio|gz|xz|zst|lz4|img|list|in|tar|tgz|oci))+$", "", text)
        name = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-._+")[:100] or "guest"
    if name in catalogue:
        raise Fault(f"a guest of your own cannot have the name {name}, which is one of the catalogue: give it another, for example "
                    f"GUEST_NAME=my-{name}")
    return name
