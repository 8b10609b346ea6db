"""Keep nodes in order: doubly linked lists whose heads are nodes behind the last one.

Two kinds: by last packet (of flows, and of those that are over) through `previous` and `next`; by first packet through
`older` and `younger`.
"""

from sensors.packets.jit import kernel
from sensors.values import Rows


@kernel
def cut(nodes: Rows, at: int) -> None:
    """Take a node out of its list by last packet."""
    before = nodes[at]["previous"]
    after = nodes[at]["next"]
    nodes[before]["next"] = after
    nodes[after]["previous"] = before


@kernel
def append(nodes: Rows, head: int, at: int) -> None:
    """Put a node at the end of a list by last packet."""
    last = nodes[head]["previous"]
    nodes[last]["next"] = at
    nodes[at]["previous"] = last
    nodes[at]["next"] = head
    nodes[head]["previous"] = at


@kernel
def cut_by_age(nodes: Rows, at: int) -> None:
    """Take a node out of the list by first packet."""
    before = nodes[at]["older"]
    after = nodes[at]["younger"]
    nodes[before]["younger"] = after
    nodes[after]["older"] = before


@kernel
def append_by_age(nodes: Rows, head: int, at: int) -> None:
    """Put a node at the end of the list by first packet."""
    last = nodes[head]["older"]
    nodes[last]["younger"] = at
    nodes[at]["older"] = last
    nodes[at]["younger"] = head
    nodes[head]["older"] = at
