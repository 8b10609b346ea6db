"""Bundles over HTTP and HTTPS: one bounded download, or word that nothing changed (ETag, RFC 9110, 8.8.3).

Guarantees: certificates are verified; redirections are not followed; size and waiting are bounded. What comes is not
trusted for where it comes from: whoever takes it into force asks for a signature.
"""

import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError

from policy.errors import BundleError
from policy.sources import MAX_BUNDLE_BYTES

TIMEOUT_S = 20.0
MAX_ETAG = 1_000


@dataclass(frozen=True, slots=True)
class Download:
    """What a server answered."""

    packed: bytes | None
    """The archive; None where it is the one that the given ETag names."""
    etag: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # the signature of the standard library's
        return None


def is_address(location: str) -> bool:
    """Tell whether a location is fetched rather than read."""
    return location.startswith(("http://", "https://"))


def download(url: str, etag: str = "") -> Download:
    """Fetch an archive unless it is still the one with `etag`; raise `BundleError`."""
    if not is_address(url):
        raise BundleError(f"{url} is no http or https address")
    headers = {"User-Agent": "ostiary", **({"If-None-Match": etag} if etag else {})}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http and https only, see `_opener`
        with _opener().open(request, timeout=TIMEOUT_S) as answer:
            packed = answer.read(MAX_BUNDLE_BYTES + 1)
            length = answer.headers.get("Content-Length")
            fresh = (answer.headers.get("ETag") or "")[:MAX_ETAG]
    except HTTPError as error:
        if error.code == 304 and etag:
            return Download(None, etag)
        raise BundleError(f"{url}: the server answers {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise BundleError(f"{url} cannot be fetched: {error}") from error
    if len(packed) > MAX_BUNDLE_BYTES:
        raise BundleError(f"{url} is larger than {MAX_BUNDLE_BYTES} bytes")
    if length is not None and length != str(len(packed)):
        raise BundleError(f"{url} was cut: {len(packed)} of {length} bytes came")
    return Download(packed, fresh)


def _opener() -> urllib.request.OpenerDirector:
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(), urllib.request.HTTPSHandler(), _NoRedirect(),
        urllib.request.HTTPErrorProcessor(), urllib.request.HTTPDefaultErrorHandler(),
    ):  # fmt: skip
        opener.add_handler(handler)
    return opener
