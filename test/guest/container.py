# SPDX-License-Identifier: MIT
"""Container images (OCI=...): written here by hand, so that no container engine is needed and each byte is known; booted, and
what they say of their arguments, environment, user, files and end is read."""
import gzip
import hashlib
import io
import json
import os
import tarfile

from ways import by, check, entries

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
    """A layer's tar file, as bytes. members: (name, mode, uid, gid, data or None for a folder), or a tarfile.TarInfo."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            name, mode, uid, gid, data = member
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.gid = mode, uid, gid
            if data is None:
                info.type = tarfile.DIRTYPE
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def entry(name, kind, link="", device=(0, 0)):
    """A layer's member that is no file and no folder."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, (info.devmajor, info.devminor), info.mode = kind, link, device, 0o755
    return info


KIND = "application/vnd.oci.image."


def blob(w, name, data):
    digest = hashlib.sha256(data).hexdigest()
    w.write(os.path.join(name, "blobs/sha256", digest), data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def configuration(layers, config, machine="amd64"):
    return json.dumps({"architecture": machine, "os": "linux", "config": config, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest() for tar in layers]}}).encode()


def manifest(w, name, layers, config, machine="amd64", packed=lambda tar: gzip.compress(tar, mtime=0), packing="+gzip"):
    """The blobs of an image; its descriptor."""
    text = json.dumps({"schemaVersion": 2, "mediaType": KIND + "manifest.v1+json",
                       "config": {"mediaType": KIND + "config.v1+json", **blob(w, name, configuration(layers, config, machine))},
                       "layers": [{"mediaType": KIND + "layer.v1.tar" + packing, **blob(w, name, packed(tar))} for tar in layers]})
    return {"mediaType": KIND + "manifest.v1+json", **blob(w, name, text.encode())}


def index(w, name, manifests):
    w.write(name + "/index.json", json.dumps({"schemaVersion": 2, "manifests": manifests}))
    w.write(name + "/oci-layout", '{"imageLayoutVersion": "1.0.0"}')
    return os.path.join(w.folder, name)


def tagged(descriptor, tag):
    return {**descriptor, "annotations": {"org.opencontainers.image.ref.name": tag}}


def layout(w, name, members, config, tags=("latest",), change=lambda tar: tar):
    """An OCI image layout, written by hand: the tests need no container engine, and know each byte. `change`: what is done
    to the layer's tar file."""
    one = manifest(w, name, [change(layer(members))], config)
    return index(w, name, [tagged(one, tag) for tag in tags])


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


# ---- Layers, archives, machines ----

TWO = {"Entrypoint": ["/app"]}


def two_layers():
    """What a second layer takes away and adds; nothing of it is booted."""
    return [layer([("app", 0o755, 0, 0, ELF), ("data", 0o755, 0, 0, None), ("data/gone", 0o644, 0, 0, b"1"), ("data/kept", 0o644, 0, 0, b"2"),
                   ("all", 0o755, 0, 0, None), ("all/old", 0o644, 0, 0, b"3")]),
            layer([("data/.wh.gone", 0o644, 0, 0, b""), ("all/.wh..wh..opq", 0o644, 0, 0, b""), ("all/new", 0o644, 0, 0, b"4")])]


# A program's header for x86-64, and nothing behind it.
ELF = b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x3e\0\1\0\0\0" + bytes(40)


def holds(w, name, *wanted):
    found = {n for n in entries(w.out(name, "initramfs.cpio.gz")) if n.startswith(("data/", "all/"))}
    check(found == set(wanted), "%s: in the root are %s" % (name, sorted(found)))


def oci_umoci(w):
    """Layers by umoci itself: it takes a file away, and all of a folder."""
    for name in ("app/app", "data/gone", "data/kept", "old/old", "new/new"):
        w.write(name, ELF if name == "app/app" else "x", 0o755)
    image = os.path.join(w.folder, "made") + ":v1"
    w.run("umoci", "init", "--layout", os.path.join(w.folder, "made"))
    w.run("umoci", "new", "--image", image)
    for words in (["app", "/usr"], ["data", "/data"], ["old", "/all"], ["--whiteout", "/data/gone"], ["--opaque", "new", "/all"]):
        w.run("umoci", "insert", "--rootless", "--image", image, *words, cwd=w.folder)
    w.run("umoci", "config", "--image", image, "--config.entrypoint", "/usr/app")
    w.make("OCI=" + image)
    holds(w, "made", "data/kept", "all/new")


