"""Envoy: the dialect of the HTTP service of `ext_authz`.

Envoy sends the request's own method and path, the path behind the prefix of the configuration; 200 lets the request
through, a 5xx counts as an error, to which the filter's failure mode applies, any other answer goes to the client. The
generated configuration lets nobody but Envoy set these:

    Host                    of the request
    X-Real-IP               address of the client, as Envoy sees it (%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%)
    X-Forwarded-Client-Cert as Envoy writes it where it verified a certificate (forward_client_cert_details)

Guarantees: hostile or missing headers are a `DialectError` with a stable code, never a guess.
"""

import re

from policy.errors import DialectError
from policy.gateways import forward_auth
from policy.gateways.headers import (
    LIMITS,
    RawHeaders,
    browser_target,
    client_address,
    credentials,
    method_name,
    needed,
    pick,
)
from policy.gateways.places import clean_host, clean_path, sent_place
from policy.gateways.values import Question

NAME = "envoy"
PREFIX = "/ext-authz"
_LIMITS = {b"x-real-ip": 64, b"host": 256, b"x-forwarded-client-cert": 8_192, **LIMITS}
_FIELD = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^;,"]*)(?:;|$)')

write = forward_auth.write


def place_of(headers: RawHeaders, target: str) -> str:
    """Return host and path as sent, for a question that cannot be read."""
    host = next((value for name, value in headers if name == b"host"), b"")
    return sent_place(host.decode("utf-8", "replace"), target.removeprefix(PREFIX))


def read(headers: RawHeaders, method: str, target: str) -> Question:
    """Read a question (header names in lower case); raise `DialectError`."""
    found = pick(headers, _LIMITS)
    place = clean_host(needed(found, b"host")) + clean_path(target.removeprefix(PREFIX))
    return Question(
        client_address(needed(found, b"x-real-ip")), method_name(method), place, NAME,
        credentials(found, *certificate(found.get(b"x-forwarded-client-cert", ""))),
        trace=found.get(b"traceparent", ""), back=browser_target(headers, method, target.removeprefix(PREFIX)),
    )  # fmt: skip


def certificate(header: str) -> tuple[str, str, str]:
    """Return subject, URI and text that X-Forwarded-Client-Cert gives, "" each where it is empty; raise `DialectError`.

    Only one element is taken: the configuration replaces what a client sends (`SANITIZE_SET`).
    """
    if not header:
        return "", "", ""
    fields: dict[str, str] = {}
    at = 0
    while at < len(header):
        match = _FIELD.match(header, at)
        if match is None:
            raise DialectError("gateway.certificate", "x-forwarded-client-cert is not one certificate's fields")
        name, value = match[1].lower(), match[2]
        fields.setdefault(name, re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value)
        at = match.end()
    return fields.get("subject", ""), fields.get("uri", ""), fields.get("cert", "")
