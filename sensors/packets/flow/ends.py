"""End flows: by time, for want of room, and at the end of the input; and make room for new ones."""

from typing import Final

import numpy as np

from sensors.packets.flow.index import leave
from sensors.packets.flow.lists import cut, cut_by_age
from sensors.packets.flow.nodes import (
    ACTIVE,
    CAPACITY,
    CLOCK,
    DORMANT,
    EVICTED,
    FREE,
    IDLE,
    LIVE,
    ROWS,
    SECOND,
    USED,
    Table,
)
from sensors.packets.flow.rows import END, tell
from sensors.packets.jit import kernel

LINGER: Final = 5
"""Seconds for which a flow that is over waits for stragglers."""


@kernel
def release(table: Table, at: int) -> None:
    """Forget a node; a live one must have told its END before."""
    nodes, state = table.nodes, table.state
    node = nodes[at]
    leave(table.slots, at, int(np.int64(node["tag"])))
    cut(nodes, at)
    if node["phase"] == LIVE:
        cut_by_age(nodes, at)
    node["next"] = state[FREE]
    state[FREE] = at


@kernel
def take(table: Table, ts: int) -> int:
    """Return a free node; where there is none, evict the least recent one, first of those that are over."""
    nodes, state = table.nodes, table.state
    if state[FREE] >= 0:
        at = state[FREE]
        state[FREE] = nodes[at]["next"]
        return int(at)
    if state[USED] < state[CAPACITY]:
        state[USED] += 1
        return int(state[USED] - 1)
    at = nodes[state[CAPACITY] + 1]["next"]
    if at == state[CAPACITY] + 1:
        at = nodes[state[CAPACITY]]["next"]
        state[EVICTED] += 1
        if nodes[at]["phase"] == LIVE:
            tell(table, at, ts, END)
    release(table, at)
    state[FREE] = nodes[at]["next"]
    return int(at)


@kernel
def expire(table: Table, second: int) -> bool:
    """End what is due up to a second; return False when the buffer of rows is full, to be called again."""
    nodes, state = table.nodes, table.state
    flows, over, births = state[CAPACITY], state[CAPACITY] + 1, state[CAPACITY] + 2
    while True:
        idle = nodes[flows]["next"]
        old = nodes[births]["younger"]
        gone = nodes[over]["next"]
        idle_due = nodes[idle]["touched"] + 1 + state[IDLE] if idle != flows else second + 1
        old_due = nodes[old]["born"] + 1 + state[ACTIVE] if old != births else second + 1
        gone_due = nodes[gone]["touched"] + 1 + LINGER if gone != over else second + 1
        due = min(idle_due, min(old_due, gone_due))
        if due > second:
            return True
        if gone_due == due:
            release(table, gone)
            continue
        if state[ROWS] == table.rows.size:
            return False
        is_idle = idle_due == due
        at = idle if is_idle else old
        if nodes[at]["phase"] == LIVE:
            tell(table, at, due * SECOND, END)
        if is_idle:
            release(table, at)
        else:
            cut_by_age(nodes, at)
            nodes[at]["phase"] = DORMANT


@kernel
def pass_time(table: Table, second: int) -> bool:
    """End what is due up to a second of event time; return False if the buffer of rows is full."""
    if second > table.state[CLOCK]:
        if not expire(table, second):
            return False
        table.state[CLOCK] = second
    return True


@kernel
def finish(table: Table, ts: int) -> bool:
    """End every flow at event time `ts`; return False if the buffer of rows is full."""
    nodes, state = table.nodes, table.state
    head = state[CAPACITY]
    while nodes[head]["next"] != head:
        if state[ROWS] == table.rows.size:
            return False
        at = nodes[head]["next"]
        if nodes[at]["phase"] == LIVE:
            tell(table, at, ts, END)
        release(table, at)
    return True
