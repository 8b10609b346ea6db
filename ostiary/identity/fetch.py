"""One bounded exchange: a key set is read, or a code redeemed at a provider.

Guarantees: https with verified certificates, or http to this machine itself; redirections are not followed; size and
waiting are bounded. Blocks: call it from a thread that nobody waits for (`apart`).
"""

import asyncio
import contextlib
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

from policy.errors import IdentityError

TIMEOUT_S = 10.0
"""For each step: connecting, and each piece of the answer."""
WHOLE_S = 30.0
MAX_BYTES = 1 << 20
T = TypeVar("T")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:  # the signature of the standard library's
        return None


def check_address(url: str) -> str:
    """Return an address that may be fetched from; raise `IdentityError`."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError as error:
        raise IdentityError(f"{url} is no address") from error
    near = host in ("localhost", "127.0.0.1", "::1")
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and near)):
        raise IdentityError(f"{url}: give a file or an https address")
    return url


def fetch(url: str, form: Mapping[str, str] | None = None, authorization: str = "") -> bytes:
    """Return what is at an address, or what it answers to a form; raise `IdentityError`, which tells no secret."""
    headers = {"User-Agent": "ostiary", "Accept": "application/json"}
    if authorization:
        headers["Authorization"] = authorization
    data = urlencode(form).encode() if form is not None else None
    request = urllib.request.Request(check_address(url), data, headers)  # noqa: S310 - https, or this machine
    opener = urllib.request.build_opener(_NoRedirect, urllib.request.ProxyHandler({}))
    end = time.monotonic() + WHOLE_S
    body = b""
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            while len(body) <= MAX_BYTES and (piece := answer.read1(1 << 16)):
                body += piece
                if time.monotonic() > end:
                    raise IdentityError(f"{url} takes longer than {WHOLE_S:.0f} s to answer")
    except (OSError, HTTPException, ValueError) as error:
        raise IdentityError(f"{url} cannot be fetched: {error}") from error
    if len(body) > MAX_BYTES:
        raise IdentityError(f"{url} answers with more than {MAX_BYTES} bytes")
    return body


async def apart(work: Callable[[], T]) -> T:
    """Return what work in a thread of its own returns; a process can end while such a thread still waits."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # it is a T where there is no error

    def run() -> None:
        result, failed = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, result, failed)

    threading.Thread(target=run, daemon=True).start()
    return await done
