"""HAProxy: the dialect of its SPOE (Stream Processing Offload Engine), asked over SPOP (`policy.gateways.spop`).

HAProxy sends one message a question and gets variables; what it does with them is the configuration's matter
(`deploy/haproxy`). The message `ostiary-http` asks about a request, `ostiary-tcp` about a connection, with arguments by
these names; those that are missing or NULL count as not there, others are ignored:

    src                                             address of the client, as HAProxy sees it
    method, host, target                            what is asked for (HTTP); `target` is path and query
    route                                           a constant of the configuration, in place of host and path
    frontend                                        name of the frontend (TCP): the place that is asked for
    tls_used, tls_verify, tls_dn, tls_cert          certificate of the client: there at all, result (0: verified),
                                                    subject (RFC 2253), DER in base64
    authorization, cookie, x_api_key, traceparent   headers as they came
    accept                                          tells a browser; it decides nothing

The answer sets, with scope `txn` for a request and `sess` for a connection:

    allow                        always: whether to let it through
    verdict, decision, reasons   where there is a decision
    error                        where there is none: the code of why
    rate                         bytes a second, where a throttled client may have no more
    status, retry_after          where it is refused: 401, 403, 429 or 503, and seconds (but for 401)
    location                     where a browser can prove itself anew

Guarantees: hostile or missing arguments are a `DialectError` with a stable code, never a guess; any answer fits into
the smallest frame that is agreed on (`spop.LEAST`).
"""

import re
from collections.abc import Mapping
from typing import Final

from policy.errors import DialectError
from policy.gateways.headers import (
    CREDENTIAL_BYTES,
    byte_rate,
    client_address,
    method_name,
    reason_codes,
    retry_after,
)
from policy.gateways.places import MAX_PATH_BYTES, clean_host, clean_path, sent_place
from policy.gateways.spop import Value, set_variable, text_value, varint
from policy.gateways.values import NOTHING, Credentials, Question, Ruling
from policy.values import Verdict

NAME: Final = "haproxy"
HTTP, TCP = "ostiary-http", "ostiary-tcp"
Arguments = Mapping[str, Value]
REASONS: Final = 1_024
"""Bytes that are told of reasons at most; whole codes."""
LOCATION: Final = 2_048
"""A longer location is not told: the client gets 401."""
_LIMITS = {
    "method": 32, "host": 256, "target": MAX_PATH_BYTES, "route": 256, "frontend": 256, "tls_dn": 2_048,
    "tls_cert": CREDENTIAL_BYTES, "authorization": CREDENTIAL_BYTES, "cookie": CREDENTIAL_BYTES, "x_api_key": 512,
    "traceparent": 64,
}  # fmt: skip
_ROUTE = re.compile(r"[\x21-\x7e]+")
_SCOPES = {HTTP: 2, TCP: 1}


def place_of(name: str, sent: Arguments) -> str:
    """Return the route, or host and path, as sent, for a question that cannot be read; "" where there is neither."""
    host, target, route = (
        value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
        for value in map(sent.get, ("host", "target", "frontend" if name == TCP else "route"))
    )
    return route if route or name == TCP else sent_place(host, target)


def read(name: str, sent: Arguments) -> Question:
    """Read the message of a question; raise `DialectError`."""
    if name not in _SCOPES:
        raise DialectError("gateway.spoe-message", "a message of another name than ours")
    source = sent.get("src")
    if not isinstance(source, str):
        raise DialectError("gateway.client-address", "the client's address is missing")
    address, place, brought, trace = client_address(source), _place(name, sent), _brought(sent), ""
    if name == TCP:
        return Question(address, "connect", place, NAME, brought, "network")
    method, trace = method_name(_text(sent, "method")), _text(sent, "traceparent")
    accept = sent.get("accept")
    browser = isinstance(accept, bytes) and b"text/html" in accept and method in ("GET", "HEAD")
    return Question(address, method, place, NAME, brought, trace=trace, back=_text(sent, "target") if browser else "")


def _place(name: str, sent: Arguments) -> str:
    route = _text(sent, "frontend" if name == TCP else "route")
    if not route and name != TCP:
        return clean_host(_text(sent, "host")) + clean_path(_text(sent, "target"))
    if not _ROUTE.fullmatch(route):
        raise DialectError("gateway.route", "the route is not a plain name")
    return route


def _text(sent: Arguments, name: str) -> str:
    value = sent.get(name)
    if value is None:
        return ""
    if not isinstance(value, bytes):
        raise DialectError("gateway.spoe-argument", f"{name} is not a text")
    if len(value) > _LIMITS[name]:
        raise DialectError("gateway.header-size", f"{name} is longer than {_LIMITS[name]} bytes")
    return value.decode("utf-8", "replace")


def _brought(sent: Arguments) -> Credentials:
    verify = sent.get("tls_verify")
    verified = sent.get("tls_used") is True and verify == 0 and verify is not False
    subject, passed = (_text(sent, "tls_dn"), _text(sent, "tls_cert")) if verified else ("", "")
    authorization, cookie, api_key = (_text(sent, name) for name in ("authorization", "cookie", "x_api_key"))
    if subject or passed or authorization or cookie or api_key:
        return Credentials(subject, "", authorization, cookie, api_key, passed)
    return NOTHING


def write(ruling: Ruling, name: str) -> bytes:
    """Return the actions that tell HAProxy of the ruling on a message of that name."""
    key = _SCOPES.get(name, 2)
    parts = [_SET[key, "allow"], b"\x11" if ruling.allowed else b"\x01"]
    decision = ruling.decision
    if decision is None:
        parts += (_SET[key, "error"], text_value(ruling.code))
        if ruling.unreadable and not ruling.allowed:
            parts += (_SET[key, "status"], _number(400))
        elif not ruling.allowed:
            parts += (_SET[key, "status"], _number(503), _SET[key, "retry_after"], _number(1))
        return b"".join(parts)
    parts += (_SET[key, "verdict"], text_value(decision.verdict), _SET[key, "decision"], text_value(decision.id))
    if reasons := reason_codes(decision):
        parts += (_SET[key, "reasons"], text_value(_cut(reasons)))
    if ruling.enforced and decision.verdict is Verdict.THROTTLE and (rate := byte_rate(decision)):
        parts += (_SET[key, "rate"], _number(int(rate)))
    if ruling.allowed:
        return b"".join(parts)
    if decision.verdict is Verdict.STEP_UP:
        parts += (_SET[key, "status"], _number(401))
        if 0 < len(ruling.challenge) <= LOCATION and ruling.challenge.isascii():
            parts += (_SET[key, "location"], text_value(ruling.challenge))
    else:
        parts += (_SET[key, "status"], _number(429 if ruling.over else 403))
        parts += (_SET[key, "retry_after"], _number(int(retry_after(decision))))
    return b"".join(parts)


def _number(value: int) -> bytes:
    return b"\x05" + varint(value)


def _cut(reasons: str) -> str:
    return reasons if len(reasons) <= REASONS else reasons[: REASONS + 1].rpartition(",")[0]


_SET = {
    (scope, name): set_variable(scope, name.encode())
    for scope in _SCOPES.values()
    for name in (
        "allow", "verdict", "decision", "reasons", "error", "rate", "status", "retry_after", "location",
    )
}  # fmt: skip
