"""nginx: the dialect of `auth_request` (ngx_http_auth_request_module).

nginx allows on 2xx, refuses on 401 and 403, and takes anything else for an error; so throttle is a 200 with a rate that
`limit_rate` applies, and "cannot decide" is a 503 that the configuration's `error_page` answers. The body and the
client's own headers are never sent to the gate; deploy/nginx/ostiary.conf sets these, and only these:

    X-Real-IP               address of the client, as nginx sees it
    X-Original-Method       its method
    X-Ostiary-Route         a constant of the location: no text of the client's, so no way to forge or split it
    X-Ostiary-Client-Verify, X-Ostiary-Client-DN    result of the TLS client certificate, and its subject

Guarantees: hostile or missing headers are a `DialectError` with a stable code, never a guess.
"""

import re
from collections.abc import Iterable

from policy.errors import DialectError
from policy.gateways.question import Answer, Headers, Question
from policy.values import Decision, Subject, Verdict
from sensors.addresses import host_entity, normalise_host
from sensors.entities import EntityKind

MAX_HEADER_BYTES = 16_384
"""All headers of a question together."""

_LIMITS = {
    b"x-real-ip": 64,
    b"x-original-method": 32,
    b"x-ostiary-route": 256,
    b"x-ostiary-client-verify": 256,
    b"x-ostiary-client-dn": 2048,
}
_METHOD = re.compile(r"[A-Za-z][A-Za-z_-]*")
_ROUTE = re.compile(r"[\x21-\x7e]+")
_CODE = re.compile(r"[A-Za-z0-9._-]+")

_STATUS = {
    Verdict.ALLOW: 200,
    Verdict.THROTTLE: 200,
    Verdict.STEP_UP: 401,
    Verdict.DENY: 403,
    Verdict.ISOLATE: 403,
}
_STEP_UP = (b"www-authenticate", b'Bearer error="insufficient_user_authentication"')
"""RFC 9470: the client must authenticate again, and better."""


def route_name(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the route's name as sent, "" where there is none, so that an unreadable question fails as declared."""
    return next((value[:256].decode("latin-1") for name, value in headers if name == b"x-ostiary-route"), "")


def read_question(headers: Iterable[tuple[bytes, bytes]]) -> Question:
    """Read a question (header names in lower case, as ASGI has them); raise `DialectError`."""
    found = _ours(headers)
    address = host_entity(normalise_host(_needed(found, b"x-real-ip")))
    if address.kind is not EntityKind.IP:
        raise DialectError("gateway.client-address", "X-Real-IP is not an address")
    method = _needed(found, b"x-original-method")
    if not _METHOD.fullmatch(method):
        raise DialectError("gateway.method", "X-Original-Method is not a method")
    route = _needed(found, b"x-ostiary-route")
    if not _ROUTE.fullmatch(route):
        raise DialectError("gateway.route", "X-Ostiary-Route is not a plain name")
    name = found.get(b"x-ostiary-client-dn", "") if found.get(b"x-ostiary-client-verify") == "SUCCESS" else ""
    return Question(Subject(address, name, "mtls" if name else "none"), method, route, "nginx")


def write_answer(decision: Decision, enforce: bool) -> Answer:
    """Write a decision; while observing, everything is answered 200 and the verdict is only told."""
    headers = [(b"x-ostiary-verdict", decision.verdict.encode()), (b"x-ostiary-decision", decision.id.encode())]
    codes = ",".join(reason.code for reason in decision.reasons if _CODE.fullmatch(reason.code))
    headers.append((b"x-ostiary-reasons", codes.encode()))
    if not enforce:
        return Answer(200, tuple(headers))
    if decision.verdict is Verdict.THROTTLE:
        headers += _rate(decision)
    if decision.verdict is Verdict.STEP_UP:
        headers.append(_STEP_UP)
    return Answer(_STATUS[decision.verdict], tuple(headers))


def write_undecided(code: str, allow: bool) -> Answer:
    """Write that there is no decision: 200 where the route fails open, else 503, which nginx takes for an error."""
    return Answer(200 if allow else 503, ((b"x-ostiary-error", code.encode("ascii", "replace")),))


def _ours(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    total = 0
    for name, value in headers:
        total += len(name) + len(value)
        limit = _LIMITS.get(name)
        if limit is None:
            continue
        if len(value) > limit:
            raise DialectError("gateway.header-size", f"{name.decode()} is longer than {limit} bytes")
        if name in found:
            raise DialectError("gateway.header-twice", f"{name.decode()} comes twice")
        found[name] = value.decode("utf-8", "replace")
    if total > MAX_HEADER_BYTES:
        raise DialectError("gateway.header-size", f"the headers are longer than {MAX_HEADER_BYTES} bytes")
    return found


def _needed(found: dict[bytes, str], name: bytes) -> str:
    value = found.get(name, "").strip()
    if not value:
        raise DialectError("gateway.header-missing", f"{name.decode()} is missing")
    return value


def _rate(decision: Decision) -> Headers:
    rate = decision.obligations.get("rate_bytes_per_s")
    if isinstance(rate, int | float) and not isinstance(rate, bool) and 1 <= rate < 1e12:
        return ((b"x-ostiary-rate", str(int(rate)).encode()),)
    return ()
