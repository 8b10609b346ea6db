"""Paths in one spelling, so that one place of an application has one name whoever writes it.

Guarantees: what two readers of a path could take for different places is a `DialectError` (encoded separators, double
encoding, backslashes, control characters, climbing above the root), never a guess: request smuggling lives on such
differences (RFC 3986, sections 2.2, 5.2.4 and 6.2.2; CWE-22, CWE-444).
"""

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from policy.errors import DialectError

MAX_PATH_BYTES = 8_192
_ODD = re.compile(r"[\x00-\x20\x7f\\]|%(?:2[fF5]|5[cC]|[01][0-9a-fA-F]|7[fF])|%(?![0-9a-fA-F]{2})")
_HOST = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]|[0-9a-f:.]+")


@lru_cache(65_536)
def clean_path(target: str) -> str:
    """Return the path of a target: decoded once, without query, parameters and dot segments; raise `DialectError`."""
    if len(target) > MAX_PATH_BYTES:
        raise DialectError("gateway.path", f"the path is longer than {MAX_PATH_BYTES} bytes")
    path = target.partition("?")[0].partition("#")[0]
    if not path.startswith("/") or _ODD.search(path):
        raise DialectError("gateway.path", "the path can be read in more than one way")
    kept: list[str] = []
    for segment in path.split("/")[1:]:
        name = unquote_to_bytes(segment.partition(";")[0]).decode("utf-8", "replace")
        if name == "..":
            if not kept:
                raise DialectError("gateway.path", "the path climbs above the root")
            kept.pop()
        elif name not in ("", "."):
            kept.append(name)
    tail = "/" if kept and path.endswith("/") else ""
    return "/" + "/".join(kept) + tail


@lru_cache(4_096)
def clean_host(text: str) -> str:
    """Return a host without its port, in lower case; raise `DialectError`. "" stays ""."""
    host = text.strip().lower().rstrip(".")
    if host.startswith("["):
        host = host.partition("]")[0] + "]"
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    if host and not _HOST.fullmatch(host):
        raise DialectError("gateway.host", "the host is not a host")
    return host
