# SPDX-License-Identifier: MIT
"""Lists in the form of the kernel's gen_init_cpio (usr/gen_init_cpio.c, "usage"), as templates.

    file NAME SOURCE MODE UID GID [HARD-LINK...]      dir NAME MODE UID GID       pipe NAME MODE UID GID
    slink NAME TARGET MODE UID GID                    nod NAME MODE UID GID c|b MAJOR MINOR

@VAR@ and ${VAR} are replaced. A SOURCE is relative to the list's own folder. Names with spaces stand in quotes.
"""
import os
import re
import shlex
import stat

from guestlib import template
from guestlib.common import Fault, read_text
from guestlib.tree import Entry, Tree, clean

FORMS = {
    "file": ("NAME SOURCE MODE UID GID [HARD-LINK...]", 5, None),
    "dir": ("NAME MODE UID GID", 4, 4),
    "slink": ("NAME TARGET MODE UID GID", 5, 5),
    "nod": ("NAME MODE UID GID c|b MAJOR MINOR", 7, 7),
    "pipe": ("NAME MODE UID GID", 4, 4),
    "sock": ("NAME MODE UID GID", 4, 4),
}


def lines(path):
    """(where, words) of each line that says something; the words are not expanded yet."""
    for number, line in enumerate(read_text(path, "list").split("\n"), 1):
        where = f"{path}:{number}"
        if line.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(line)
        except ValueError as e:
            raise Fault(f"{where}: a quote is not closed") from e
        comment = next((i for i, word in enumerate(words) if word.startswith("#")), None)
        words = words[:comment]
        if words:
            yield where, words


def number(text, base, what, where, most):
    try:
        value = int(text, base)
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise Fault(f"{where}: {text} is no {what}")
    return value


def expand(word, values, where):
    word = template.expand(word, values, where)

    def value(match):
        found = values.get(match.group(1), os.environ.get(match.group(1)))
        if found is None:
            raise Fault(f"{where}: ${{{match.group(1)}}} has no value: give one, for example make guest {match.group(1)}=...")
        return found
    return re.sub(r"\$\{(\w+)\}", value, word)


def entry_of(kind, words, folder, where):
    """The entry of a line, without its name."""
    source = words[0] if kind in ("file", "slink") else ""
    mode, uid, gid = words[1:4] if source else words[0:3]
    mode = number(mode, 8, "mode (an octal number, such as 0755)", where, 0o7777)
    entry = Entry(mode, number(uid, 10, "user number", where, 2**32 - 1),
                  number(gid, 10, "group number", where, 2**32 - 1), where=where)
    if kind == "file":
        path = os.path.join(folder, source)
        if not os.path.exists(path):
            raise Fault(f"{where}: there is no file {path}")
        if not os.path.isfile(path):
            raise Fault(f"{where}: {path} is no file")
        # The list's author names the file, so a link is followed here, and only here.
        entry.source = os.path.realpath(path)
        entry.mode |= stat.S_IFREG
    elif kind == "slink":
        entry.data = os.fsencode(source)
        entry.mode |= stat.S_IFLNK
    elif kind == "nod":
        if words[3] not in ("c", "b"):
            raise Fault(f"{where}: {words[3]} is no device type: c (character) or b (block)")
        entry.mode |= stat.S_IFCHR if words[3] == "c" else stat.S_IFBLK
        entry.device = (number(words[4], 10, "major number", where, 2**12 - 1),
                        number(words[5], 10, "minor number", where, 2**20 - 1))
    else:
        entry.mode |= {"dir": stat.S_IFDIR, "pipe": stat.S_IFIFO, "sock": stat.S_IFSOCK}[kind]
    return entry


def read(path, values):
    """The tree that a list describes."""
    tree, folder, seen = Tree(), os.path.dirname(os.path.abspath(path)), {}
    for where, words in lines(path):
        kind, words = words[0], [expand(word, values, where) for word in words[1:]]
        if kind not in FORMS:
            raise Fault(f"{where}: {kind[:40]} is no kind of line: choose from {' '.join(FORMS)}")
        form, least, most = FORMS[kind]
        if len(words) < least or most and len(words) > most:
            raise Fault(f"{where}: a line of this kind is: {kind} {form}")
        name = clean(words[0], where)
        entry = entry_of(kind, words[1:], folder, where)
        if kind == "file" and len(words) > 5:
            entry.group = where
        for other in [name] + ([clean(word, where) for word in words[5:]] if kind == "file" else []):
            if other in seen and kind != "dir":
                raise Fault(f"{where}: /{other} is there already, by {seen[other]}")
            seen[other] = where
            if other:
                tree.add(other, entry)
    return tree
