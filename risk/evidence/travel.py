"""Logins of one user from where and with what that user never was, or from two places at once (T1078).

A place is the country where that is known (`LogView.where`), else the network (a /16 of IPv4, a /32 of IPv6), so that
a new address of the same provider is nobody's journey. Only what succeeded counts. Two countries within the time that a
flight takes is impossible travel; two distant networks within minutes is only odd, since people carry a phone beside a
laptop. The user is blamed, and for two countries the address that came last, too; what a user did before is remembered
for ninety days.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from risk.behaviours import Behaviour, Fact, LogView, Mark, Place, Reason, Weight
from risk.windows.keyed import Distinct, Keyed, Told
from sensors.addresses import host_entity
from sensors.values import AuthOutcome, Entity, EntityKind, Kind

MAX_KEYS = 1 << 15
MEMORY_S = 90 * 86400.0
FLIGHT_NS, AT_ONCE_NS = 3 * 3_600_000_000_000, 600_000_000_000
KNOWN = 5
"""Logins after which a user has habits."""

IMPOSSIBLE = Reason(
    "travel.impossible", "T1078", Weight(0.72, 0.05, 0.85), 14400, 1e-4, "a VPN with exits in several countries"
)
AT_ONCE = Reason("travel.at_once", "T1078", Weight(0.35, 0.1, 0.6), 7200, 1e-2, "a phone and a laptop of one person")
COUNTRY = Reason("travel.new_country", "T1078", Weight(0.4), 14400, 1e-2, "a journey")
NETWORK = Reason("travel.new_network", "T1078", Weight(0.15), 7200, 5e-2, "a new provider, a hotel, a train")
DEVICE = Reason("travel.new_device", "T1078", Weight(0.15), 7200, 5e-2, "a new computer, or a new version of a program")


class _Person:
    """Where one user was, and with what."""

    __slots__ = ("at", "country", "devices", "logins", "network", "places", "told")

    def __init__(self) -> None:
        self.logins = 0
        self.places: Distinct[str] = Distinct(MEMORY_S, 64)
        self.devices: Distinct[str] = Distinct(MEMORY_S, 64)
        self.country = self.network = ""
        self.at = 0
        self.told = Told()


@dataclass(frozen=True, slots=True)
class _Visit:
    """One login or signed-in request."""

    place: Place
    row: int
    user: Entity
    source: Entity
    network: str
    country: str
    device: str


class Logins:
    """Windows of users over logins that succeeded."""

    def __init__(self) -> None:
        self._people: Keyed[str, _Person] = Keyed(MAX_KEYS, _Person)

    def evicted(self) -> int:
        """Return how many users were forgotten for want of room."""
        return self._people.evicted

    def watch(self, view: LogView) -> Iterator[Mark]:
        """Follow users in order and yield what they show."""
        for visit in _visits(view):
            person = self._people[visit.user.id]
            yield from _went(visit, person)
            person.logins += 1
            person.at, person.network = visit.place.ts, visit.network
            person.country = visit.country or person.country


@lru_cache(4096)
def network_of(address: str) -> str:
    """Return the /16 of an IPv4 address or the /32 of an IPv6 one; "" for what is inside or isn't an address."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return ""
    return str(ipaddress.ip_network((known, 16 if known.version == 4 else 32), strict=False)) if known.is_global else ""


def _visits(view: LogView) -> Iterator[_Visit]:
    texts, web = view.texts, view.kind is Kind.HTTP
    columns = view.columns("orig", "user", *(("agent", "status") if web else ("service", "outcome")))
    for row, (orig, user, tool, result) in enumerate(columns):
        let_in = 0 < result < 400 if web else result == AuthOutcome.SUCCESS
        network = network_of(texts[orig]) if let_in and texts[user] else ""
        if network:
            who, source = Entity(EntityKind.USER, texts[user]), host_entity(texts[orig])
            device = texts[tool][:200] if web else ""
            yield _Visit(view.place(row), row, who, source, network, view.where(texts[orig]), device)


def _went(visit: _Visit, person: _Person) -> Iterator[Mark]:
    """Yield what a visit shows beside the ones before it, and take note of it."""
    since = visit.place.ts - person.at if person.at else FLIGHT_NS
    moved = bool(person.network) and visit.network != person.network
    abroad = bool(visit.country and person.country and visit.country != person.country)
    if abroad and since < FLIGHT_NS:
        what = f" was in {person.country} and {since / 6e10:.0f} minutes later in {visit.country}, at "
        yield from _mark(visit, person, IMPOSSIBLE, what, Fact("minutes_between", since / 6e10, 180), True)
    elif moved and since < AT_ONCE_NS:
        what = f" was in two networks within {since / 6e10:.0f} minutes, the latter that of "
        yield from _mark(visit, person, AT_ONCE, what, Fact("minutes_between", since / 6e10, 10), False)
    habits = person.logins >= KNOWN
    place = visit.country or visit.network
    if person.places.add(visit.place.ts, place) and habits:
        reason, where = (COUNTRY, f"country {place}") if visit.country else (NETWORK, f"network {place}")
        yield from _mark(
            visit, person, reason, f" came for the first time from {where}: ", Fact("places", 1, 0.1), False
        )
    if visit.device and person.devices.add(visit.place.ts, visit.device) and habits:
        what = f" came for the first time with {visit.device[:80]}, from "
        yield from _mark(visit, person, DEVICE, what, Fact("devices", 1, 0.1), False)


def _mark(visit: _Visit, person: _Person, reason: Reason, what: str, fact: Fact, address: bool) -> Iterator[Mark]:
    if not reason.due(person.told, 1.0, visit.place.ts):
        return
    words = visit.user, what, visit.source
    yield Mark(visit.row, reason.evidence(visit.user, visit.place, 1, words, [fact]))
    if address:
        yield Mark(visit.row, reason.evidence(visit.source, visit.place, 1, words, [fact]))


BEHAVIOUR = Behaviour("travel", "Users where they never were", (), {Kind.AUTH: Logins, Kind.HTTP: Logins})
