"""What a page of the gate's own reads of a request: who asks, from where, and the form.

The gateway passes such requests on and sets what it sets on its questions (`X-Real-IP`, `X-Ostiary-Client-*` or
X-Forwarded-Client-Cert). Guarantees: hostile input is a `DialectError`.
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from ostiary.sidecar.http import Request
from policy.errors import DialectError
from policy.gateways.ext_authz import certificate
from policy.gateways.headers import LIMITS, client_address, credentials, needed, pick, vouched_certificate
from policy.gateways.values import Credentials
from sensors.entities import Entity

MAX_FIELDS = 16
_LIMITS = {b"x-real-ip": 64, b"x-forwarded-client-cert": 8_192, **LIMITS}


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for a page."""

    address: Entity
    credentials: Credentials


def asker(request: Request) -> Asker:
    """Return who asks; raise `DialectError`."""
    found = pick(request.headers, _LIMITS)
    names = vouched_certificate(found)
    names = names if any(names) else certificate(found.get(b"x-forwarded-client-cert", ""))
    return Asker(client_address(needed(found, b"x-real-ip")), credentials(found, *names))


def fields(text: str) -> dict[str, str]:
    """Return the fields of a query or a form, each once; raise `DialectError`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError as error:
        raise DialectError("gateway.form", "the form cannot be read") from error
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DialectError("gateway.form", "a field comes twice")
    return found


def query(request: Request) -> dict[str, str]:
    """Return the fields of a request's query; raise `DialectError`."""
    return fields(request.target.partition("?")[2])


def same_site(request: Request) -> bool:
    """Tell whether a browser says that a form comes from our own page: by Fetch Metadata, else by Origin (RFC 6454)."""
    told = {name: value for name, value in request.headers if name in (b"sec-fetch-site", b"origin", b"host")}
    if b"sec-fetch-site" in told:
        return told[b"sec-fetch-site"] == b"same-origin"
    try:
        host = urlsplit(told.get(b"origin", b"")).netloc
    except ValueError:
        return False
    return bool(host) and host == told.get(b"host")
