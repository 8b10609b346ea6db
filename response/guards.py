"""Whom and how often we may act on.

Guarantees, whatever the spelling of a target: only one single address is ever acted on; never this machine, its
gateways, its DNS servers, what the operator exempted, or an address that means no single host; never more actions an
hour, or active at the same time, than allowed; never without an end. IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2)
counts as the IPv4 address that it names.

Pure: the facts about the machine and the time are passed in. Nothing here knows who shares an address: see `impact`.
"""

import ipaddress
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from sensors.addresses import normalise_host
from sensors.values import Entity, EntityKind

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOUR_NS = 3_600_000_000_000
MAX_LEASE_S = 30 * 86_400.0
"""No action lasts longer than this, whatever the settings say."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a guard forbids an action: a stable code, and words that name nobody."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Protected:
    """A network that is never acted on, and why."""

    network: Network
    why: str


_MEANS_NO_HOST: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "it means this network (RFC 1122)"),
    ("127.0.0.0/8", "it is a loopback address"),
    ("224.0.0.0/4", "it is a multicast address"),
    ("255.255.255.255/32", "it is the broadcast address"),
    ("::/128", "it is the unspecified address"),
    ("::1/128", "it is the loopback address"),
    ("ff00::/8", "it is a multicast address"),
)


def network(text: str) -> Network:
    """Return a network or single address, IPv4-mapped IPv6 as IPv4; raise ValueError for anything else."""
    parsed = ipaddress.ip_network(text.split("%", 1)[0], strict=False)
    if isinstance(parsed, ipaddress.IPv6Network) and parsed.prefixlen >= 96:
        mapped = parsed.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, parsed.prefixlen - 96))
    return parsed


def protect(texts: Iterable[str], why: str) -> tuple[Protected, ...]:
    """Return networks given as text, each protected for the same reason; raise ValueError for what is none."""
    return tuple(Protected(network(text), why) for text in texts)


ALWAYS: tuple[Protected, ...] = tuple(Protected(network(text), why) for text, why in _MEANS_NO_HOST)


def single_address(text: str) -> Address | None:
    """Return the one address that a text names, IPv4-mapped IPv6 as IPv4; None where it names none or many."""
    try:
        return ipaddress.ip_address(normalise_host(text))
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class NeverList:
    """Networks that are never acted on, besides those that mean no single host."""

    protected: tuple[Protected, ...] = ()

    def why(self, address: Address) -> str | None:
        """Return why an address is never acted on; None where it may be."""
        for entry in (*ALWAYS, *self.protected):
            if address.version == entry.network.version and address in entry.network:
                return entry.why
        return None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be done."""

    per_hour: int
    max_active: int
    lease_s: float
    """The longest lease."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How much has been done."""

    last_hour: int
    active: int


class HourlyBudget:
    """Counts the actions of the last hour. Time is passed in, ns; where it goes back, nothing is forgiven."""

    def __init__(self, per_hour: int) -> None:
        self._acted: deque[int] = deque(maxlen=max(per_hour, 1))

    def resize(self, per_hour: int) -> None:
        """Go on with another budget; what was spent stays spent."""
        if self._acted.maxlen != max(per_hour, 1):
            self._acted = deque(self._acted, maxlen=max(per_hour, 1))

    def spend(self, now: int) -> None:
        """Count one action."""
        self._acted.append(now)

    def spent(self, now: int) -> int:
        """Return how many actions the hour before `now` saw (at most the budget)."""
        return sum(1 for acted in self._acted if acted > now - HOUR_NS)


def target_of(entity: Entity) -> Entity | None:
    """Return the entity in the one spelling that is acted on; None where it is not one single address."""
    address = single_address(entity.id) if entity.kind is EntityKind.IP else None
    return Entity(EntityKind.IP, str(address)) if address is not None else None


def check_target(entity: Entity, never: NeverList) -> Refusal | None:
    """Return why nobody may ever act on a target; None where one may."""
    target = target_of(entity)
    if target is None:
        return Refusal("guard.not-an-address", "it is not one single address")
    why = never.why(ipaddress.ip_address(target.id))
    return Refusal("guard.never", f"never acted on: {why}") if why else None


def check_lease(lease_s: float, limits: Limits) -> Refusal | None:
    """Return why a lease (seconds) is not allowed; None where it is."""
    if not math.isfinite(lease_s) or lease_s <= 0:
        return Refusal("guard.no-end", "an action must have an end")
    longest = min(limits.lease_s, MAX_LEASE_S)
    if lease_s > longest:
        return Refusal("guard.lease", f"the lease is longer than {longest:g} s")
    return None


def check_usage(usage: Usage, limits: Limits) -> Refusal | None:
    """Return which limit one more action would pass; None where it is within all."""
    if usage.active >= limits.max_active:
        return Refusal("guard.max-active", f"{limits.max_active} actions are active, as many as allowed")
    if usage.last_hour >= limits.per_hour:
        return Refusal("guard.budget", f"{limits.per_hour} actions were taken within the hour, as many as allowed")
    return None


def check(entity: Entity, lease_s: float, never: NeverList, usage: Usage, limits: Limits) -> Refusal | None:
    """Return the first reason why a new action is forbidden; None where it may be taken."""
    return check_target(entity, never) or check_lease(lease_s, limits) or check_usage(usage, limits)
