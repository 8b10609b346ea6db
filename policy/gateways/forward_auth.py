"""Caddy and Traefik: the dialect of `forward_auth` and `forwardAuth`.

The gateway asks by GET and says in headers what was asked for; 2xx lets the request through, any other answer goes to
the client as it is. The generated configurations let nobody but the gateway set these:

    X-Forwarded-Method, X-Forwarded-Host, X-Forwarded-Uri     what was asked for
    X-Real-IP, or the last of X-Forwarded-For                 address of the client, as the gateway sees it
    X-Ostiary-Client-Verify, -DN, -URI                        the TLS client certificate, where there is one

Guarantees: hostile or missing headers are a `DialectError` with a stable code, never a guess.
"""

from policy.errors import DialectError
from policy.gateways.headers import (
    LIMITS,
    RawHeaders,
    browser_target,
    challenged,
    client_address,
    credentials,
    method_name,
    needed,
    pick,
    retry_after,
    told,
    vouched_certificate,
)
from policy.gateways.places import MAX_PATH_BYTES, clean_host, clean_path, sent_place
from policy.gateways.values import Answer, Question, Ruling
from policy.values import Verdict

NAME = "forward-auth"
_LIMITS = {
    b"x-real-ip": 64,
    b"x-forwarded-for": 1024,
    b"x-forwarded-method": 32,
    b"x-forwarded-host": 256,
    b"x-forwarded-uri": MAX_PATH_BYTES,
    **LIMITS,
}
_PLACE = (b"x-forwarded-host", b"x-forwarded-uri")


def place_of(headers: RawHeaders, _target: str) -> str:
    """Return host and path as sent, for a question that cannot be read."""
    found = {name: value.decode("utf-8", "replace") for name, value in headers if name in _PLACE}
    return sent_place(found.get(b"x-forwarded-host", ""), found.get(b"x-forwarded-uri", ""))


def read(headers: RawHeaders, _method: str, _target: str) -> Question:
    """Read a question (header names in lower case); raise `DialectError`."""
    found = pick(headers, _LIMITS)
    address = found.get(b"x-real-ip", "").strip() or found.get(b"x-forwarded-for", "").rpartition(",")[2].strip()
    if not address:
        raise DialectError("gateway.header-missing", "x-real-ip and x-forwarded-for are missing")
    place = clean_host(needed(found, b"x-forwarded-host")) + clean_path(needed(found, b"x-forwarded-uri"))
    method = method_name(needed(found, b"x-forwarded-method"))
    return Question(
        client_address(address), method, place, NAME, credentials(found, *vouched_certificate(found)),
        trace=found.get(b"traceparent", ""), back=browser_target(headers, method, found[b"x-forwarded-uri"]),
    )  # fmt: skip


def write(ruling: Ruling) -> Answer:
    """Write a ruling as the client is to get it where it is refused."""
    headers = told(ruling)
    decision = ruling.decision
    if ruling.allowed:
        return Answer(200, tuple(headers))
    if ruling.unreadable:
        return Answer(400, tuple(headers))
    if decision is None:
        return Answer(503, (*headers, (b"retry-after", b"1")))
    if decision.verdict is Verdict.STEP_UP:
        return challenged(ruling, headers)
    return Answer(429 if ruling.over else 403, (*headers, (b"retry-after", retry_after(decision))))
