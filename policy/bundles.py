"""Bundles: the Rego files and the data that decide.

A bundle has OPA's own form: `*.rego` files, `data.json` files (a file in a subdirectory lies at that path of the data
document), optionally `.manifest` and `.signatures.json`; `policy.sources` says where it may lie. Guarantees: the
revision is a digest of everything that can change a decision (not of the tests), so two bundles with the same revision
decide alike. Does not compile (the engine does) and does not verify a signature (`policy.signing` does).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policy.canonical import canonical
from policy.download import download, is_address
from policy.errors import BundleError, DocumentError
from policy.sources import MANIFEST, SIGNATURES, read_files, unpack

SHIPPED = Path(__file__).parent / "rego"
"""Where the bundle that Ostiary ships lies."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A policy and its data, in memory."""

    path: Path
    modules: Mapping[str, str]
    """Path inside the bundle -> Rego text, in order of path; without the tests."""
    data: Mapping[str, Any]
    """The data document (JSON values, hence Any)."""
    manifest: Mapping[str, Any]
    """The content of `.manifest`; empty where there is none."""
    revision: str
    """SHA-256 (hex) of the modules and the data."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """Every file as it was read, by its path inside the bundle."""

    @property
    def tests(self) -> Mapping[str, str]:
        """The `_test.rego` files."""
        return {name: text.decode() for name, text in self.files.items() if name.endswith("_test.rego")}

    @property
    def epoch(self) -> int | None:
        """`metadata.epoch` of the manifest, a whole number from 0; None where there is none."""
        metadata = self.manifest.get("metadata")
        epoch = metadata.get("epoch") if isinstance(metadata, dict) else None
        if epoch is None:
            return None
        if isinstance(epoch, bool) or not isinstance(epoch, int) or not 0 <= epoch < 2**53:
            raise BundleError(".manifest: metadata.epoch is not a whole number from 0")
        return epoch


def load_bundle(location: str | Path = "") -> Bundle:
    """Read the bundle at a path or address; "" means the one that Ostiary ships. Raises `BundleError`."""
    if is_address(str(location)):
        return make_bundle(unpack(download(str(location)).packed or b"", str(location)), Path(str(location)))
    path = Path(location) if location else SHIPPED
    return make_bundle(read_files(path), path)


def make_bundle(files: Mapping[str, bytes], path: Path) -> Bundle:
    """Put a bundle together from its files; raise `BundleError`."""
    modules: dict[str, str] = {}
    data: dict[str, Any] = {}
    manifest: dict[str, Any] = {}
    for name, raw in files.items():
        if name == SIGNATURES:
            continue
        text = _text(name, raw)
        if name == MANIFEST:
            manifest = _object(name, text)
        elif name.endswith("data.json"):
            _place(data, name.split("/")[:-1], _object(name, text), name)
        elif not name.endswith("_test.rego"):
            modules[name] = text
    if not modules:
        raise BundleError(f"{path} holds no Rego files")
    return Bundle(path, modules, data, manifest, _revision(modules, data), files)


def number(files: Mapping[str, bytes], epoch: int) -> dict[str, bytes]:
    """Return a bundle's files with an epoch in the manifest; raise `BundleError` where that cannot be read."""
    manifest = _object(MANIFEST, _text(MANIFEST, files.get(MANIFEST, b"{}")))
    metadata = manifest.get("metadata", {})
    if not isinstance(metadata, dict):
        raise BundleError(f"{MANIFEST}: metadata is not an object")
    manifest["metadata"] = {**metadata, "epoch": epoch}
    return {**files, MANIFEST: json.dumps(manifest).encode()}


def _text(name: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"{name} is not UTF-8") from error


def _object(name: str, text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BundleError(f"{name} is not a JSON object")
    return value


def _place(data: dict[str, Any], path: list[str], value: dict[str, Any], name: str) -> None:
    """Merge one file into the data document; two files may share objects but never a value."""
    for key in reversed(path):
        value = {key: value}
    _merge(data, value, name)


def _merge(into: dict[str, Any], value: dict[str, Any], name: str) -> None:
    for key, item in value.items():
        present = into.get(key)
        if isinstance(present, dict) and isinstance(item, dict):
            _merge(present, item, name)
        elif key in into:
            raise BundleError(f"{name} gives {key!r} a second value")
        else:
            into[key] = item


def _revision(modules: Mapping[str, str], data: Mapping[str, Any]) -> str:
    try:
        return hashlib.sha256(canonical({"modules": dict(modules), "data": dict(data)})).hexdigest()
    except DocumentError as error:
        raise BundleError(f"the data: {error}") from error
