"""What any gateway asks and is answered, whatever its dialect.

A dialect is a module here that reads a gateway's headers into a `Question` and writes a `Decision` as an `Answer`; it
is pure, and it trusts no header that the gateway's configuration does not overwrite.
"""

from dataclasses import dataclass

from policy.values import AccessRequest, Resource, Subject

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A gateway's question about one HTTP request."""

    subject: Subject
    method: str
    route: str
    """The name that the gateway's configuration gives the place in it that was asked for."""
    gateway: str

    def access_request(self, ts: int, sensitivity: str) -> AccessRequest:
        """Return the question as the policy takes it, asked at `ts` (ns)."""
        resource = Resource("http", self.route, sensitivity)
        return AccessRequest(ts, self.subject, resource, self.method, {"gateway": self.gateway})


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer without a body."""

    status: int
    headers: Headers = ()