def oci_zstd(w):
    layers = two_layers()
    index(w, "image", [tagged(manifest(w, "image", layers, TWO, packed=by("zstd", "-qc"), packing="+zstd"), "latest")])
    w.make("OCI=" + os.path.join(w.folder, "image"))
    holds(w, "image", "data/kept", "all/new")


def saved(w, name, files, pack=lambda data: data):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, data in files:
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return w.write(name, pack(out.getvalue()))


def oci_saved(w):
    """Archives as `docker save` wrote them, and as it has since version 25; packed; with two images; without docker's file."""
    layers, config = two_layers(), configuration(two_layers(), TWO)
    old = [("%d/layer.tar" % n, tar) for n, tar in enumerate(layers)] + [("c.json", config)]

    def docker(config, names, *tags):
        return ("manifest.json", json.dumps([{"Config": config, "RepoTags": [tag], "Layers": names} for tag in tags]).encode())
    names = ["0/layer.tar", "1/layer.tar"]
    w.make("OCI=" + saved(w, "old.tar", old + [docker("c.json", names, "app:latest"), ("repositories", b"{}")]))
    holds(w, "old", "data/kept", "all/new")
    w.make("OCI=" + saved(w, "packed.tar.gz", old + [docker("c.json", names, "app:latest")], gzip.compress))
    holds(w, "packed", "data/kept", "all/new")
    w.make("OCI=" + saved(w, "zstd.tar.zst", old + [docker("c.json", names, "app:latest")], by("zstd", "-qc")))
    holds(w, "zstd", "data/kept", "all/new")
    two = saved(w, "two.tar", old + [docker("c.json", names, "app:latest", "other:1")])
    w.refused("OCI=%s: there are 2 images in it: say which, for example OCI=%s:app:latest" % (two, two), "OCI=" + two)
    w.refused("OCI=%s:none: there is no such tag; there are: app:latest other:1" % two, "OCI=" + two + ":none")
    w.make("OCI=" + two + ":other:1")
    w.make("OCI=" + two + ":app")
    # Version 25: a layout with docker's own file.
    w.make("OCI=" + index(w, "layout", [tagged(manifest(w, "layout", layers, TWO, packed=lambda tar: tar, packing=""), "latest")]))
    blobs = [os.path.join("blobs/sha256", n) for n in os.listdir(os.path.join(w.folder, "layout/blobs/sha256"))]
    new = []
    for path in blobs + ["index.json", "oci-layout"]:
        with open(os.path.join(w.folder, "layout", path), "rb") as f:
            new.append((path, f.read()))
    where = ["blobs/sha256/" + hashlib.sha256(data).hexdigest() for data in (config, *layers)]
    w.make("OCI=" + saved(w, "new.tar", new + [docker(where[0], where[1:], "app:latest")]))
    holds(w, "new", "data/kept", "all/new")
    # A path that leaves the folder is not looked at.
    w.make("OCI=" + saved(w, "plain.tar", [("../escaped", b"x"), ("blobs/sha256/../../../escaped", b"x")] + new))
    holds(w, "plain", "data/kept", "all/new")
    check(not os.path.exists(os.path.join(w.build, "guest/.oci/escaped")), "an archive's member left its folder")


