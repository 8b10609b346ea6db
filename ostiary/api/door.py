"""The door of the API: every request passes it before anything else looks at it.

Guarantees, in order: only a path and method in `access.ROUTES` gets further; only with a good token, and only with a
role of its row (a token file that can't be read lets nobody in); the body is complete and no longer than its row says;
every answer carries the security headers; whatever fails inside becomes a problem without details, and only its kind
and place are logged, since its text could name somebody.
"""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any  # ASGI scopes and messages are untyped mappings
from urllib.parse import parse_qsl

from ostiary.api.access import Route, routes_at
from ostiary.api.errors import TokenFileError
from ostiary.api.problems import MEDIA_TYPE, Answer, Fault, answer
from ostiary.api.tokens import TokenRecord, Tokens

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

CALLER = "ostiary.caller"
"""Key of the scope under which routes find the `TokenRecord` of who asks."""
MAX_TARGET = 4_096
BODY_TIMEOUT_S = 10.0
SECURITY_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")
_log = logging.getLogger("ostiary.api")


class Door:
    """The ASGI application that wraps the API."""

    def __init__(self, app: App, tokens: Tokens) -> None:
        self._app = app
        self._tokens = tokens

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let a request in, or answer with a problem."""
        if scope["type"] != "http":
            return
        guarded = _Guarded(scope, send)
        try:
            refusal = self._refusal(scope)
            route = _route(scope)
            if refusal is None and route is not None and route.method == "POST":
                body = await _body(receive, route.max_body)
                if isinstance(body, bytes):
                    receive = _replay(body, receive)
                else:
                    refusal = body
            if refusal is None:
                await self._app(scope, receive, guarded)
            else:
                await guarded.refuse(refusal)
        except Exception as error:  # noqa: BLE001 - the last line of defence: nothing is told to the client
            _log.error("%s %s failed: %s", scope["method"], _template(scope["path"]), _place(error))
            if not guarded.started:
                await guarded.refuse(answer("api.internal"))

    def _refusal(self, scope: Message) -> Answer | None:
        """Return why a request may not come in, or None after leaving its caller in the scope."""
        if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > MAX_TARGET:
            return answer("api.too-long")
        routes = routes_at(scope["path"])
        if not routes:
            return answer("api.not-found")
        route = _route(scope)
        if route is None:
            return answer("api.method", headers={"Allow": ", ".join(sorted(route.method for route in routes))})
        if route.roles is None:
            return _repeated(scope["query_string"])
        caller = self._caller(scope)
        if isinstance(caller, Answer):
            return caller
        if route.roles.isdisjoint(caller.roles):
            return answer("api.forbidden", f"This needs one of the roles {', '.join(sorted(route.roles))}.")
        scope[CALLER] = caller
        return _repeated(scope["query_string"])

    def _caller(self, scope: Message) -> TokenRecord | Answer:
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        if not given:
            return answer("api.no-token", "Send it as `Authorization: Bearer ...`.")
        scheme, _, token = given[0].decode("latin-1").partition(" ")
        if len(given) > 1 or scheme.lower() != "bearer":
            return answer("api.bad-token", "Send one header `Authorization: Bearer ...`.")
        try:
            return self._tokens.authenticate(token.strip()) or answer("api.bad-token")
        except TokenFileError as error:
            _log.error("%s", error)
            return answer("api.unavailable", "The tokens can't be read; see the service's log.")


def _route(scope: Message) -> Route | None:
    return next((route for route in routes_at(scope["path"]) if route.method == scope["method"]), None)


class _Guarded:
    """A `send` that adds the security headers."""

    def __init__(self, scope: Message, send: Send) -> None:
        self._send = send
        self._headers = (*SECURITY_HEADERS, STRICT_TRANSPORT) if scope.get("scheme") == "https" else SECURITY_HEADERS
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
        await self._send(message)

    async def refuse(self, refusal: Answer) -> None:
        body = refusal.body()
        headers = {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(body)), **refusal.headers}
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self({"type": "http.response.start", "status": refusal.problem.status, "headers": pairs})
        await self({"type": "http.response.body", "body": body})


async def _body(receive: Receive, limit: int) -> bytes | Answer:
    """Return the whole body; a problem where it is too large or doesn't come."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return answer("api.slow")
                body += message.get("body", b"")
                if len(body) > limit:
                    return answer("api.too-large", f"At most {limit} bytes.", headers={"Connection": "close"})
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        return answer("api.slow", headers={"Connection": "close"})


def _repeated(query: bytes) -> Answer | None:
    """Refuse a parameter that is given twice: whoever stands before us may have looked at the other one."""
    names = [name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)]
    if len(set(names)) == len(names):
        return None
    return answer("api.invalid", faults=[Fault("query.?", "A parameter is given more than once")])


def _replay(body: bytes, receive: Receive) -> Receive:
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return first.pop() if first else await receive()

    return again


def _template(path: str) -> str:
    return next((route.path for route in routes_at(path)), "?")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {frames[-1].filename}:{frames[-1].lineno}" if frames else type(error).__name__
