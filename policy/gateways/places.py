"""Paths in one spelling, so that one place of an application has one name whoever writes it.

Guarantees: what two readers of a path could take for different places is a `DialectError` (encoded separators, double
encoding, overlong UTF-8, backslashes, control characters, climbing above the root or over an empty segment, dot
segments with parameters), never a guess: request smuggling lives on such differences (RFC 3986, sections 2.2, 5.2.4 and
6.2.2; RFC 3629, section 10; CWE-22, CWE-444).
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import unquote, unquote_to_bytes

from policy.errors import DialectError

MAX_PATH_BYTES = 8_192
CACHED = 256
"""Longer paths are not remembered: whoever asks chooses them, and they would fill the memory."""
_ODD = re.compile(
    r"[\x00-\x20\x7f\\]|%(?:2[fF5]|5[cC]|[01][0-9a-fA-F]|7[fF]|[cC][01]|[eE]0%[89]|[fF]0%8)|%(?![0-9a-fA-F]{2})"
)
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]|[0-9a-f:.]+")
_STAY = str.maketrans({character: f"%{ord(character):02X}" for character in "?#;"})
"""Reserved characters mean something else when they are encoded, so they stay so."""


def clean_path(target: str) -> str:
    """Return the path of a target: decoded once, without query, parameters and dot segments; raise `DialectError`."""
    if len(target) > MAX_PATH_BYTES:
        raise DialectError("gateway.path", f"the path is longer than {MAX_PATH_BYTES} bytes")
    path = _without_query(target)
    return _cleaned(path) if len(path) <= CACHED else _cleaned.__wrapped__(path)


@lru_cache(65_536)
def _cleaned(path: str) -> str:
    if not path.startswith("/") or _ODD.search(path):
        raise _ambiguous()
    kept: list[str] = []
    blank = False
    for segment in path.split("/")[1:]:
        whole, name = _decoded(segment), _decoded(segment.partition(";")[0])
        bare = whole.partition(";")[0]
        if bare in (".", "..") and bare != whole:
            raise _ambiguous()
        if name == "..":
            if blank or not kept:
                raise _ambiguous()
            kept.pop()
        elif name == "":
            blank = True  # for some readers a segment like any other
        elif name != ".":
            kept.append(name.translate(_STAY))
    tail = "/" if kept and path.endswith("/") else ""
    return "/" + "/".join(kept) + tail


def sent_place(host: str, target: str) -> str:
    """Return host and path as sent, for `readings`; without the host where that cannot be read."""
    try:
        return clean_host(host) + target
    except DialectError:
        return target


def readings(place: str) -> set[str]:
    """Return what readers of all habits could take a place (`host/path`, as sent) for.

    For places that `clean_path` refuses: the strictest of what is declared for these then counts.
    """
    host, slash, path = _without_query(place).partition("/")
    found = {host + slash + path}
    for _ in range(3):  # as it is, decoded, decoded twice
        segments = [segment.partition(";")[0] for segment in path.replace("\\", "/").split("/")]
        full = [segment for segment in segments if segment]
        found |= {host + slash + "/".join(each) for each in (full, _resolved(full), _resolved(segments))}
        path, before = unquote(path), path
        if path == before:
            break
    return found


@lru_cache(4_096)
def clean_host(text: str) -> str:
    """Return a host without its port, in lower case; raise `DialectError`. "" stays ""."""
    host, rest = text.strip().lower(), ""
    if host.startswith("["):
        host, bracket, rest = host.partition("]")
        host += bracket
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    host = host.rstrip(".")
    if rest.partition(":")[0] or (host and not (text.isascii() and _HOST.fullmatch(host))):
        raise DialectError("gateway.host", "the host is not a host")
    return host


def _ambiguous() -> DialectError:
    return DialectError("gateway.path", "the path can be read in more than one way")


def _without_query(target: str) -> str:
    return target.partition("?")[0].partition("#")[0]


def _decoded(text: str) -> str:
    if text.isascii() and "%" not in text:
        return text
    return unquote_to_bytes(text.encode("utf-8", "replace")).decode("utf-8", "replace")


def _resolved(segments: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return [segment for segment in kept if segment]
