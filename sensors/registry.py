"""Which formats there are, and which of them an input is.

A format is one module in `sensors/formats/` with a module-level `FORMAT`; adding one touches nothing else. Modules are
imported when they are asked for, and a format imports what is heavy only inside `open`.
"""

import gzip
import importlib
import pkgutil
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import sensors.formats
from sensors.errors import UnknownFormatError, UnreadableInputError
from sensors.settings import SensorSettings
from sensors.values import Source

HEAD_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Input:
    """Something to open."""

    path: Path
    name: str
    """As the user typed it."""
    settings: SensorSettings
    now_ns: int
    """The present, for time stamps without a year; never used for anything else."""
    follow: bool = False
    """Go on reading as the file grows and is rotated."""


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of input: how to recognise it and how to open it."""

    name: str
    title: str
    """What it is, in a few words, for `--help` and the documentation."""
    recognise: Callable[[bytes, str], int]
    """(first `HEAD_BYTES` bytes, uncompressed; file name) -> 0 (no) to 100 (certain); contents outweigh names."""
    open: Callable[[Input], Source]


@cache
def formats() -> tuple[Format, ...]:
    """Return all formats, by name."""
    modules = [module.name for module in pkgutil.iter_modules(sensors.formats.__path__)]
    found = [importlib.import_module(f"sensors.formats.{name}").FORMAT for name in modules]
    return tuple(sorted(found, key=lambda candidate: candidate.name))


def read_head(path: Path) -> bytes:
    """Return the first bytes of a file, uncompressed where it is gzip; raise `UnreadableInputError`."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error
    if head[:2] == b"\x1f\x8b":
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
        except (zlib.error, gzip.BadGzipFile):
            return head
    return head


def recognise(path: Path) -> Format:
    """Return the format that recognises a file best; raise `UnknownFormatError` or `UnreadableInputError`."""
    head = read_head(path)
    scores = [(candidate.recognise(head, path.name), candidate) for candidate in formats()]
    score, best = max(scores, key=lambda scored: scored[0])
    if score <= 0:
        known = ", ".join(candidate.name for candidate in formats())
        raise UnknownFormatError(f"{path}: no format recognises it; name one with --format ({known})")
    return best


def open_source(item: Input, format_name: str = "") -> Source:
    """Open an input, by the named format or by the one that recognises it."""
    if not format_name:
        return recognise(item.path).open(item)
    for candidate in formats():
        if candidate.name == format_name:
            return candidate.open(item)
    known = ", ".join(candidate.name for candidate in formats())
    raise UnknownFormatError(f"there is no format {format_name!r}; there are {known}")
