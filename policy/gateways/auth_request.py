"""nginx: the dialect of `auth_request` (ngx_http_auth_request_module).

nginx allows on 2xx, refuses on 401 and 403, and takes anything else for an error; so throttle is a 200 with a rate that
`limit_rate` applies, "too many" is a 403 that says 429 in a header, and "cannot decide" is a 503 that the
configuration's `error_page` answers. The body and the client's own headers are never sent to the gate; the generated
configuration sets these, and only these:

    X-Real-IP               address of the client, as nginx sees it
    X-Original-Method       its method
    X-Ostiary-Route         a constant of the location: no text of the client's, so no way to forge or split it
    X-Ostiary-Client-Verify, X-Ostiary-Client-DN    result of the TLS client certificate, and its subject
    X-Ostiary-Client-Cert   that certificate itself ($ssl_client_escaped_cert), where `identity.ca` checks it again
    X-Original-URI          where a browser is to come back to after a step-up; it decides nothing
    Authorization, Cookie, X-API-Key, traceparent   as they came

Guarantees: hostile or missing headers are a `DialectError` with a stable code, never a guess.
"""

import re

from policy.errors import DialectError
from policy.gateways.headers import (
    LIMITS,
    STEP_UP,
    RawHeaders,
    browser_target,
    client_address,
    credentials,
    method_name,
    needed,
    pick,
    retry_after,
    told,
    vouched_certificate,
)
from policy.gateways.places import MAX_PATH_BYTES
from policy.gateways.values import Answer, Question, Ruling
from policy.values import Verdict

NAME = "nginx"
_LIMITS = {
    b"x-real-ip": 64, b"x-original-method": 32, b"x-original-uri": MAX_PATH_BYTES, b"x-ostiary-route": 256, **LIMITS
}  # fmt: skip
_ROUTE = re.compile(r"[\x21-\x7e]+")


def place_of(headers: RawHeaders, _target: str) -> str:
    """Return the route's name as sent, "" where there is none, so that an unreadable question fails as declared."""
    return next((value[:256].decode("latin-1") for name, value in headers if name == b"x-ostiary-route"), "")


def read(headers: RawHeaders, _method: str, _target: str) -> Question:
    """Read a question (header names in lower case); raise `DialectError`."""
    found = pick(headers, _LIMITS)
    route = needed(found, b"x-ostiary-route")
    if not _ROUTE.fullmatch(route):
        raise DialectError("gateway.route", "X-Ostiary-Route is not a plain name")
    method = method_name(needed(found, b"x-original-method"))
    return Question(
        client_address(needed(found, b"x-real-ip")), method, route, NAME,
        credentials(found, *vouched_certificate(found)), trace=found.get(b"traceparent", ""),
        back=browser_target(headers, method, found.get(b"x-original-uri", "")),
    )  # fmt: skip


def write(ruling: Ruling) -> Answer:
    """Write a ruling as nginx can take it."""
    headers = told(ruling)
    decision = ruling.decision
    if ruling.allowed:
        return Answer(200, tuple(headers))
    if ruling.unreadable:  # a 400 would be an error to nginx, and so a way in where errors are let through
        return Answer(403, (*headers, (b"x-ostiary-status", b"400")))
    if decision is None:
        return Answer(503, tuple(headers))
    if decision.verdict is Verdict.STEP_UP:
        where = [(b"x-ostiary-location", ruling.challenge.encode())] if ruling.challenge else []
        return Answer(401, (*headers, *where, STEP_UP))  # nginx can't pass a 302 on: its `error_page` makes one of it
    headers.append((b"x-ostiary-status", b"429" if ruling.over else b"403"))
    headers.append((b"retry-after", retry_after(decision)))
    return Answer(403, tuple(headers))
