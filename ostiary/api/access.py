"""Who may do what: roles, and the one table of routes.

Guarantees: a route that is not in `ROUTES` does not exist for a client, and a role that is not in its row may not use
it. Roles don't include one another: whoever manages tokens (`admin`) may not therefore reveal a person, nor undo an
action; a token can hold several roles.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a token's holder does here."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    APPROVER = "approver"
    AUDITOR = "auditor"
    PRIVACY_OFFICER = "privacy_officer"
    ADMIN = "admin"
    SENSOR = "sensor"
    """A program that hands in log lines, and may do nothing else."""


EVERYBODY = frozenset(Role) - {Role.SENSOR}
"""Every person who has a token."""
DETAIL = EVERYBODY - {Role.VIEWER}
MAX_BODY = 16_384
"""Bytes of a body that are taken where a route says nothing else."""
MAX_REVEALS = 262_144
MAX_PUSH = 4 << 20
"""Bytes of a body with log lines, packed or not."""


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the table; `roles` None means that no token is needed."""

    method: str
    path: str
    roles: frozenset[Role] | None
    max_body: int = MAX_BODY
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(re.sub(r"\{\w+\}", "[^/]+", self.path)))


ROUTES: tuple[Route, ...] = (
    Route("GET", "/health", None),
    Route("GET", "/openapi.json", EVERYBODY),
    Route("GET", "/entities", EVERYBODY),
    Route("GET", "/entities/{pseudonym}", EVERYBODY),
    Route("GET", "/entities/{pseudonym}/explain", DETAIL),
    Route("POST", "/entities/{pseudonym}/reveal", frozenset({Role.PRIVACY_OFFICER})),
    Route("POST", "/reveals", frozenset({Role.PRIVACY_OFFICER}), max_body=MAX_REVEALS),
    Route("GET", "/decisions", EVERYBODY),
    Route("GET", "/decisions/{decision_id}", DETAIL),
    Route("GET", "/actions", EVERYBODY),
    Route("POST", "/actions/{action_id}/undo", frozenset({Role.APPROVER})),
    Route("GET", "/sources", DETAIL),
    Route("POST", "/logs/{name}", frozenset({Role.SENSOR}), max_body=MAX_PUSH),
    Route("GET", "/forecast", EVERYBODY),
    Route("GET", "/model", DETAIL),
    Route("GET", "/labels", DETAIL),
    Route("POST", "/labels", frozenset({Role.ANALYST, Role.APPROVER})),
    Route("DELETE", "/labels/{label_id}", frozenset({Role.ANALYST, Role.APPROVER})),
    Route("GET", "/audit/checkpoint", frozenset({Role.AUDITOR, Role.PRIVACY_OFFICER, Role.ADMIN})),
)


def routes_at(path: str) -> tuple[Route, ...]:
    """Return the rows whose path matches, one a method; () where there is nothing."""
    return tuple(route for route in ROUTES if route.pattern.fullmatch(path))
