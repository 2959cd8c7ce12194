# SPDX-License-Identifier: MIT
"""OCI: a container image becomes a root and what /init starts in it.

skopeo brings every kind of archive into one form and picks the image for amd64, umoci unpacks it without root (the
owners go into an attribute of each file). guest/init.c then starts the program: its arguments, environment, user and
working directory go into /.havoc/run. Specification: OCI image-spec, "image-layout" and "config".
"""
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import tarfile
import tempfile
import zlib

from guestlib import ocisource, program
from guestlib.common import ROOT, TOOLS, Fault, read_text, sha256_file
from guestlib.lock import Lock
from guestlib.tree import Entry, Tree, check_program, directory

RUN_FILE = ".havoc/run"
OWNER = "user.rootlesscontainers"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(what, doing, log, *command):
    """A step that takes long for a large image: shown, with its output in a log."""
    if not shutil.which(command[0]):
        raise Fault(f"{command[0]} is not installed (run: tools/setup oci)")
    # Its own failure is told below, in one sentence.
    if subprocess.run([os.path.join(TOOLS, "progress"), doing, log, *command], env={**os.environ, "PROGRESS_QUIET": "1"}, check=False).returncode:
        lines = [line for line in read_text(log).strip().split("\n") if line]
        if any("no image found in" in line for line in lines):
            raise Fault(f"OCI={what}: there is no image for linux/amd64 in it")
        lines = [line.lstrip("\u2a2f ") for line in lines]  # umoci's sign for a failure
        message = re.search(r'msg="(.*)"', "; ".join(lines[-2:]))
        raise Fault(f"OCI={what}: {command[0]} cannot read it: {(message.group(1) if message else '; '.join(lines[-2:]))[:400]} (log: {log})")


# ---- Looked at ---------------------------------------------------------------------------------------------------

def blob(layout, descriptor):
    return os.path.join(layout, "blobs", *descriptor["digest"].split(":"))


def manifest_of(layout):
    """Of a layout that skopeo wrote: it holds one image."""
    index = json.loads(read_text(os.path.join(layout, "index.json")))
    return json.loads(read_text(blob(layout, index["manifests"][0])))


def check_layers(layout, what):
    """No layer may name a path outside the root. (umoci would keep it inside; but such an image is not what it seems.)"""
    for layer in manifest_of(layout)["layers"]:
        try:
            with tarfile.open(blob(layout, layer)) as archive:
                for member in ocisource.members(archive):
                    names = [member.name] + ([member.linkname] if member.islnk() else [])
                    # ".wh.NAME" takes NAME of the layers below away.
                    if any(".." in name.split("/") for name in names) or os.path.basename(member.name) in (".wh.", ".wh..", ".wh..."):
                        raise Fault(f"OCI={what}: a layer has the path {member.name}, which leaves the root: the image is refused")
        except (tarfile.TarError, OSError, EOFError, zlib.error) as e:
            raise Fault(f"OCI={what}: the layer {layer['digest'][:19]} cannot be read: {e}") from e


def process_of(bundle, layout):
    """What the image starts, as umoci put it (users and groups by number); but the `sh` that it puts where the image names
    no program is not the image's wish."""
    process = json.loads(read_text(os.path.join(bundle, "config.json")))["process"]
    named = json.loads(read_text(blob(layout, manifest_of(layout)["config"]))).get("config", {})
    if not named.get("Entrypoint") and not named.get("Cmd"):
        process["args"] = []
    return process


# ---- Unpacked ------------------------------------------------------------------------------------------------

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def owner(path):
    """User and group that umoci noted (rootlesscontainers' protobuf: field 1 and 2)."""
    found = {1: 0, 2: 0}
    try:
        data, at = os.getxattr(path, OWNER, follow_symlinks=False), 0
        while at < len(data):
            tag, at = varint(data, at)
            found[tag >> 3], at = varint(data, at)
    except (OSError, IndexError):
        return 0, 0
    return found[1], found[2]


def identity(path, tag):
    text = sha256_file(os.path.join(path, "index.json") if os.path.isdir(path) else path)
    return hashlib.sha256(f"2 {tag} {text}".encode()).hexdigest()[:16]


