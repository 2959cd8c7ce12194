# SPDX-License-Identifier: MIT
"""What all of guestlib uses: the one kind of error that a user sees, hashes, and files that are written whole or not
at all.

A Fault is one sentence for the user: what is wrong, where, and what to do. tools/guest prints it and ends.
"""
import errno
import filecmp
import hashlib
import os
import shutil
import stat

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(TOOLS)


class Fault(Exception):
    """A mistake in what was asked for, or a thing that is missing: told in one sentence."""


def cache_folder():
    path = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(os.path.abspath(path), "havoc")


def sha256_text(text):
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def read_text(path, what="file"):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as e:
        raise Fault(f"cannot read the {what} {path}: {e.strerror}") from e


def write_file(path, data):
    """Writes bytes or text, if the file does not hold them already: whatever depends on it sees by its date whether
    it changed."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    try:
        with open(path, "rb") as file:
            if file.read() == data:
                return False
    except OSError:
        pass
    with open(path + ".tmp", "wb") as file:
        file.write(data)
    os.replace(path + ".tmp", path)
    return True


def copy_file(source, path, executable=False):
    """Copies a file, if it is not the same already."""
    if os.path.isfile(path) and filecmp.cmp(source, path, shallow=False):
        return False
    shutil.copyfile(source, path + ".tmp")
    os.chmod(path + ".tmp", 0o755 if executable else 0o644)
    os.replace(path + ".tmp", path)
    return True


def find_tool(name, package):
    if not shutil.which(name):
        raise Fault(f"{name} is not installed (apt-get install {package})")
    return name


def is_executable(mode):
    return stat.S_ISREG(mode) and bool(mode & 0o111)


def disk_full(e):
    """The sentence for a full disk, from the OSError that says so; else None."""
    if e.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    where = f" at {e.filename}" if e.filename else ""
    return f"no space left on the disk{where}: free some, or set XDG_CACHE_HOME and BUILD to folders elsewhere"
