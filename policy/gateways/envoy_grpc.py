"""Envoy: the dialect of `envoy.service.auth.v3.Authorization/Check`, for the HTTP filter and the network filter.

What counts comes from Envoy itself, never from a header by which a client could pose as somebody else:

    source.address                      address of the client, as Envoy sees it
    source.certificate                  its TLS client certificate (`include_peer_certificate`), which names it
    source.principal                    else its URI or subject; a DNS name alone names nobody
    request.http                        method, host, path; of the headers only those of `headers.LIMITS`
    context_extensions.ostiary_route    a constant of the route's configuration: the place, whatever host and path are
    x-ostiary-route                     in the initial metadata of the network filter's calls: the place there

The network filter has no request: the kind is "network", the method "connect", the place that of the metadata or
`tcp:` and the port. `write` answers None where there is no decision to be had: the call then fails (UNAVAILABLE), to
which the filter's failure mode applies; `error_response` is unknown to older Envoys, which would take it for a refusal.

Guarantees: hostile or missing fields are a `DialectError` with a stable code, never a guess. Imports no gRPC.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any  # messages, whose classes are made at run time

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from policy.errors import CredentialError, DialectError
from policy.gateways import forward_auth
from policy.gateways.envoy_messages import (
    OVERWRITE_IF_EXISTS_OR_ADD,
    CheckRequest,
    CheckResponse,
    DeniedHttpResponse,
    HeaderValue,
    HeaderValueOption,
    HttpStatus,
    OkHttpResponse,
    Status,
    Struct,
    Value,
)
from policy.gateways.headers import (
    CREDENTIAL_BYTES,
    browser_target,
    client_address,
    credentials,
    method_name,
    reason_codes,
)
from policy.gateways.places import clean_host, clean_path, sent_place
from policy.gateways.values import NOTHING, Credentials, Question, Ruling
from policy.identity.certificates import names_of

NAME = "envoy-grpc"
SERVICE = "envoy.service.auth.v3.Authorization"
ROUTE_EXTENSION, ROUTE_METADATA = "ostiary_route", "x-ostiary-route"
_WANTED = {
    "authorization": CREDENTIAL_BYTES, "cookie": CREDENTIAL_BYTES, "x-api-key": 512, "traceparent": 64, "accept": 4_096,
}  # fmt: skip
_ROUTE = re.compile(r"[\x21-\x7e]{1,256}")
_CODES = {302: 16, 400: 3, 401: 16, 403: 7, 429: 8}
"""UNAUTHENTICATED, INVALID_ARGUMENT, PERMISSION_DENIED, RESOURCE_EXHAUSTED (google.rpc.Code) for what HTTP says."""
_TO_CLIENT = frozenset(
    (b"x-ostiary-decision", b"retry-after", b"location", b"www-authenticate", b"cache-control")
)  # fmt: skip
"""A client that is refused isn't told why: verdict and reasons are in the dynamic metadata, for the access log."""
_OURS = tuple(
    f"x-ostiary-{name}"
    for name in (
        "verdict", "decision", "reasons", "rate", "error", "status", "location", "route", "client-verify", "client-dn",
        "client-uri", "client-cert",
    )
)  # fmt: skip
"""Headers by which a client could pose as the gateway before the application."""


def parse(message: bytes) -> Any:
    """Return the message; raise `DialectError`."""
    try:
        return CheckRequest.FromString(message)
    except DecodeError as error:
        raise DialectError("gateway.message", "the message is not a CheckRequest") from error


def is_network(request: Any) -> bool:
    """Tell whether the network filter asks, about a connection."""
    return not request.attributes.request.HasField("http")


def place_of(request: Any, told: str = "") -> str:
    """Return the place as it was sent, for a question that cannot be read."""
    attributes = request.attributes
    route = attributes.context_extensions.get(ROUTE_EXTENSION, "") or told
    if route or is_network(request):
        return route or _place(attributes, "")
    return sent_place(attributes.request.http.host, attributes.request.http.path)


def read(request: Any, told: str = "") -> Question:
    """Read a question; `told` is the route in the call's metadata; raise `DialectError`."""
    attributes = request.attributes
    source = attributes.source
    address = client_address(source.address.socket_address.address)
    place = _place(attributes, told)
    if is_network(request):
        return Question(address, "connect", place, NAME, _holder(source, {}), "network")
    http = attributes.request.http
    found = dict(_headers(http))
    method = method_name(http.method)
    back = browser_target(((b"accept", found.get(b"accept", "").encode()),), method, http.path)
    return Question(
        address, method, place, NAME, _holder(source, found), trace=found.get(b"traceparent", ""), back=back
    )


