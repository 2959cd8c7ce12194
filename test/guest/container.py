# SPDX-License-Identifier: MIT
"""Container images (OCI=...): written here by hand, so that no container engine is needed and each byte is known; booted, and
what they say of their arguments, environment, user, files and end is read."""
import gzip
import hashlib
import io
import json
import os
import tarfile

OCI_PROGRAM = r"""#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	char cwd[99] = "";
	struct stat info;

	/* A grandchild that nobody waits for. */
	if (fork() == 0) {
		if (fork() == 0) {
			usleep(100000);
			_exit(0);
		}
		_exit(0);
	}
	stat("/data/file", &info);
	printf("%s arguments %d %s, color %s, in %s, user %d:%d, file of %d:%d\n", argv[0], argc - 1, argv[argc - 1], getenv("COLOR"),
	       getcwd(cwd, sizeof(cwd)), (int)getuid(), (int)getgid(), (int)info.st_uid, (int)info.st_gid);
	printf("proc %d, dev %d\n", access("/proc/self/exe", F_OK), access("/dev/null", W_OK));
	fflush(stdout);
	sleep(1);
	return 3;
}
"""


def layer(members):
    """A layer's tar file, as bytes. members: (name, mode, uid, gid, data or None for a folder)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, mode, uid, gid, data in members:
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid = mode, uid, gid
            if data is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def layout(w, name, members, config, tags=("latest",), change=lambda tar: tar):
    """An OCI image layout, written by hand: the tests need no container engine, and know each byte. `change`: what is done
    to the layer's tar file."""
    folder = os.path.join(w.folder, name)

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        w.write(os.path.join(name, "blobs/sha256", digest), data)
        return {"digest": "sha256:" + digest, "size": len(data)}
    tar = change(layer(members))
    kind = "application/vnd.oci.image."
    configuration = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": config,
                                     "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]}}).encode())
    packed = gzip.compress(tar, mtime=0)
    manifest = blob(json.dumps({"schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
                                "config": {"mediaType": kind + "config.v1+json", **configuration},
                                "layers": [{"mediaType": kind + "layer.v1.tar+gzip", **blob(packed)}]}).encode())
    w.write(name + "/index.json", json.dumps({"schemaVersion": 2, "manifests": [
        {"mediaType": kind + "manifest.v1+json", **manifest, "annotations": {"org.opencontainers.image.ref.name": tag}} for tag in tags]}))
    w.write(name + "/oci-layout", '{"imageLayoutVersion": "1.0.0"}')
    return folder


def oci_program(w):
    source = w.write("source/app.c", OCI_PROGRAM)
    w.run("gcc", "-static", "-O1", "-o", os.path.join(w.folder, "app"), source)
    with open(os.path.join(w.folder, "app"), "rb") as f:
        return [("usr", 0o755, 0, 0, None), ("usr/app", 0o755, 0, 0, f.read()), ("data", 0o755, 5, 6, None), ("data/file", 0o640, 1000, 1001, b"x"),
                ("etc", 0o755, 0, 0, None), ("etc/passwd", 0o644, 0, 0, b"root:x:0:0::/:/bin/sh\nuser:x:1000:1001::/:/bin/sh\n")]


CONFIG = {"Entrypoint": ["app", "two words"], "Cmd": ["last"], "Env": ["PATH=/usr", "COLOR=blue green"], "WorkingDir": "/data", "User": "user"}
SEEN = (r"^app arguments 2 last, color blue green, in /data, user 1000:1001, file of 1000:1001$", r"^proc 0, dev 0$", r"^init: app ended with status 3$")


def oci_layout(w):
    path = layout(w, "an image: mine", oci_program(w), CONFIG, tags=("v1", "v2"))
    w.make("OCI=" + path + ":v2")
    w.boot("an-image", *SEEN, ends=True)
    w.boot_havoc("an-image", *(p.replace("$", "\r?$") for p in SEEN), r"^havoc: guest \S+ has powered off", ends="poweroff")
    # Something else of the image instead.
    w.make("OCI=" + path + ":v1", "LINUX_INIT=/usr/app other")
    w.boot("an-image", r"^/usr/app arguments 1 other, ", ends=True)


def oci_archive(w):
    """As `docker save` writes it; an image with an /init of its own."""
    members = [m if m[0] != "usr/app" else ("init",) + m[1:] for m in oci_program(w)]
    # Without root no device node can be unpacked, and a file in its place would take all output.
    members.append(("dev/console", 0o600, 0, 0, b""))
    path = layout(w, "image", members, {**CONFIG, "Entrypoint": ["/init"], "Cmd": None})
    archive = os.path.join(w.folder, "saved image.tar")
    w.run("skopeo", "--insecure-policy", "copy", "--quiet", "oci:%s:latest" % path, "docker-archive:%s:name:tag" % archive)
    w.make("OCI=" + archive + ":name:tag")
    w.boot("saved-image", r"^/init arguments 0 /init, ", r"^init: /init ended with status 3$", ends=True)


def oci_cut(w):
    """A layer that ends with its last member's data, as `umoci insert` writes it; one that ends inside them is refused.
    The image as a tar file of its folder, as `tar c .` writes it."""
    data = b"x" * 700
    last = oci_program(w) + [("data/last", 0o644, 0, 0, data)]

    def cut(less):
        def change(tar):
            end = tar.rindex(data) + len(data)
            return tar[:end - less]
        return change
    w.make("OCI=" + layout(w, "short", last, CONFIG, change=cut(0)))
    w.boot("short", *SEEN, ends=True)
    # Nor is there an end behind a whole block.
    w.make("OCI=" + layout(w, "whole", last, CONFIG, change=lambda tar: cut(0)(tar) + bytes(324)))
    w.refused("the layer .* cannot be read: unexpected end of data", "OCI=" + layout(w, "inside", last, CONFIG, change=cut(1)))
    archive = os.path.join(w.folder, "oci-layout.tar")
    w.run("tar", "-C", os.path.join(w.folder, "short"), "-cf", archive, ".")
    w.make("OCI=" + archive)


CASES = [("oci-cut", oci_cut, 20), ("oci-layout", oci_layout, 30), ("oci-archive", oci_archive, 20)]
