"""Where bundles come from: a directory (a git checkout is one), an archive as `opa build` writes it, an OCI layout.

Guarantees: what is read is bounded in files, bytes and depth, in packed and unpacked form; symbolic links in a
directory are not followed; an archive that holds a link, a device, a path that leads out of it, or one name twice is
refused; blobs of an OCI layout have the digest that names them. Does not look into the files.
"""

import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from policy.errors import BundleError

MAX_FILES = 1_000
MAX_FILE_BYTES = 4 << 20
MAX_BUNDLE_BYTES = 32 << 20
MAX_DEPTH = 16

MANIFEST, SIGNATURES = ".manifest", ".signatures.json"
REFUSED = frozenset({"data.yaml", "data.yml", "patch.json", ".manifest.pb"})
"""Files that OPA would decide by and that are not understood here: never left out silently."""

_LAYER = re.compile(r"application/vnd\.(oci\.image|docker)\..*tar.*gzip")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def read_files(location: Path) -> dict[str, bytes]:
    """Return the files of the bundle at a path, by their names inside it, in order; raise `BundleError`."""
    if location.is_dir():
        layered = (location / "oci-layout").is_file()
        files = unpack(_oci_layer(location), str(location)) if layered else dict(_of_directory(location))
    elif location.is_file():
        files = unpack(_read(location, MAX_BUNDLE_BYTES), str(location))
    else:
        raise BundleError(f"{location} is neither a directory nor a file")
    return dict(sorted(files.items()))


def unpack(packed: bytes, name: str) -> dict[str, bytes]:
    """Return the files of a `.tar.gz` archive; raise `BundleError`."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            plain = stream.read(2 * MAX_BUNDLE_BYTES + 1)  # headers and padding, besides the content
        if len(plain) > 2 * MAX_BUNDLE_BYTES:
            raise BundleError(f"{name} unpacks to more than {2 * MAX_BUNDLE_BYTES} bytes")
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as archive:
            return _bounded(_of_archive(archive, name), name)
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
        raise BundleError(f"{name} is not a whole .tar.gz archive: {error}") from error


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files as OPA reads it; the same files give the same bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"/{name}")
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def _of_archive(archive: tarfile.TarFile, name: str) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for count, member in enumerate(archive):
        if count >= 2 * MAX_FILES:
            raise BundleError(f"{name} holds more than {2 * MAX_FILES} entries")
        path = _inside(member.name, name)
        if member.isdir():
            continue
        if not member.isreg():
            raise BundleError(f"{name} holds a link or a device: {path}")
        if path in seen:
            raise BundleError(f"{name} holds {path} twice")
        seen.add(path)
        if not _belongs(path):
            continue
        if member.size > MAX_FILE_BYTES:
            raise BundleError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        content = archive.extractfile(member)
        yield path, content.read() if content else b""


def _inside(path: str, name: str) -> str:
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if ".." in parts or "\\" in path or "\0" in path:
        raise BundleError(f"{name} holds a path that leads out of it")
    if len(parts) > MAX_DEPTH:
        raise BundleError(f"{name} is nested too deeply")
    return "/".join(parts)


def _of_directory(root: Path) -> Iterator[tuple[str, bytes]]:
    def contents() -> Iterator[tuple[str, bytes]]:
        names = sorted(_names(root, root, 0))
        if len(names) > MAX_FILES:
            raise BundleError(f"{root} holds more than {MAX_FILES} files")
        for name in names:
            yield name, _read(root / name, MAX_FILE_BYTES)

    yield from _bounded(contents(), str(root)).items()


def _bounded(contents: Iterator[tuple[str, bytes]], name: str) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    total = 0
    for path, content in contents:
        files[path] = content
        total += len(content)
        if len(files) > MAX_FILES:
            raise BundleError(f"{name} holds more than {MAX_FILES} files")
        if total > MAX_BUNDLE_BYTES:
            raise BundleError(f"{name} holds more than {MAX_BUNDLE_BYTES} bytes")
    return files


def _names(root: Path, folder: Path, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise BundleError(f"{folder} is nested too deeply")
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise BundleError(f"{folder} cannot be listed: {error.strerror}") from error
    for entry in entries:
        if entry.is_symlink():
            continue
        name = entry.relative_to(root).as_posix()
        if entry.is_dir():
            if not entry.name.startswith("."):
                yield from _names(root, entry, depth + 1)
        elif _belongs(name):
            yield name


def _belongs(name: str) -> bool:
    """Tell whether a file is part of a bundle; what OPA would read and we cannot is refused."""
    path = PurePosixPath(name)
    if path.name in REFUSED:
        raise BundleError(f"{name}: only Rego, data.json and .manifest are understood here")
    return path.suffix == ".rego" or path.name == "data.json" or name in {MANIFEST, SIGNATURES}


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > limit:
        raise BundleError(f"{path} is larger than {limit} bytes")
    return raw


def _oci_layer(layout: Path) -> bytes:
    """Return the one archive of an OCI image layout (OCI image specification 1.1) of one image."""
    manifest = _blob(
        layout, _only(_document(_read(layout / "index.json", MAX_FILE_BYTES), layout), "manifests", layout)
    )
    layers = _document(manifest, layout).get("layers")
    packed = [layer for layer in layers if _is_packed(layer)] if isinstance(layers, list) else []
    return _blob(layout, _only({"layers": packed}, "layers", layout))


def _is_packed(layer: object) -> bool:
    return isinstance(layer, dict) and _LAYER.fullmatch(str(layer.get("mediaType"))) is not None


def _only(document: Mapping[str, Any], key: str, layout: Path) -> Mapping[str, Any]:
    items = document.get(key)
    if not isinstance(items, list) or len(items) != 1 or not isinstance(items[0], dict):
        raise BundleError(f"{layout} does not hold exactly one bundle ({key})")
    return items[0]


def _blob(layout: Path, descriptor: Mapping[str, Any]) -> bytes:
    digest = str(descriptor.get("digest"))
    if not _DIGEST.fullmatch(digest):
        raise BundleError(f"{layout}: a descriptor has no SHA-256 digest")
    content = _read(layout / "blobs" / "sha256" / digest.removeprefix("sha256:"), MAX_BUNDLE_BYTES)
    if hashlib.sha256(content).hexdigest() != digest.removeprefix("sha256:"):
        raise BundleError(f"{layout}: the blob {digest} has another digest")
    return content


def _document(raw: bytes, layout: Path) -> Mapping[str, Any]:
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{layout}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BundleError(f"{layout}: not a JSON object")
    return value
