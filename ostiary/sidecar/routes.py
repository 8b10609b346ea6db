"""What the operator declared for each place: sensitivity, mode, failure.

Guarantees: the longest prefix of a place that ends where a segment ends wins, one with a host before one without;
looking a place up costs as many steps as it has segments, however many routes there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ostiary.settings import GateSettings

Failure = Literal["closed", "open", "last-known"]


@dataclass(frozen=True, slots=True)
class Route:
    """A route's settings with the defaults filled in."""

    name: str
    sensitivity: str
    enforce: bool
    failure: Failure
    critical: bool


class Routes:
    """Finds the route of a place."""

    def __init__(self, settings: GateSettings, failure: Failure) -> None:
        """Take the settings and what a route does that doesn't say how it fails."""
        self.default = Route("/", "normal", settings.mode == "enforce", failure, False)
        self._routes: Mapping[str, Route] = {
            name.rstrip("/") or "/": Route(
                name, route.sensitivity, (route.mode or settings.mode) == "enforce", route.failure or failure,
                route.critical,
            )
            for name, route in settings.routes.items()
        }  # fmt: skip
        self.find = lru_cache(65_536)(self._find)

    def _find(self, place: str) -> Route:
        """Return the route of `host/path`, `/path`, or a name that the gateway's configuration gives."""
        host, slash, path = place.partition("/")
        for start in (host, "") if host else ("",):
            rest = slash + path.rstrip("/")
            while True:
                route = self._routes.get(start + rest)
                if route is not None:
                    return route
                if not rest or rest == "/":
                    break
                rest = rest.rpartition("/")[0]
        return self._routes.get("/", self.default)
