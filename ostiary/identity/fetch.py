"""One bounded HTTP exchange, for key sets and for the token endpoint of an OpenID provider.

Guarantees: https with verified certificates, or http to this machine itself; redirections are not followed; size and
waiting are bounded. Blocks: call it from a thread that nobody waits for.
"""

import ipaddress
import urllib.request
from http.client import HTTPException
from typing import Any
from urllib.parse import urlencode, urlsplit

from policy.errors import IdentityError

TIMEOUT_S = 10.0
MAX_BYTES = 1 << 20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # the signature of the standard library's
        return None


def check_address(url: str) -> str:
    """Return an address that may be fetched from; raise `IdentityError`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        near = host == "localhost" or (host.replace(".", "").isdigit() and ipaddress.ip_address(host).is_loopback)
    except ValueError as error:
        raise IdentityError(f"{url} is no address") from error
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and near)):
        raise IdentityError(f"{url}: give an https address")
    return url


def fetch(url: str, form: dict[str, str] | None = None, authorization: str = "") -> bytes:
    """Return what is at an address; with a form it is posted. Raise `IdentityError`, which tells no secret."""
    headers = {"User-Agent": "ostiary", "Accept": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    data = urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(check_address(url), data, headers)  # noqa: S310 - https, or this machine
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            body: bytes = answer.read(MAX_BYTES + 1)
    except (OSError, HTTPException, ValueError) as error:
        raise IdentityError(f"{url} cannot be fetched: {error}") from error
    if len(body) > MAX_BYTES:
        raise IdentityError(f"{url} answers with more than {MAX_BYTES} bytes")
    return body