def unpack(what, build):
    """The folder with rootfs/ and process.json; kept, since an image does not change."""
    path, tag = ocisource.split(what)
    if os.path.isdir(path) and not os.path.isfile(os.path.join(path, "index.json")):
        raise Fault(f"OCI={path}: this folder is no OCI image layout (it has no index.json); a plain root is given as LINUX_INITRAMFS_ROOT")
    try:
        done = os.path.join(build, ".oci", identity(path, tag))
    except PermissionError as e:
        raise Fault(f"cannot read OCI={path}: {e.strerror}") from e
    with Lock(build, os.path.join(".locks", ".oci"), None):
        if not os.path.isfile(os.path.join(done, "process.json")):
            os.makedirs(os.path.dirname(done), exist_ok=True)
            for left in os.listdir(os.path.dirname(done)):
                if left.startswith("unpack."):  # of one that was killed
                    shutil.rmtree(os.path.join(os.path.dirname(done), left), ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix="unpack.", dir=os.path.dirname(done), ignore_cleanup_errors=True) as folder:
                unpack_into(folder, what, ocisource.name_of(path, folder, tag), done + ".log")
                os.rename(os.path.join(folder, "bundle"), done)
    return done


def unpack_into(folder, what, name, log):
    layout, bundle = os.path.join(folder, "layout"), os.path.join(folder, "bundle")
    run(what, "reading the container image", log, "skopeo", "--insecure-policy", "--override-os", "linux", "--override-arch", "amd64",
        "copy", "--quiet", "--dest-compress-format", "gzip", name, f"oci:{layout}:image")  # umoci knows no zstd
    check_layers(layout, what)
    run(what, "unpacking the container image", log, "umoci", "unpack", "--rootless", "--image", f"{layout}:image", bundle)
    make_readable(os.path.join(bundle, "rootfs"))
    with open(os.path.join(bundle, "process.json"), "w") as file:
        json.dump(process_of(bundle, layout), file)


def make_readable(root):
    """Folders that their owner may not enter would be in the way of removing all this."""
    for folder, names, _ in os.walk(root):
        for name in names:
            full = os.path.join(folder, name)
            mode = os.lstat(full).st_mode
            if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
                os.chmod(full, mode | 0o700)


def tree(what, build):
    """The root, and what the image starts (runtime-spec's "process")."""
    done = unpack(what, build)
    result = Tree()
    result.add_directory(os.path.join(done, "rootfs"), owner, own=True)
    # Without root umoci puts empty files in the place of device nodes; and /dev is Linux's own here.
    for path in [path for path in result.entries if path.startswith("dev/")]:
        del result.entries[path]
    return result, json.loads(read_text(os.path.join(done, "process.json")))


# ---- What it starts ------------------------------------------------------------------------------------------

def find_command(root, process):
    """Where the program is, by the image's PATH and working directory."""
    name = process["args"][0]
    if "/" in name:
        return name if name.startswith("/") else process.get("cwd", "/") + "/" + name
    search = next((word[5:] for word in process.get("env", []) if word.startswith("PATH=")), PATH)
    for folder in search.split(":"):
        if root.find(f"{folder}/{name}") is not None:
            return f"{folder}/{name}"
    raise Fault(f"its program {name} is in none of the folders of its PATH ({search})")


def add_init(root, process, build, what, instead=""):
    """Puts our init in; returns the word that the kernel's command line needs, if /init is the image's own. `instead`:
    LINUX_INIT, a program with arguments that is started instead of the image's."""
    if instead:
        process = {**process, "args": shlex.split(instead)}
    if not process.get("args"):
        raise Fault(f"OCI={what}: the image names no program (no entrypoint and no command): say which, LINUX_INIT=...")
    try:
        check_program(root, find_command(root, process), f"OCI={what}")
    except Fault as e:
        raise Fault(str(e) if str(e).startswith("OCI=") else f"OCI={what}: {e}") from e
    user = process.get("user", {})
    records = [("arg", word) for word in process["args"]]
    records += [("env", word) for word in process.get("env", [])]
    names = {word.split("=")[0] for word in process.get("env", [])}
    records += [("env", f"{name}={value}") for name, value in (("PATH", PATH), ("HOME", "/root"), ("TERM", "linux")) if name not in names]
    records += [("cwd", process.get("cwd") or "/"), ("uid", user.get("uid", 0)), ("gid", user.get("gid", 0))]
    records += [("group", number) for number in user.get("additionalGids", [])]
    text = "".join(f"{key}={value}\0" for key, value in records)
    ours = program.compile_c(os.path.join(ROOT, "guest", "init.c"), os.path.join(build, ".bin", "init"), ours=True)
    root.add(".havoc", directory(0o755))
    root.add(RUN_FILE, Entry(stat.S_IFREG | 0o444, data=text.encode("utf-8", "surrogateescape")))
    root.add(".havoc/init", Entry(stat.S_IFREG | 0o755, source=ours))
    if "init" in root.entries:
        return "rdinit=/.havoc/init"
    root.add("init", Entry(stat.S_IFLNK | 0o777, data=b"/.havoc/init"))
    return ""