def write(ruling: Ruling) -> bytes | None:
    """Write a ruling as a CheckResponse; None where the call has to fail."""
    if not ruling.allowed and ruling.decision is None and not ruling.unreadable:
        return None
    answer = forward_auth.write(ruling)
    headers, metadata = answer.headers, _metadata(ruling)
    if ruling.allowed:
        set_ = {name.decode() for name, _ in headers}
        remove = [name for name in _OURS if name not in set_]
        ok = OkHttpResponse(headers=_options(headers), headers_to_remove=remove)
        response = CheckResponse(status=Status(), ok_response=ok, dynamic_metadata=metadata)
    else:
        told = _options(header for header in headers if header[0] in _TO_CLIENT)
        denied = DeniedHttpResponse(status=HttpStatus(code=answer.status), headers=told)
        status = Status(code=_CODES[answer.status])
        response = CheckResponse(status=status, denied_response=denied, dynamic_metadata=metadata)
    return bytes(response.SerializeToString())


def _place(attributes: Any, told: str) -> str:
    route = attributes.context_extensions.get(ROUTE_EXTENSION, "") or told
    if route:
        if not _ROUTE.fullmatch(route):
            raise DialectError("gateway.route", "the route's name is not a plain name")
        return route
    if attributes.request.HasField("http"):
        http = attributes.request.http
        host = clean_host(http.host)
        if not host:
            raise DialectError("gateway.header-missing", "the host is missing")
        return host + clean_path(http.path)
    return f"tcp:{attributes.destination.address.socket_address.port_value}"


def _headers(http: Any) -> Iterator[tuple[bytes, str]]:
    """Yield the headers that count, whichever way Envoy was told to send them (`encode_raw_headers`)."""
    if http.HasField("header_map"):
        seen = set()
        for header in http.header_map.headers:
            if header.key not in _WANTED:
                continue
            if header.key in seen:
                raise DialectError("gateway.header-twice", f"{header.key} comes twice")
            seen.add(header.key)
            yield _checked(header.key, header.value or header.raw_value.decode("utf-8", "replace"))
        return
    headers = http.headers
    for name in _WANTED:
        value = headers.get(name)
        if value:
            yield _checked(name, value)


def _checked(name: str, value: str) -> tuple[bytes, str]:
    if len(value) > _WANTED[name]:
        raise DialectError("gateway.header-size", f"{name} is longer than {_WANTED[name]} bytes")
    return name.encode(), value


def _holder(source: Any, found: dict[bytes, str]) -> Credentials:
    """Return what headers and the TLS session bring to prove who asks."""
    certificate, principal = source.certificate, source.principal
    if not certificate and not principal:
        return credentials(found) if found else NOTHING
    if len(certificate) > CREDENTIAL_BYTES or len(principal) > CREDENTIAL_BYTES:
        raise DialectError("gateway.certificate", "the certificate is too long")
    if certificate:
        return credentials(found, *_names(certificate), certificate)
    is_uri = "://" in principal or principal.startswith("urn:")
    return credentials(found, principal if "=" in principal and not is_uri else "", principal if is_uri else "")


@lru_cache(4_096)
def _names(certificate: str) -> tuple[str, str]:
    """Return subject and URI of a certificate that Envoy verified; raise `DialectError`."""
    try:
        return names_of(certificate)
    except CredentialError as error:
        raise DialectError("gateway.certificate", "the certificate cannot be read") from error


def _options(headers: Iterable[tuple[bytes, bytes]]) -> list[Any]:
    over = OVERWRITE_IF_EXISTS_OR_ADD
    return [
        HeaderValueOption(header=HeaderValue(key=name.decode(), value=value.decode()), append_action=over)
        for name, value in headers
    ]


def _metadata(ruling: Ruling) -> Any:
    decision = ruling.decision
    if decision is None:
        told = {"error": ruling.code}
    else:
        told = {"verdict": decision.verdict.value, "decision": decision.id, "reasons": reason_codes(decision)}
    return Struct(fields={name: Value(string_value=value) for name, value in told.items()})
