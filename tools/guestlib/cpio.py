# SPDX-License-Identifier: MIT
"""The archive that the kernel unpacks as its first root: cpio in the form "newc" (the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst).

Own code, because neither cpio(1) nor gen_init_cpio does all of it: device nodes and owners without root, names with
spaces, hard links, the same bytes every time. Every date is 0; inode numbers count from 1.
"""
import hashlib
import os
import stat
import zlib

from guestlib.common import Fault
from guestlib.tree import open_source

BLOCK = 1 << 20
TRAILER = "TRAILER!!!"


def header(number, entry, links, size, name):
    name = os.fsencode(name) + b"\0"
    fields = (number, entry.mode, entry.uid, entry.gid, links, 0, size, 0, 0, *entry.device, len(name), 0)
    text = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return text + b"\0" * (-len(text) % 4)


def file_bytes(entry, size):
    """A file's content; exactly as much as its header says, also if it changes meanwhile."""
    if not entry.source:
        yield entry.data
        return
    with open_source(entry) as file:
        while size:
            block = file.read(min(BLOCK, size))
            if not block:
                raise Fault(f"{entry.source} became shorter while it was read: try again")
            size -= len(block)
            yield block


def size_of(entry):
    if not stat.S_ISREG(entry.mode) or not entry.source:
        return len(entry.data)
    try:
        with open_source(entry) as file:
            size = os.fstat(file.fileno()).st_size
    except OSError as e:
        raise Fault(f"cannot read {entry.source}: {e.strerror}") from e
    if size >= 1 << 32:
        raise Fault(f"{entry.source} is too large for an initramfs: less than 4 GiB")
    return size


def blocks(tree):
    """The archive, piece by piece."""
    groups = {}
    for path, entry in tree.ordered():
        if path == TRAILER:
            raise Fault(f"{entry.where}: an archive cannot hold the name {TRAILER}, which marks its end: rename it")
        if entry.group is not None and stat.S_ISREG(entry.mode):
            groups.setdefault(entry.group, [0, 0, 0])[0] += 1
    total = count = 0
    for path, entry in tree.ordered():
        size = size_of(entry)
        group = groups.get(entry.group) if entry.group is not None and stat.S_ISREG(entry.mode) else None
        if group is None:
            count += 1
            number, links = count, 1
        else:
            if not group[1]:
                count += 1
                group[1] = count
            number, links = group[1], group[0]
            group[2] += 1
            if group[2] < links:  # the data goes with the last name
                size = 0
        text = header(number, entry, links, size, path)
        yield text
        total += len(text)
        if size:
            yield from file_bytes(entry, size)
            yield b"\0" * (-size % 4)
            total += size + -size % 4
    text = b"070701" + b"%08X" * 13 % (0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(TRAILER) + 1, 0) + TRAILER.encode() + b"\0"
    text += b"\0" * (-len(text) % 4)
    yield text
    yield b"\0" * (-(total + len(text)) % 512)


def digest(tree):
    """What tells one archive from another, without packing it."""
    result = hashlib.sha256()
    for block in blocks(tree):
        result.update(block)
    return result.hexdigest()


def write_gzip(tree, path):
    """As one gzip member without name and date (RFC 1952), whole or not at all."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    check = size = 0
    with open(path + ".tmp", "wb") as out:
        out.write(b"\x1f\x8b\x08\0\0\0\0\0\0\x03")
        for block in blocks(tree):
            check = zlib.crc32(block, check)
            size += len(block)
            out.write(packer.compress(block))
        out.write(packer.flush())
        out.write(check.to_bytes(4, "little") + (size & 0xFFFFFFFF).to_bytes(4, "little"))
    os.replace(path + ".tmp", path)


# ---- Reading, to say what is wrong with a ready one before the kernel is silent about it -------------------

class Broken(Exception):
    """The archive cannot be unpacked."""


def read_names(data, at, names):
    """The names of the archive at `at`; returns where it ends."""
    while True:
        if data[at:at + 6] not in (b"070701", b"070702"):
            raise Broken(f"there is no entry's header at byte {at}")
        try:
            fields = [int(data[i:i + 8], 16) for i in range(at + 6, at + 110, 8)]
        except ValueError as e:
            raise Broken(f"the entry's header at byte {at} is damaged" if len(data) >= at + 110
                         else f"it is cut off at byte {len(data)}") from e
        mode, size, length = fields[1], fields[6], fields[11]
        name_end = at + 110 + length
        content = name_end + -name_end % 4
        end = content + size
        if name_end > len(data) or end > len(data):
            raise Broken(f"it is cut off at byte {len(data)}, {end - len(data)} bytes too early")
        name = data[at + 110:name_end - 1].decode("utf-8", "surrogateescape")
        at = end + -end % 4
        if name == TRAILER:
            return at
        if ".." in name.split("/"):
            raise Broken(f"its entry {name} leaves the root")
        names["/".join(part for part in name.split("/") if part not in ("", ".")) or "."] = mode
