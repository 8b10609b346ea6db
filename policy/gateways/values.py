"""What any gateway asks and is answered, whatever its dialect.

A dialect is a module here that reads a gateway's message into a `Question` and writes a `Ruling` as its answer; it is
pure, and it trusts no header that the gateway's configuration does not overwrite.
"""

from dataclasses import dataclass

from policy.values import AccessRequest, Decision
from sensors.entities import Entity

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What came with a request to prove who asks. Texts are as they came; "" where there is none."""

    certificate: str = ""
    """Subject of a client certificate that the gateway verified, RFC 4514."""
    uri: str = ""
    """URI name of that certificate, such as a SPIFFE id."""
    authorization: str = ""
    """The header of that name."""
    cookie: str = ""
    api_key: str = ""
    passed_certificate: str = ""
    """That certificate itself, where the gateway passes it: URL-encoded PEM, or DER in base64."""


NOTHING = Credentials()


@dataclass(frozen=True, slots=True)
class Question:
    """A gateway's question about one request or connection."""

    address: Entity
    """The client, as the gateway sees it."""
    method: str
    """The HTTP method, or `connect`."""
    place: str
    """What is asked for: a route's name that the gateway's configuration gives, or host and path (`host/path`)."""
    gateway: str
    """The dialect's name."""
    credentials: Credentials = NOTHING
    kind: str = "http"
    """http | network."""
    trace: str = ""
    """`traceparent` (W3C Trace Context), "" where there is none."""
    back: str = ""
    """Path and query as they came, where a browser asks for a page and could be sent elsewhere first; else ""."""
    named: AccessRequest | None = None
    """The whole request, where who asks has named the subject already (AuthZEN)."""


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the gate says to a question."""

    allowed: bool
    """What the gateway is to do."""
    decision: Decision | None
    """None where there is none."""
    code: str = ""
    """Why there is no decision."""
    enforced: bool = False
    """False: the route observes, so everything is allowed and the decision is only told."""
    over: bool = False
    """The subject is throttled and has used up its share for now."""
    unreadable: bool = False
    """The question itself could not be read: the client's doing, so never a way in where refusals are meant."""
    challenge: str = ""
    """Where to send a browser that has to prove itself anew: path and query on the same host."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Headers = ()
    body: bytes = b""
