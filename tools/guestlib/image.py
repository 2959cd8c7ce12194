# SPDX-License-Identifier: MIT
"""LINUX_INITRAMFS_IMAGE: a ready initramfs, taken byte for byte as it is.

It is read all the same, as the kernel will (init/initramfs.c: archives and compressed archives one after another, with
zero bytes between), because of what the kernel only says "Initramfs unpacking failed", or nothing.
"""
import lzma
import os
import shutil
import subprocess
import zlib

from guestlib import cpio
from guestlib.common import Fault

GZIP, XZ, ZSTD = b"\x1f\x8b", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"
LZ4, LZ4_FRAME = b"\x02\x21\x4c\x18", b"\x04\x22\x4d\x18"
OTHERS = {b"BZh": "bzip2", b"\x5d\0\0": "lzma", b"\x89LZO": "lzo"}


def unpack_gzip(data):
    engine = zlib.decompressobj(31)
    out = engine.decompress(data)
    if not engine.eof:
        raise cpio.Broken("its gzip data are cut off")
    return out, engine.unused_data


def unpack_xz(data):
    if len(data) > 7 and data[7] not in (0, 1):
        raise cpio.Broken("its xz data have a checksum that the kernel does not know: pack it with xz --check=crc32")
    engine = lzma.LZMADecompressor()
    out = engine.decompress(data)
    if not engine.eof:
        raise cpio.Broken("its xz data are cut off")
    return out, engine.unused_data


def end_of_zstd(data):
    """Where the first frame ends (RFC 8878, "Zstandard Frames")."""
    descriptor = data[4] if len(data) > 4 else 0
    single, checksum = descriptor & 0x20, descriptor & 4
    at = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3] + ((1 if single else 0), 2, 4, 8)[descriptor >> 6]
    last = False
    while not last:
        header = int.from_bytes(data[at:at + 3], "little")
        last, kind, size = header & 1, header >> 1 & 3, header >> 3
        at += 3 + (1 if kind == 1 else size)
        if at > len(data):
            raise cpio.Broken("its zstd data are cut off")
    return at + (4 if checksum else 0)


def end_of_lz4(data):
    """Where the blocks of the older format end: at one of length 0, as the kernel has it (lib/decompress_unlz4.c)."""
    at = 4
    while at + 4 <= len(data):
        size = int.from_bytes(data[at:at + 4], "little")
        if not size:
            break
        at += 4 if data[at:at + 4] == LZ4 else 4 + size
    if at > len(data):
        raise cpio.Broken("its lz4 data are cut off, or followed by something else without four zero bytes between")
    return at


def unpack_by(program, end_of):
    def unpack(data):
        if not shutil.which(program):
            raise Fault(f"{program} is not installed, and this initramfs is packed with it (run: tools/setup formats)")
        end = end_of(data)
        result = subprocess.run([program, "-dc"], input=data[:end], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if result.returncode:
            raise cpio.Broken(f"{program} cannot unpack it: {result.stderr.decode(errors='replace').strip()}")
        return result.stdout, data[end:]
    return unpack


FORMATS = {GZIP: unpack_gzip, XZ: unpack_xz, ZSTD: unpack_by("zstd", end_of_zstd), LZ4: unpack_by("lz4", end_of_lz4)}


def read(data, names, packed=False):
    """Adds the names of all archives in `data`."""
    while True:
        data = data.lstrip(b"\0")
        if not data:
            return
        if data[:5] == b"07070":
            data = data[cpio.read_names(data, 0, names):]
            continue
        if data[:4] == LZ4_FRAME:
            raise cpio.Broken("it is packed in lz4's newer format, which the kernel does not know: pack it with lz4 -l")
        other = next((name for magic, name in OTHERS.items() if data.startswith(magic)), None)
        if other:
            raise cpio.Broken(f"it is packed with {other}: pack it with gzip, xz, zstd or lz4")
        unpack = next((unpack for magic, unpack in FORMATS.items() if data.startswith(magic)), None)
        if unpack is None or packed:
            raise cpio.Broken("what follows its first archive is none" if names else
                              "it is no cpio archive in the form newc (cpio -H newc), nor one packed with gzip, xz, zstd or lz4")
        try:
            inner, data = unpack(data)
        except (zlib.error, lzma.LZMAError, EOFError) as e:
            raise cpio.Broken(f"its packed data are damaged: {e}") from e
        read(inner, names, packed=True)


def check(path, cmdline):
    """Raises a Fault if the kernel could not unpack it, or would find nothing to start."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as e:
        raise Fault(f"LINUX_INITRAMFS_IMAGE={path}: {e.strerror}") from e
    names = {}
    try:
        if not data:
            raise cpio.Broken("it is empty")
        read(data, names)
    except cpio.Broken as e:
        raise Fault(f"LINUX_INITRAMFS_IMAGE={path}: {e}") from e
    init = ([word[7:] for word in cmdline.split() if word.startswith("rdinit=")] or ["/init"])[-1].lstrip("/")
    if init not in names and not any(word.startswith("root=") for word in cmdline.split()):
        raise Fault(f"LINUX_INITRAMFS_IMAGE={path}: there is no /{init} in it: the kernel would find nothing to start "
                    f"(name another program with rdinit= in LINUX_CMDLINE)")
    return os.path.getsize(path)
