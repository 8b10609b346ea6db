"""Answers that say what went wrong (RFC 9457), each with a stable code.

Guarantees: no traceback, no path of this machine and nothing of the request's content is told to a client. The member
`code` is stable; `title` and `detail` are for people.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MEDIA_TYPE = "application/problem+json"
PROBLEMS: Mapping[str, tuple[int, str]] = {
    "api.no-token": (401, "A token is needed"),
    "api.bad-token": (401, "The token is unknown or revoked"),
    "api.forbidden": (403, "Your roles don't allow this"),
    "api.not-found": (404, "There is nothing here"),
    "api.method": (405, "This method isn't offered here"),
    "api.slow": (408, "The request took too long to arrive"),
    "api.refused": (409, "This may not be done now"),
    "api.too-large": (413, "The body is too large"),
    "api.too-long": (414, "The address is too long"),
    "api.invalid": (422, "The request isn't understood"),
    "api.busy": (429, "More than can be judged now; send it again later"),
    "api.internal": (500, "Something failed here"),
    "api.unavailable": (503, "This can't be answered now"),
}
"""Code -> (HTTP status, title)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request."""

    where: str
    """E.g. `query.limit`."""
    what: str


@dataclass(frozen=True, slots=True)
class Problem:
    """The body of an answer that isn't a success."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A problem as it is sent."""

    problem: Problem
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        """Return its JSON."""
        problem = self.problem
        members: dict[str, object] = {
            "type": problem.type, "title": problem.title, "status": problem.status, "code": problem.code,
        }  # fmt: skip
        if problem.detail:
            members["detail"] = problem.detail
        if problem.faults:
            members["faults"] = [{"where": fault.where, "what": fault.what} for fault in problem.faults]
        return json.dumps(members).encode()


def answer(
    code: str, detail: str = "", faults: Sequence[Fault] = (), headers: Mapping[str, str] | None = None
) -> Answer:
    """Make the answer of one of `PROBLEMS`."""
    status, title = PROBLEMS[code]
    found = dict(headers or {})
    if status == 401:
        found["WWW-Authenticate"] = 'Bearer realm="ostiary"'
    return Answer(Problem(f"urn:ostiary:problem:{code}", title, status, code, detail, tuple(faults)), found)
