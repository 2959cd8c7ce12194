# SPDX-License-Identifier: MIT
"""OCI: which image is meant, and how skopeo is told: of a layout, or of an archive that `docker save` or another tool
wrote, packed or not. Specification: OCI image-spec, "image-layout" and "image-index".
"""
import bz2
import gzip
import json
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import zlib

from guestlib.common import Fault, find_tool, read_text, write_file
from guestlib.image import ZSTD


def split(what):
    """(path, tag) of PATH, PATH:TAG or PATH:NAME:TAG."""
    for end in [len(what)] + [i for i in range(len(what) - 1, 0, -1) if what[i] == ":"]:
        if os.path.exists(what[:end]):
            return what[:end], what[end + 1:]
    raise Fault(f"OCI={what}: there is no such file or folder (a docker image is saved by: docker save -o image.tar NAME)")


def members(archive):
    """Of an open tar file. It may end where its last member does, without what fills the block up and the two blocks of
    zeros: `umoci insert` writes layers so, and what unpacks them takes them."""
    last = None
    try:
        for member in archive:
            yield member
            last = member
    except tarfile.ReadError:
        if last is None or not ends_with(archive.fileobj, last):
            raise


def ends_with(file, member):
    """Whether a file ends between the end of a member's data and the end of its last block."""
    if not member.isreg() or member.issparse():
        return False
    file.seek(member.offset_data + member.size - 1)
    return 1 <= len(file.read(512)) <= 512 - (member.size - 1) % 512


def say_which(path, tags):
    return Fault(f"OCI={path}: there are {len(tags)} images in it: say which, for example OCI={path}:{next(filter(None, tags), 'TAG')}")


def no_such(path, tag, tags):
    return Fault(f"OCI={path}:{tag}: there is no such tag; there are: {' '.join(sorted(set(filter(None, tags)))) or 'none'}")


def choose(manifests, path, tag):
    """The one of an index's manifests that is meant. What is for other machines is left out, and what is no image at all (a
    builder's attestation says that its platform is unknown)."""
    def platform(manifest):
        return "/".join(manifest.get("platform", {}).get(key, "") for key in ("os", "architecture"))

    def name(manifest):
        return manifest.get("annotations", {}).get("org.opencontainers.image.ref.name")
    if not manifests:
        raise Fault(f"OCI={path}: there is no image in it")
    fits = [m for m in manifests if platform(m) in ("/", "linux/amd64")]
    if not fits:
        raise Fault(f"OCI={path}: there is no image for linux/amd64 in it, but for: {' '.join(sorted({platform(m) for m in manifests}))}")
    if tag:
        found = [m for m in fits if name(m) == tag]
        if not found:
            raise no_such(path, tag, [name(m) for m in fits])
        return found[0]
    if len(fits) != 1:
        raise say_which(path, [name(m) for m in fits])
    return fits[0]


def of_layout(layout, folder, path, tag):
    """skopeo's name of an image in a layout: of one that holds this image alone, because skopeo tells them by their tags only."""
    try:
        chosen = choose(json.loads(read_text(os.path.join(layout, "index.json")))["manifests"], path, tag)
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise Fault(f"OCI={path}: its index.json is damaged") from e
    alone = os.path.join(folder, "alone")
    os.mkdir(alone)
    os.symlink(os.path.join(os.path.abspath(layout), "blobs"), os.path.join(alone, "blobs"))
    chosen["annotations"] = {"org.opencontainers.image.ref.name": "image"}
    write_file(os.path.join(alone, "index.json"), json.dumps({"schemaVersion": 2, "manifests": [chosen]}))
    write_file(os.path.join(alone, "oci-layout"), '{"imageLayoutVersion": "1.0.0"}')
    return f"oci:{alone}:image"


def short(name):
    """A tag without what docker, podman and skopeo may leave out."""
    name = re.sub(r"^(docker\.io/(library/)?|localhost/)", "", name)
    return name if ":" in name else name + ":latest"


def of_docker(file, archive, path, tag):
    """skopeo's name of an image in what `docker save` writes."""
    try:
        images = json.loads(archive.extractfile(file).read())
        tags = [name for image in images for name in image.get("RepoTags") or [""]]
    except (ValueError, AttributeError, TypeError) as e:
        raise Fault(f"OCI={path}: its manifest.json is damaged") from e
    if tag:
        found = [name for name in tags if short(name) == short(tag)]
        if not found:
            raise no_such(path, tag, tags)
        tag = found[0]
    if not tag and len(images) > 1:
        raise say_which(path, tags)
    return ":" + tag if tag else ""


PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}


def plain(path, folder):
    """The archive unpacked, if it is packed (skopeo does not read every packed one); a link to it otherwise, because skopeo
    takes a path's colons for its own."""
    out = os.path.join(folder, "source")
    with open(path, "rb") as file:
        head = file.read(6)
    opener = next((opener for magic, opener in PACKED.items() if head.startswith(magic)), None)
    if opener:
        with opener(path) as packed, open(out, "wb") as file:
            shutil.copyfileobj(packed, file, 1 << 20)
    elif head.startswith(ZSTD):
        unpacked = subprocess.run([find_tool("zstd", "zstd"), "-qdc", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        if unpacked.returncode:
            raise tarfile.ReadError(unpacked.stderr.decode(errors="replace"))
        write_file(out, unpacked.stdout)
    else:
        os.symlink(os.path.abspath(path), out)
    return out


def of_archive(path, folder, tag):
    try:
        source = plain(path, folder)
        with tarfile.open(source, "r:") as archive:
            names = {os.path.normpath(member.name): member for member in members(archive)}
            # `docker save` writes both files today, other tools only index.json.
            if "manifest.json" in names:
                return f"docker-archive:{source}" + of_docker(names["manifest.json"], archive, path, tag)
            if "index.json" not in names:
                raise Fault(f"OCI={path}: this archive holds no image (neither manifest.json nor index.json); a plain root is unpacked "
                            "and given as LINUX_INITRAMFS_ROOT")
            layout = os.path.join(folder, "unpacked")
            for name, member in names.items():
                if member.isreg() and re.fullmatch(r"blobs/\w+/\w+|index\.json", name):
                    os.makedirs(os.path.dirname(os.path.join(layout, name)), exist_ok=True)
                    with open(os.path.join(layout, name), "wb") as file:
                        shutil.copyfileobj(archive.extractfile(member), file, 1 << 20)
        return of_layout(layout, folder, path, tag)
    except PermissionError as e:
        raise Fault(f"cannot read OCI={path}: {e.strerror}") from e
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as e:
        raise Fault(f"OCI={path}: this is no archive that `docker save` writes, or it is damaged") from e


def name_of(path, folder, tag):
    """skopeo's name of an image; `folder` is for what has to be written for it."""
    return of_layout(path, folder, path, tag) if os.path.isdir(path) else of_archive(path, folder, tag)