def oci_machines(w):
    """Of an image for several machines the one for ours, in both forms of an index; a builder's attestation is no image."""
    def one(name, machine):
        tar = layer([("app", 0o755, 0, 0, ELF), ("data", 0o755, 0, 0, None), ("data/" + machine, 0o644, 0, 0, b"")])
        return {**manifest(w, name, [tar], TWO, machine), "platform": {"os": "unknown" if machine == "unknown" else "linux", "architecture": machine}}
    every = ("arm64", "amd64", "unknown")
    w.make("OCI=" + index(w, "flat", [one("flat", machine) for machine in every]))
    holds(w, "flat", "data/amd64")
    nested = json.dumps({"schemaVersion": 2, "mediaType": KIND + "index.v1+json", "manifests": [one("nested", machine) for machine in every]})
    w.make("OCI=" + index(w, "nested", [tagged({"mediaType": KIND + "index.v1+json", **blob(w, "nested", nested.encode())}, "v1")]))
    holds(w, "nested", "data/amd64")
    w.refused("OCI={}/arm: there is no image for linux/amd64 in it, but for: linux/arm64".replace("{}", w.folder),
              "OCI=" + index(w, "arm", [one("arm", "arm64")]))
    nested = json.dumps({"schemaVersion": 2, "mediaType": KIND + "index.v1+json", "manifests": [one("arms", "arm64")]})
    w.refused("OCI={}/arms: there is no image for linux/amd64 in it".replace("{}", w.folder),
              "OCI=" + index(w, "arms", [{"mediaType": KIND + "index.v1+json", **blob(w, "arms", nested.encode())}]))


def oci_hostile(w):
    """Layers that try to reach what is outside: a file here, which is neither changed nor read."""
    victim = os.path.dirname(w.write("victim/secret", "SECRET"))
    app = ("app", 0o755, 0, 0, ELF)
    inside = {
        "link": [[app, entry("l", tarfile.SYMTYPE, victim), ("l/new", 0o644, 0, 0, b"x")]],
        "link-above": [[app, entry("l", tarfile.SYMTYPE, "../../../../.." + victim), ("l/secret", 0o644, 0, 0, b"x")]],
        "link-proc": [[app, entry("l", tarfile.SYMTYPE, "/proc/self/root" + victim), ("l/new", 0o644, 0, 0, b"x")]],
        "link-later": [[app, entry("l", tarfile.SYMTYPE, victim)], [("l/new", 0o644, 0, 0, b"x")]],
        "absolute": [[app, (victim + "/new", 0o644, 0, 0, b"x")]],
        "whiteout-link": [[app, entry("l", tarfile.SYMTYPE, victim)], [("l/.wh.secret", 0o644, 0, 0, b"")]],
        "opaque-link": [[app, entry("l", tarfile.SYMTYPE, victim)], [("l/.wh..wh..opq", 0o644, 0, 0, b"")]],
        "devices": [[app, entry("sda", tarfile.BLKTYPE, device=(8, 0)), entry("dev/mem", tarfile.CHRTYPE, device=(1, 1)), entry("pipe", tarfile.FIFOTYPE)]],
    }
    refused = {
        "above": [[app, ("../new", 0o644, 0, 0, b"x")]],
        "hard-link": [[app, entry("h", tarfile.LNKTYPE, victim + "/secret")]],
        "hard-link-above": [[app, entry("h", tarfile.LNKTYPE, "../../../../../../../.." + victim + "/secret")]],
        "hard-link-by-link": [[app, entry("l", tarfile.SYMTYPE, "/"), entry("h", tarfile.LNKTYPE, "l" + victim + "/secret")]],
        "whiteout-above": [[app], [(".wh...", 0o644, 0, 0, b"")]],
        "whiteout-all": [[app], [(".wh..", 0o644, 0, 0, b"")]],
        "link-circle": [[app, entry("l", tarfile.SYMTYPE, "l"), ("l/new", 0o644, 0, 0, b"x")]],
    }
    for name, layers in {**inside, **refused}.items():
        word = "OCI=" + index(w, name, [tagged(manifest(w, name, [layer(members) for members in layers], TWO), "latest")])
        if name in inside:
            w.make(word)
            found = entries(w.out(name, "initramfs.cpio.gz"))
            check(all(b"SECRET" not in e["data"] for e in found.values()), name + ": a file from outside is in the root")
        else:
            w.refused("OCI=%s/%s: " % (w.folder, name), word)
        with open(os.path.join(victim, "secret")) as f:
            check(os.listdir(victim) == ["secret"] and f.read() == "SECRET", name + ": something outside was changed")


CASES = [("oci-umoci", oci_umoci, 10), ("oci-zstd", oci_zstd), ("oci-saved", oci_saved, 15), ("oci-machines", oci_machines, 10),
         ("oci-hostile", oci_hostile, 20), ("oci-cut", oci_cut, 20), ("oci-layout", oci_layout, 30), ("oci-archive", oci_archive, 20)]
