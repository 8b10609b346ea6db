"""Name a flow as other sensors do: Community ID version 1 (https://github.com/corelight/community-id-spec).

The same for both directions, and the same in Zeek, Suricata, Arkime and others with the same seed (0 by default).
"""

import base64
import hashlib
import struct
from collections.abc import Mapping
from typing import Final

from sensors.packets.headers.transport import ICMP, ICMP6, SCTP, TCP, UDP

_MAPPED: Final = 0xFFFF00000000
_COUNTERPARTS: Final[Mapping[int, Mapping[int, int]]] = {
    ICMP: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10},
    ICMP6: {
        128: 129, 129: 128, 130: 131, 131: 130, 133: 134, 134: 133, 135: 136, 136: 135, 139: 140, 140: 139,
        144: 145, 145: 144,
    },
}  # fmt: skip
"""Type of a message that has an answer -> type of the other one."""


def community_id(
    orig: tuple[int, int], resp: tuple[int, int], orig_port: int, resp_port: int, proto: int, seed: int = 0
) -> str:
    """Return the identifier of a flow; addresses are two halves, as in rows, ports of ICMP its type and code."""
    one_way = False
    counterparts = _COUNTERPARTS.get(proto)
    if counterparts is not None:
        one_way = orig_port not in counterparts
        resp_port = counterparts.get(orig_port, resp_port)
    ends = [(_packed(orig), orig_port), (_packed(resp), resp_port)]
    if not one_way and ends[1] < ends[0]:
        ends.reverse()
    content = struct.pack("!H", seed) + ends[0][0] + ends[1][0] + bytes((proto, 0))
    if proto in (ICMP, ICMP6, TCP, UDP, SCTP):
        content += struct.pack("!HH", ends[0][1], ends[1][1])
    return "1:" + base64.b64encode(hashlib.sha1(content, usedforsecurity=False).digest()).decode()


def _packed(address: tuple[int, int]) -> bytes:
    hi, lo = address
    if hi == 0 and lo & ~0xFFFFFFFF == _MAPPED:
        return struct.pack("!I", lo & 0xFFFFFFFF)
    return struct.pack("!QQ", hi, lo)
