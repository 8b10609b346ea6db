"""What the operator declared for each place: sensitivity, mode, failure.

Guarantees: the longest prefix of a place that ends where a segment ends wins, one with a host before one without;
looking a place up costs as many steps as the deepest route has segments, however many routes there are and however long
the place is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ostiary.settings import GateSettings
from policy.gateways.places import CACHED

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
        self._depth = max((name.count("/") for name in self._routes), default=0)
        self._remembered = lru_cache(65_536)(self._find)

    def find(self, place: str) -> Route:
        """Return the route of `host/path`, `/path`, or a name that the gateway's configuration gives."""
        return self._remembered(place) if len(place) <= CACHED else self._find(place)

    def _find(self, place: str) -> Route:
        host, slash, path = place.partition("/")
        steps = (slash + path).split("/", self._depth + 1)[: self._depth + 1]
        for start in (host, "") if host else ("",):
            for count in range(len(steps), 0, -1):
                route = self._routes.get(start + "/".join(steps[:count]))
                if route is not None:
                    return route
        return self._routes.get("/", self.default)

    def strictest(self, places: Iterable[str]) -> Route:
        """Return, of the routes of some places, one that lets through the least where there is no decision."""
        return max(map(self.find, places), key=lambda route: (route.enforce, route.failure != "open"))
