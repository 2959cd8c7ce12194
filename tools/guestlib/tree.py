# SPDX-License-Identifier: MIT
"""What goes into an initramfs, before it is written: a path, and what stands there.

A tree comes from a directory (never through a link out of it), from a list in gen_init_cpio's form (listfile.py), or
from both; then it is checked: it must have an /init that can be started. cpio.py writes it.
"""
import os
import stat
from dataclasses import dataclass, replace

from guestlib import elf
from guestlib.common import Fault, is_executable


@dataclass
class Entry:
    mode: int  # with the file type, as in stat
    uid: int = 0
    gid: int = 0
    source: str = ""  # a file: where its bytes are
    data: bytes = b""  # ... or these bytes; a link's target
    device: tuple = (0, 0)
    group: object = None  # files with the same one are hard links to one another
    where: str = ""  # what asked for it: file:line
    implied: bool = False  # a folder that nobody asked for, but that something is in


def directory(mode=0o755, where=""):
    return Entry(stat.S_IFDIR | mode, where=where)


def char_device(mode, major, minor):
    return Entry(stat.S_IFCHR | mode, device=(major, minor))


def clean(name, where):
    """The path as the archive has it: relative to the root. One that leaves the root is refused."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise Fault(f"{where}: the path {name} leaves the root: write it without '..'")
    return "/".join(parts)


class Tree:
    def __init__(self):
        self.entries = {}  # path -> Entry; "" is the root itself and not kept

    def add(self, path, entry):
        """Adds, or replaces. What stands above it and is missing becomes a plain folder; a link above it is followed, inside
        this root, because the archive is in the order of names, and the kernel would not find what comes later."""
        at, (*above, name) = "", path.split("/")
        for part in above:
            at = f"{at}/{part}".lstrip("/")
            old = self.entries.setdefault(at, replace(directory(where=entry.where), implied=True))
            if stat.S_ISLNK(old.mode):
                target = self.find(at)
                if target is None:
                    raise Fault(f"{entry.where or path}: /{at} links to {os.fsdecode(old.data)}, which is not there (yet), so /{path} cannot be in it")
                at, old = target, self.entries.get(target, directory())
            if not stat.S_ISDIR(old.mode):
                raise Fault(f"{entry.where or path}: /{at} is no folder, so /{path} cannot be in it")
        here = f"{at}/{name}".lstrip("/")
        old = self.entries.get(here)
        if old and stat.S_ISDIR(old.mode) and not stat.S_ISDIR(entry.mode):
            inside = next((other for other in self.entries if other.startswith(here + "/")), None)
            if inside:
                raise Fault(f"{entry.where or path}: /{here} is a folder with /{inside} in it, so nothing else can take its place")
        self.entries[here] = entry

    def add_missing(self, path, entry):
        if self.find(path) is None:
            self.add(path, entry)

    def add_directory(self, folder, owner=lambda path: (0, 0), own=False):
        """All that is in a folder, as it is: links stay links. `own`: the folder is ours, so rights that keep us from
        reading may be changed (the archive still gets the old ones)."""
        stack = [""]
        while stack:
            above = stack.pop()
            try:
                names = sorted(os.listdir(os.path.join(folder, above)))
            except OSError as e:
                raise Fault(f"cannot read the folder {os.path.join(folder, above)}: {e.strerror}") from e
            for name in names:
                path = f"{above}/{name}".lstrip("/")
                full = os.path.join(folder, path)
                info = os.lstat(full)
                if stat.S_ISSOCK(info.st_mode):
                    continue  # left over from a program that ran there; it means nothing elsewhere
                entry = Entry(info.st_mode, *owner(full), where=full)
                if stat.S_ISREG(info.st_mode):
                    entry.source = full
                    if info.st_nlink > 1:
                        entry.group = (info.st_dev, info.st_ino)
                    if own and not info.st_mode & stat.S_IRUSR:
                        os.chmod(full, info.st_mode | stat.S_IRUSR)
                elif stat.S_ISLNK(info.st_mode):
                    entry.data = os.fsencode(os.readlink(full))
                elif stat.S_ISDIR(info.st_mode):
                    if own and info.st_mode & 0o500 != 0o500:
                        os.chmod(full, info.st_mode | 0o700)
                    stack.append(path)
                else:
                    entry.device = (os.major(info.st_rdev), os.minor(info.st_rdev))
                self.add(path, entry)

    def find(self, path, depth=0):
        """The path of what `path` means inside this root, links followed, or None. The root itself is ""."""
        at, parts = "", [part for part in path.split("/") if part not in ("", ".")]
        while parts:
            part = parts.pop(0)
            if part == "..":
                at = at.rpartition("/")[0]
                continue
            here = f"{at}/{part}".lstrip("/")
            entry = self.entries.get(here)
            if entry is None:
                return None
            if stat.S_ISLNK(entry.mode):
                if depth >= 40:
                    return None
                target = os.fsdecode(entry.data)
                return self.find((target if target.startswith("/") else f"{at}/{target}")
                                 + "".join("/" + p for p in parts), depth + 1)
            at = here
        return at

    def at(self, path):
        """What stands at a path that find() has found."""
        return self.entries[path] if path else directory()

    def start_of(self, path):
        """The first bytes of a file."""
        entry = self.at(path)
        if not entry.source:
            return entry.data[:4096]
        try:
            with open_source(entry) as file:
                return file.read(4096)
        except OSError as e:
            raise Fault(f"cannot read {entry.source}: {e.strerror}") from e

    def programs(self):
        """Files that can be started, and are no libraries."""
        found = []
        for path, entry in self.entries.items():
            if not is_executable(entry.mode):
                continue
            kind = elf.kind_of(self.start_of(path))
            name = path.rsplit("/", 1)[-1]
            library = kind.shared and (name.endswith(".so") or ".so." in name) or name.startswith("ld-")
            if kind.kind and not kind.wrong and not library:
                found.append("/" + path)
        return sorted(found)

    def ordered(self):
        """Folders before what is in them, and the same order always."""
        return sorted(self.entries.items(), key=lambda item: item[0].split("/"))


def open_source(entry):
    """What was a file when it was looked at must still be one: no link is followed."""
    return os.fdopen(os.open(entry.source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


# ---- /init, and what a program expects to find ------------------------------------------------------------

def add_mount_points(tree, what):
    for path, mode in (("dev", 0o755), ("proc", 0o755), ("sys", 0o755), ("tmp", 0o1777)):
        if path not in tree.entries:  # a link is the user's, wherever it leads
            tree.add(path, directory(mode))
    # Without a console /init's output is lost without a word.
    dev = tree.find("dev")
    if dev is None or not stat.S_ISDIR(tree.at(dev).mode):
        raise Fault(f"{what}: its /dev is {'no folder' if dev else 'a link to what is not there'}: the guest needs /dev/console in it, or its output is lost")
    for path, device in (("dev/console", char_device(0o600, 5, 1)), ("dev/null", char_device(0o666, 1, 3))):
        # Who unpacks an archive without being root has files in the place of devices.
        if path in tree.entries and stat.S_ISREG(tree.entries[path].mode):
            del tree.entries[path]
        tree.add_missing(path, device)


def choose_init(tree, wanted, what):
    """Sees to it that there is an /init. `wanted`: LINUX_INIT; `what`: the root's name in messages."""
    if wanted:
        path = tree.find(wanted)
        if path is None:
            near = [p for p in tree.programs() if p.endswith("/" + wanted.rsplit("/", 1)[-1])] or tree.programs()
            raise Fault(f"LINUX_INIT={wanted}: there is no such file in {what}"
                        + (f"; its programs are: {listing(near)}" if near else ""))
        if path != "init":
            tree.add("init", Entry(stat.S_IFLNK | 0o777, data=os.fsencode("/" + path)))
    elif "init" not in tree.entries:
        found = tree.programs()
        if not found:
            raise Fault(f"{what} has no /init and no program that could be it: put an executable file in it "
                        "(is it marked executable? chmod +x)")
        if len(found) > 1:
            raise Fault(f"{what} has no /init and {len(found)} programs: say which one to start, for example "
                        f"LINUX_INIT={found[0]} (there are: {listing(found)})")
        tree.add("init", Entry(stat.S_IFLNK | 0o777, data=os.fsencode(found[0])))
    check_program(tree, "init", what)


