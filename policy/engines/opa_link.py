"""The connections to an OPA server: opa-python-client's asynchronous client, in a thread of its own.

Guarantees: connections are kept alive and used again; `timeout_s` bounds each call as a whole, however the server
dribbles; redirections are not followed; the token goes to this server only; whatever goes wrong is a `PolicyError`.
Retries nothing: whoever asks has declared what happens without an answer. May be used from any thread.
"""

import asyncio
import re
import ssl
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from policy.errors import AnswerError, EngineUnavailableError, EvaluationError, PolicyError

_SYSTEM = re.compile(r"^\s*package\s+system\b", re.MULTILINE)

T = TypeVar("T")
SPARE_S = 1.0
"""How much longer than a call's own limit is waited for the thread to say so."""


@dataclass(frozen=True, slots=True)
class OpaServer:
    """Where an OPA server is, and what it takes to be let in."""

    url: str
    """http://, https:// or unix:/path."""
    ca: str = ""
    """PEM file of the authority of its certificate; "": any known."""
    token_file: str = ""
    """File with the bearer token; "": none."""


class OpaLink:
    """Connections to one server."""

    def __init__(self, server: OpaServer, timeout_s: float) -> None:
        """Make ready to connect; raise `EngineUnavailableError` where that cannot be."""
        self._timeout_s = timeout_s
        make = _client_maker(server, timeout_s)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="opa", daemon=True)
        self._thread.start()
        self._client = self._finished(asyncio.run_coroutine_threadsafe(_begin(make), self._loop))

    def later(self, call: Callable[[Any], Awaitable[T]]) -> "Future[T]":
        """Begin a call with the client (untyped, hence Any), and return where its result will be."""
        if self._loop.is_closed():
            raise EngineUnavailableError("the connections to OPA have been closed")
        return asyncio.run_coroutine_threadsafe(_typed(call, self._client), self._loop)

    def call(self, call: Callable[[Any], Awaitable[T]]) -> T:
        """Return the result of a call with the client; raise `PolicyError`."""
        return self._finished(self.later(call))

    def close(self) -> None:
        """Close the connections; a closed link may be closed again."""
        if self._loop.is_closed():
            return
        try:
            self._finished(asyncio.run_coroutine_threadsafe(_end(self._client), self._loop))
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def __del__(self) -> None:
        if hasattr(self, "_client"):
            self.close()

    def _finished(self, future: "Future[T]") -> T:
        try:
            return future.result(self._timeout_s + SPARE_S)
        except TimeoutError as error:
            future.cancel()
            raise EngineUnavailableError(f"no answer from OPA within {self._timeout_s:g} s") from error


async def _begin(make: Callable[[], Any]) -> Any:  # opa_client has no types
    client = make()
    await client._init_session()
    return client


async def _end(client: Any) -> None:
    await client.close_connection()
    await asyncio.sleep(0)  # the connections are told in the next turn of the loop


def _client_maker(server: OpaServer, timeout_s: float) -> Callable[[], Any]:
    """Return what makes the client in its thread; raise `EngineUnavailableError`."""
    try:
        import aiohttp
        from opa_client.opa_async import AsyncOpaClient  # type: ignore[import-untyped]
    except ImportError as error:
        raise EngineUnavailableError("opa-python-client is not installed: pip install 'ostiary[run]'") from error
    scheme, host, port, path = _address(server.url)
    token, context = _token(server), _context(server) if scheme == "https" else None

    class Client(AsyncOpaClient):  # type: ignore[misc]  # opa_client has no types
        """The client, over the connections that we want."""

        async def _init_session(self) -> None:
            connector = aiohttp.UnixConnector(path) if path else aiohttp.TCPConnector(ssl=context or True)
            limit = aiohttp.ClientTimeout(total=self.timeout)
            self._session = aiohttp.ClientSession(headers=self.headers, connector=connector, timeout=limit)

        def _request(self, method: str, url: str, **options: Any) -> Any:
            # OPA would redirect from the address with a slash at its end to the one without.
            return super()._request(method, url.rstrip("/"), allow_redirects=False, **options)

    return lambda: Client(host=host, port=port, ssl=scheme == "https", retries=0, timeout=timeout_s, token=token)


def _address(url: str) -> tuple[str, str, int, str]:
    """Return (scheme, host, port, path of the socket)."""
    if url.startswith("unix:/"):
        return "http", "localhost", 80, url.removeprefix("unix:")
    try:
        parts = urlsplit(url)
        port = parts.port or 8181
    except ValueError as error:
        raise EngineUnavailableError(f"{url} is not an address: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise EngineUnavailableError(f"{url} is not the http, https or unix address of an OPA server")
    return parts.scheme, f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname, port, ""


def _token(server: OpaServer) -> str | None:
    if not server.token_file:
        return None
    try:
        token = Path(server.token_file).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        raise EngineUnavailableError(f"the token in {server.token_file} cannot be read") from error
    if not token or not token.isprintable():
        raise EngineUnavailableError(f"{server.token_file} holds no token")
    return token


def _context(server: OpaServer) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=server.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise EngineUnavailableError(f"{server.ca} holds no certificates") from error


async def _typed(call: Callable[[Any], Awaitable[T]], client: Any) -> T:
    """Await a call; turn whatever goes wrong into a `PolicyError`."""
    import aiohttp
    from opa_client.errors import PolicyNotFoundError  # type: ignore[import-untyped]

    try:
        return await call(client)
    except PolicyError:
        raise
    except (aiohttp.ContentTypeError, aiohttp.ClientPayloadError) as error:
        raise AnswerError(f"what OPA answers is cut or is not JSON: {error}") from error
    except (aiohttp.ClientResponseError, PolicyNotFoundError) as error:
        raise EvaluationError(f"OPA refused: {error}") from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise EngineUnavailableError(f"no answer from OPA: {error or type(error).__name__}") from error
    except Exception as error:  # the client takes the form of answers for granted
        raise AnswerError(f"question or answer makes no sense: {error!r}"[:500]) from error


def as_object(value: Any) -> Mapping[str, Any]:
    """Return an answer that is a JSON object; raise `AnswerError`."""
    if not isinstance(value, dict):
        raise AnswerError("OPA's answer is not an object")
    return value


def raw_policy(answer: Any) -> str:
    """Return the text in the server's answer about a policy; raise `AnswerError`."""
    return str(as_object(as_object(answer).get("result")).get("raw"))


def is_system(text: str) -> bool:
    """Tell whether a policy is for the server itself: who may ask it (`system.authz`), what it logs (`system.log`)."""
    return bool(_SYSTEM.search(text))
