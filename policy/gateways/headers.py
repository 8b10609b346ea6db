"""What the HTTP dialects have in common: reading headers with care, and telling a decision in headers.

Guarantees: a header that counts comes once and within its limit, or the question is a `DialectError` with a stable
code, never a guess; a decision's texts that go into headers are of plain characters.
"""

import math
import re
from collections.abc import Iterable, Mapping

from policy.errors import DialectError
from policy.gateways.values import NOTHING, Answer, Credentials, Ruling
from policy.values import Decision, Verdict
from sensors.addresses import host_entity, normalise_host
from sensors.entities import Entity, EntityKind

MAX_HEADER_BYTES = 24_576
"""All headers of a question together: a token, a certificate and what tells the place find room."""
CREDENTIAL_BYTES = 8_192
LIMITS: Mapping[bytes, int] = {
    b"authorization": CREDENTIAL_BYTES,
    b"cookie": CREDENTIAL_BYTES,
    b"x-api-key": 512,
    b"x-ostiary-client-verify": 256,
    b"x-ostiary-client-dn": 2048,
    b"x-ostiary-client-uri": 2048,
    b"x-ostiary-client-cert": CREDENTIAL_BYTES,
    b"traceparent": 64,
}
"""Headers that any dialect may carry, and how long each may be."""

_METHOD = re.compile(r"[A-Za-z][A-Za-z_-]*")
_CODE = re.compile(r"[A-Za-z0-9._-]+")
RawHeaders = Iterable[tuple[bytes, bytes]]


def pick(headers: RawHeaders, limits: Mapping[bytes, int]) -> dict[bytes, str]:
    """Return the headers that `limits` names (lower case), as text; raise `DialectError`."""
    found: dict[bytes, str] = {}
    total = 0
    for name, value in headers:
        total += len(name) + len(value)
        limit = limits.get(name)
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


def needed(found: Mapping[bytes, str], name: bytes) -> str:
    """Return a header that has to be there; raise `DialectError`."""
    value = found.get(name, "").strip()
    if not value:
        raise DialectError("gateway.header-missing", f"{name.decode()} is missing")
    return value


def client_address(text: str) -> Entity:
    """Return a client's address; raise `DialectError`."""
    address = host_entity(normalise_host(text))
    if address.kind is not EntityKind.IP:
        raise DialectError("gateway.client-address", "the client's address is not an address")
    return address


def method_name(text: str) -> str:
    """Return an HTTP method; raise `DialectError`."""
    if not _METHOD.fullmatch(text):
        raise DialectError("gateway.method", "the method is not a method")
    return text


def credentials(found: Mapping[bytes, str], certificate: str = "", uri: str = "", passed: str = "") -> Credentials:
    """Return what headers bring to prove who asks; of the certificate its subject, URI and text."""
    headers = (found.get(name, "") for name in (b"authorization", b"cookie", b"x-api-key"))
    brought = (certificate, uri, *headers, passed)
    return Credentials(*brought) if any(brought) else NOTHING


def vouched_certificate(found: Mapping[bytes, str]) -> tuple[str, str, str]:
    """Return subject, URI and text of a client certificate that the gateway says it verified; "" each otherwise."""
    if found.get(b"x-ostiary-client-verify") != "SUCCESS":
        return "", "", ""
    names = (b"x-ostiary-client-dn", b"x-ostiary-client-uri", b"x-ostiary-client-cert")
    subject, uri, passed = (found.get(name, "") for name in names)
    return subject, uri, passed


def browser_target(headers: RawHeaders, method: str, target: str) -> str:
    """Return a target where a browser asks for a page and so can be sent elsewhere first; "" for anything else."""
    asks = any(name == b"accept" and b"text/html" in value for name, value in headers)
    return target if asks and method in ("GET", "HEAD") else ""


def told(ruling: Ruling) -> list[tuple[bytes, bytes]]:
    """Return the headers that tell of a ruling, whatever it is."""
    decision = ruling.decision
    if decision is None:
        return [(b"x-ostiary-error", ruling.code.encode("ascii", "replace"))]
    headers = [
        (b"x-ostiary-verdict", decision.verdict.encode()),
        (b"x-ostiary-decision", decision.id.encode()),
        (b"x-ostiary-reasons", reason_codes(decision).encode()),
    ]
    if ruling.enforced and decision.verdict is Verdict.THROTTLE and (rate := byte_rate(decision)):
        headers.append((b"x-ostiary-rate", rate))
    return headers


def reason_codes(decision: Decision) -> str:
    """Return the codes of a decision's reasons, comma between them."""
    return ",".join(reason.code for reason in decision.reasons if _CODE.fullmatch(reason.code))


def byte_rate(decision: Decision) -> bytes:
    """Return the bytes a second that a throttled client may have; b"" where the policy says nothing of it."""
    rate = decision.obligations.get("rate_bytes_per_s")
    if isinstance(rate, int | float) and not isinstance(rate, bool) and 1 <= rate < 1e12:
        return str(int(rate)).encode()
    return b""


def challenged(ruling: Ruling, headers: list[tuple[bytes, bytes]]) -> Answer:
    """Return the answer to a client that has to prove itself anew: a browser is sent to where it can."""
    if ruling.challenge:
        return Answer(302, (*headers, (b"location", ruling.challenge.encode()), (b"cache-control", b"no-store")))
    return Answer(401, (*headers, STEP_UP))


STEP_UP = (b"www-authenticate", b'Bearer error="insufficient_user_authentication"')
"""RFC 9470: the client must authenticate again, and better."""


def retry_after(decision: Decision) -> bytes:
    """Return the seconds after which a refused client may try again (RFC 9110, section 10.2.3)."""
    seconds = decision.obligations.get("retry_after_s")
    usable = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 1e9
    return str(math.ceil(seconds)).encode() if usable and seconds is not None else b"1"
