"""Sources of bundles: a directory, an archive, an OCI layout hold the same; hostile ones are refused."""

import contextlib
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.bundles import SHIPPED, load_bundle
from policy.errors import BundleError
from policy.sources import MAX_FILE_BYTES, pack, read_files, unpack

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue())


def member(name: str, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


def layout(folder: Path, packed: bytes, media: str = LAYER) -> Path:
    (folder / "blobs" / "sha256").mkdir(parents=True)

    def blob(content: bytes) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (folder / "blobs" / "sha256" / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    manifest = json.dumps({"schemaVersion": 2, "layers": [{**blob(packed), "mediaType": media}]}).encode()
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [blob(manifest)]}))
    return folder


def test_all_sources_hold_the_same(tmp_path: Path) -> None:
    files = read_files(SHIPPED)
    (tmp_path / "b.tar.gz").write_bytes(pack(files))
    assert read_files(tmp_path / "b.tar.gz") == files
    assert read_files(layout(tmp_path / "oci", pack(files))) == files
    assert load_bundle(tmp_path / "b.tar.gz").revision == load_bundle().revision
    assert pack(files) == pack(dict(reversed(files.items())))


def test_a_git_checkout_is_a_directory(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "repo")
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    (tmp_path / "repo" / ".git" / "hooks" / "x.rego").write_text("nonsense")
    assert load_bundle(tmp_path / "repo").revision == load_bundle().revision


@pytest.mark.server
def test_what_opa_builds_is_read(opa: str, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "rego")
    subprocess.run([opa, "build", "-b", "rego", "-o", "b.tar.gz"], cwd=tmp_path, check=True)
    built, ours = load_bundle(tmp_path / "b.tar.gz"), load_bundle()
    assert sorted(built.modules.values()) == sorted(ours.modules.values())
    assert built.data == ours.data and len(built.tests) == len(ours.tests)


@pytest.mark.parametrize(
    "packed",
    [
        archive((member("../up.rego"), b"x")),
        archive((member("a/../../up.rego"), b"x")),
        archive((member("a\\..\\b.rego"), b"x")),
        archive((member("link.rego", tarfile.SYMTYPE), b"")),
        archive((member("hard.rego", tarfile.LNKTYPE), b"")),
        archive((member("null.rego", tarfile.CHRTYPE), b"")),
        archive((member("a.rego"), b"x"), (member("/a.rego"), b"y")),
        archive((member("/".join("d" * 20) + "/a.rego"), b"x")),
        archive((member("a.rego"), b" " * (MAX_FILE_BYTES + 1))),
        archive(*((member(f"{n}.rego"), b"x") for n in range(1_001))),
        archive(*((member(f"{n}.txt"), b"x") for n in range(2_001))),
        archive((member("data.yaml"), b"a: 1")),
        archive((member("patch.json"), b"{}")),
        gzip.compress(bytes(80 << 20)),
        b"",
        b"no archive",
    ],
    ids=[
        "up", "up inside", "backslash", "link", "hard link", "device", "twice", "deep", "large", "many", "many others",
        "yaml", "delta", "bomb", "empty", "text",
    ],
)  # fmt: skip
def test_hostile_archives_are_refused(packed: bytes) -> None:
    with pytest.raises(BundleError):
        unpack(packed, "a bundle")


def test_a_bundle_cut_anywhere_is_refused() -> None:
    packed = pack(read_files(SHIPPED))
    for length in range(0, len(packed) - 1, 97):
        with pytest.raises(BundleError):
            unpack(packed[:length], "a bundle")


@given(st.binary(max_size=400), st.integers(0, 3_000))
def test_noise_is_refused_or_read(noise: bytes, place: int) -> None:
    packed = bytearray(pack({"a.rego": b"package a\n" * 50}))
    packed[place % len(packed) : place % len(packed) + len(noise)] = noise
    with contextlib.suppress(BundleError):
        unpack(bytes(packed), "a bundle")


@pytest.mark.parametrize("harm", ["digest", "none", "two", "media", "json", "blob", "path"])
def test_damaged_layouts_are_refused(tmp_path: Path, harm: str) -> None:
    folder = layout(tmp_path / "oci", pack(read_files(SHIPPED)), "text/plain" if harm == "media" else LAYER)
    index = json.loads((folder / "index.json").read_text())
    name = index["manifests"][0]["digest"].removeprefix("sha256:")
    match harm:
        case "digest":
            (folder / "blobs" / "sha256" / name).write_text("{}")
        case "blob":
            (folder / "blobs" / "sha256" / name).unlink()
        case "none":
            index["manifests"] = []
        case "two":
            index["manifests"] *= 2
        case "path":
            index["manifests"][0]["digest"] = "sha256:../../oci-layout"
    (folder / "index.json").write_text("[" if harm == "json" else json.dumps(index))
    with pytest.raises(BundleError):
        read_files(folder)
