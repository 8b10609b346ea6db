"""Read link, network and transport headers of frames into columns, and those inside a tunnel.

Guarantees: no byte outside a frame is read; each packet is parsed, ignored (not IP) or malformed, with its fault noted;
lengths come from the headers, so that a capture cut by a snap length gives the true byte counts; fragments carry the
ports of their first one (see `fragments`); event time `at` never goes back. A packet that came through a tunnel belongs
to the flow inside, and to no other: the columns are those of the packet inside, `tunnel` says what it came through.
"""

from typing import Final

from sensors.packets.columns import EMPTY, FIRST, IGNORED, MALFORMED, PARSED, WHOLE, Bytes, Numbers, Row
from sensors.packets.headers.ends import DONE, IGNORE
from sensors.packets.headers.fragments import remember
from sensors.packets.headers.link import behind_link
from sensors.packets.headers.network import read_network
from sensors.packets.headers.transport import TCP, read_transport
from sensors.packets.headers.tunnels import open_tunnel
from sensors.packets.jit import kernel
from sensors.packets.words import note
from sensors.values import Rows

# Places in the decoder's state.
CLOCK: Final = 0
LATE: Final = 1
STATE_SIZE: Final = 2


@kernel
def _frame(data: Bytes, packet: Row, fragments: Rows) -> int:
    """Read one frame; return 0, `IGNORE` or a fault's code."""
    if packet["captured"] == 0:
        return EMPTY
    end = int(packet["offset"]) + int(packet["captured"])
    at = behind_link(data, packet)
    if at >= 0:
        at = read_network(data, at, end, packet, fragments)
    if at > DONE and packet["proto"] != TCP:
        inside = open_tunnel(data, at, min(end, at + int(packet["payload_bytes"])), packet)
        if inside > 0:
            at = read_network(data, inside, end, packet, fragments)
    if at <= DONE:
        return IGNORE if at == IGNORE else -at
    fault = read_transport(data, at, min(end, at + int(packet["payload_bytes"])), packet)
    if fault == PARSED and packet["piece"] == FIRST:
        remember(packet, fragments)
    return fault


@kernel
def decode(
    data: Bytes, packets: Rows, count: int, state: Numbers, fragments: Rows, faults: Rows, noted: Numbers
) -> None:
    """Read the headers of the first `count` packets into their columns."""
    for i in range(count):
        packet = packets[i]
        if packet["ts"] < state[CLOCK]:
            state[LATE] += 1
        else:
            state[CLOCK] = packet["ts"]
        packet["at"] = state[CLOCK]
        packet["hint"] = 0
        packet["flags"] = 0
        packet["tunnel"] = 0
        packet["tunnel_id"] = 0
        packet["piece"] = WHOLE
        packet["src_port"] = 0
        packet["dst_port"] = 0
        packet["payload"] = 0
        packet["payload_bytes"] = 0
        found = _frame(data, packet, fragments)
        if found == PARSED:
            packet["status"] = PARSED
        elif found == IGNORE:
            packet["status"] = IGNORED
        else:
            packet["status"] = MALFORMED
            note(faults, noted, found, packet["offset"], packet["number"])
