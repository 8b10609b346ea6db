"""Bundles: the Rego files and the data that decide.

A bundle is a directory in OPA's own form: `*.rego` files, `data.json` files (a file in a subdirectory lies at that path
of the data document), optionally `.manifest`. Guarantees: what is loaded is bounded in files, bytes and depth; symbolic
links are not followed; the revision is a digest of everything that can change a decision (not of the tests), so two
bundles with the same revision decide alike. Does not compile: the engine does.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.canonical import canonical
from policy.errors import BundleError, DocumentError

MAX_FILES = 1_000
MAX_FILE_BYTES = 4 << 20
MAX_BUNDLE_BYTES = 32 << 20
MAX_DEPTH = 16

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


def load_bundle(directory: str | Path = "") -> Bundle:
    """Read the bundle in a directory; "" means the one that Ostiary ships. Raises `BundleError`."""
    root = Path(directory) if directory else SHIPPED
    if not root.is_dir():
        raise BundleError(f"{root} is not a directory")
    modules: dict[str, str] = {}
    data: dict[str, Any] = {}
    manifest: dict[str, Any] = {}
    for name, text in _texts(root):
        if name == ".manifest":
            manifest = _object(name, text)
        elif name.endswith("data.json"):
            _place(data, name.split("/")[:-1], _object(name, text), name)
        else:
            modules[name] = text
    if not modules:
        raise BundleError(f"{root} holds no Rego files")
    return Bundle(root, modules, data, manifest, _revision(modules, data))


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    names = sorted(_names(root, root, 0))
    if len(names) > MAX_FILES:
        raise BundleError(f"{root} holds more than {MAX_FILES} files")
    total = 0
    for name in names:
        raw = _read(root / name)
        total += len(raw)
        if total > MAX_BUNDLE_BYTES:
            raise BundleError(f"{root} holds more than {MAX_BUNDLE_BYTES} bytes")
        try:
            yield name, raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BundleError(f"{name} is not UTF-8") from error


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
        if entry.is_dir():
            if not entry.name.startswith("."):
                yield from _names(root, entry, depth + 1)
        elif _belongs(entry, root):
            yield entry.relative_to(root).as_posix()


def _belongs(entry: Path, root: Path) -> bool:
    if entry.suffix == ".rego":
        return not entry.name.endswith("_test.rego")
    return entry.name == "data.json" or entry == root / ".manifest"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise BundleError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    return raw


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
