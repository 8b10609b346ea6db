"""Carry a table of flows over a restart, as bytes.

Guarantees: a table that was saved and loaded gives the same rows as one that went on, with another seed, too. The bytes
are a line that names the version, numpy arrays without objects, and a digest over it all: nothing in them is executed,
and a state that is damaged, of another version or too large for the table is refused. Places in lists are not
believed: the lists and the index are built anew. The bytes hold addresses; whoever writes them down encrypts them.
"""

import hashlib
from io import BytesIO
from typing import Final

import numpy as np

from sensors.errors import UnreadableStateError
from sensors.packets.columns import Numbers
from sensors.packets.flow.index import enter, tag_of_node
from sensors.packets.flow.lists import append, append_by_age
from sensors.packets.flow.nodes import CAPACITY, CLOCK, LIVE, NODE, NUMBER, OVER, SEED, SIDE, USED, Table
from sensors.packets.jit import kernel
from sensors.values import Rows

_VERSION: Final = b"ostiary flows 1\n"
_DIGEST_BYTES: Final = 32


@kernel
def _in_order(nodes: Rows, head: int, found: Numbers, count: int) -> int:
    """Add the nodes of a list by last packet to found[count:]; return how many there are then."""
    at = nodes[head]["next"]
    while at != head:
        found[count] = at
        count += 1
        at = nodes[at]["next"]
    return count


@kernel
def _by_age(nodes: Rows, head: int, found: Numbers) -> int:
    at = nodes[head]["younger"]
    count = 0
    while at != head:
        found[count] = at
        count += 1
        at = nodes[at]["younger"]
    return count


@kernel
def _place(table: Table, count: int, ages: Numbers) -> None:
    """Enter the first `count` nodes into index and lists of an empty table."""
    nodes, state = table.nodes, table.state
    for at in range(count):
        tag = tag_of_node(nodes[at], state[SEED])
        nodes[at]["tag"] = tag
        enter(table.slots, at, tag)
        append(nodes, state[CAPACITY] + (1 if nodes[at]["phase"] == OVER else 0), at)
    for at in ages:
        append_by_age(nodes, state[CAPACITY] + 2, at)
    state[USED] = count


def save(table: Table, clock: Numbers, fragments: Rows) -> bytes:
    """Return what table and decoder know, the least recent flow first."""
    nodes, capacity = table.nodes, int(table.state[CAPACITY])
    found = np.zeros(capacity, np.int64)
    count = _in_order(nodes, capacity, found, 0)
    count = _in_order(nodes, capacity + 1, found, count)
    kept = found[:count].copy()
    ages = found[: _by_age(nodes, capacity + 2, found)].copy()
    places = np.zeros(capacity, np.int64)
    places[kept] = np.arange(count)
    out = BytesIO()
    out.write(_VERSION)
    sides = table.sides.reshape(capacity, 2)[kept].reshape(-1)
    for array in (table.state[CLOCK : NUMBER + 1], clock, fragments, nodes[kept], sides, places[ages]):
        np.lib.format.write_array(out, array, allow_pickle=False)
    content = out.getvalue()
    return content + hashlib.sha256(content).digest()


def load(saved: bytes, table: Table, clock: Numbers, fragments: Rows) -> None:
    """Bring an empty table and its decoder to what was saved; raise `UnreadableStateError`, nothing changed then."""
    content, digest = saved[:-_DIGEST_BYTES], saved[-_DIGEST_BYTES:]
    if not content.startswith(_VERSION) or hashlib.sha256(content).digest() != digest:
        raise UnreadableStateError("the saved flows are damaged or of another version")
    stream = BytesIO(content[len(_VERSION) :])
    try:
        newest, *decoder, nodes, sides, ages = (np.lib.format.read_array(stream, allow_pickle=False) for _ in range(6))
    except (ValueError, EOFError) as error:
        raise UnreadableStateError(f"the saved flows cannot be read ({error})") from error
    count = len(nodes)
    forms = [(array.dtype, array.shape) for array in (newest, *decoder, nodes, sides)]
    wanted = [(array.dtype, array.shape) for array in (table.state[CLOCK : NUMBER + 1], clock, fragments)]
    if forms != [*wanted, (NODE, (count,)), (SIDE, (2 * count,))]:
        raise UnreadableStateError("the saved flows are of another version")
    if count > table.state[CAPACITY]:
        raise UnreadableStateError(f"{count} flows were saved, more than there is room for")
    live = np.flatnonzero(nodes["phase"] == LIVE)
    if ages.dtype != np.int64 or not np.array_equal(np.sort(ages), live):
        raise UnreadableStateError("the saved flows contradict themselves")
    table.nodes[:count] = nodes
    table.sides[: 2 * count] = sides
    table.state[CLOCK : NUMBER + 1] = newest
    clock[:], fragments[:] = decoder
    _place(table, count, ages)