def listing(names, most=12):
    return " ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def check_program(tree, name, what):
    """Can it be started in this root? What the kernel would answer is "error -2", or -8, and a panic."""
    path = tree.find(name)
    if path is None:
        old = tree.entries.get(name)
        raise Fault(f"{what}: /{name} " + (f"links to {os.fsdecode(old.data)}, which is not there" if old
                                            else "is not there"))
    entry = tree.at(path)
    if not stat.S_ISREG(entry.mode):
        raise Fault(f"{what}: /{path} is {'a folder' if stat.S_ISDIR(entry.mode) else 'no file'}, so the kernel cannot start it: give "
                    "an executable file")
    if not is_executable(entry.mode):
        raise Fault(f"{what}: /{path} is not marked executable, so the kernel cannot start it (chmod +x)")
    kind = elf.kind_of(tree.start_of(path))
    if kind.wrong or not kind.kind:
        raise Fault(f"{what}: /{path} is {kind.wrong or 'neither an ELF program nor a #! script'}: the guest "
                    "cannot start it")
    if kind.interpreter and tree.find(kind.interpreter) is None:
        raise Fault(f"{what}: /{path} needs {kind.interpreter}, which is not in the root: "
                    + ("put it in" if kind.kind == "script" else "link the program with -static, or put it in with its libraries"))


def overlay(below, above):
    """Two trees as one; the second wins, but a folder that is there, or a link to one, keeps what is in it."""
    result = Tree()
    result.entries = dict(below.entries)
    for path, entry in above.entries.items():
        there = result.find(path) if stat.S_ISDIR(entry.mode) else None
        if there and stat.S_ISDIR(result.entries[there].mode):
            if not entry.implied:
                result.entries[there] = entry
        elif there != "":
            result.add(path, entry)
    return result
