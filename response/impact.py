"""Whom an action would touch besides its target, in words, before it is taken.

It says what the summary says and names nobody; it forbids nothing (that is the guards' work).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was seen of a target's address lately."""

    window_s: float
    """Over how long, seconds."""
    others: int
    """Other users, devices or sessions seen at the same address that carry no evidence."""
    connections: int
    """Connections from the address."""
    all_connections: int
    """Connections from everywhere."""


UNKNOWN = "not known: nothing was recorded about who shares the address"


def _count(number: int, one: str, many: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {many}"


def describe(around: Surroundings | None) -> str:
    """Return whom an action on the address would touch, in one sentence."""
    if around is None:
        return UNKNOWN
    if around.others:
        others = _count(around.others, "other without evidence shares", "others without evidence share")
    else:
        others = "nobody else seen at"
    share = around.connections / around.all_connections if around.all_connections else 0.0
    made = _count(around.connections, "connection", "connections")
    return f"{others} the address; it made {made} ({share:.1%} of all) in {around.window_s:g} s"
