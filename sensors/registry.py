"""Which formats there are, and which of them an input is.

A format is one module in `sensors/formats/` with a module-level `FORMAT`; adding one touches nothing else. Modules are
imported when they are asked for, and a format imports what is heavy only inside `open`.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import sensors.formats
from sensors.begun import Begun
from sensors.errors import UnknownFormatError, UnreadableInputError
from sensors.logs.feed import Feed
from sensors.logs.packed import is_packed, plain_head
from sensors.settings import SensorSettings
from sensors.values import Counters, Mark, Source

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
    feed: Callable[[Counters], Feed] | None = None
    """Opens where the lines come from, instead of the file at `path`; what it does is counted in the counters."""
    first: bytes | None = None
    """What the lines begin with, where `path` is no file."""
    stream: Begun | None = None
    """Read this to its end instead of the file at `path`."""
    mark: Mark | None = None
    """How far the source had been read before."""
    zone: str = ""
    """IANA name of the zone of stamps that don't tell theirs; empty: UTC."""

    def inside(self, head: bytes) -> "Input":
        """Return the input that lines within these lines are, which begins with `head` and is opened by nobody."""
        return replace(self, follow=False, feed=None, stream=None, first=head, mark=None)

    def head(self) -> bytes:
        """Return the first plain bytes; raise `UnreadableInputError`."""
        return read_head(self.path) if self.first is None else self.first


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
    """Return the first bytes of a file, unpacked where it is gzip or Zstandard; raise `UnreadableInputError`."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
    except OSError as error:
        raise UnreadableInputError(f"{path}: {error.strerror or error}") from error
    return plain_head(head, HEAD_BYTES) or head if is_packed(head) else head


def best_format(head: bytes, name: str) -> Format | None:
    """Return the format that recognises a file best by its first plain bytes and its name; None where none does."""
    scores = [(candidate.recognise(head, name), candidate) for candidate in formats()]
    score, best = max(scores, key=lambda scored: scored[0])
    return best if score > 0 else None


def recognise(path: Path) -> Format:
    """Return the format that recognises a file best; raise `UnknownFormatError` or `UnreadableInputError`."""
    return _recognised(read_head(path), path.name, str(path))


def _recognised(head: bytes, name: str, shown: str) -> Format:
    found = best_format(head, name)
    if found is None:
        raise UnknownFormatError(f"{shown}: no format recognises it; name one with --format ({_known()})")
    return found


def find_format(name: str) -> Format:
    """Return the format of a name; raise `UnknownFormatError`."""
    for candidate in formats():
        if candidate.name == name:
            return candidate
    raise UnknownFormatError(f"there is no format {name!r}; there are {_known()}")


def open_source(item: Input, format_name: str = "") -> Source:
    """Open an input, by the named format or by the one that recognises it.

    Raises `UnknownFormatError` or `UnreadableInputError`.
    """
    if format_name:
        return find_format(format_name).open(item)
    return _recognised(item.head(), item.path.name, item.name).open(item)


def _known() -> str:
    return ", ".join(candidate.name for candidate in formats())
