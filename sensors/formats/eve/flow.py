"""EVE's flow events, a whole block at a time."""

from functools import lru_cache

import numpy as np

from sensors.formats.eve import ETHERNET, HEADERS, PROTOCOLS, SERVICES
from sensors.logs.builder import BatchBuilder
from sensors.logs.columns import MAX_U2, MAX_U4, Columns
from sensors.logs.flows import conn_state
from sensors.logs.members import ABSENT, OBJECT, Members
from sensors.packets.columns import Numbers
from sensors.values import FlowEvent, Kind, Service

_PACKETS = ("flow", "pkts_toserver"), ("flow", "pkts_toclient")
_FRAMES = ("flow", "bytes_toserver"), ("flow", "bytes_toclient")
_SPAN = ("flow", "start"), ("flow", "end")
_FLAGS = ("tcp", "tcp_flags_ts"), ("tcp", "tcp_flags_tc")
_PORTS, _ICMP = ("src_port", "dest_port"), ("icmp_type", "icmp_code")
_MEMBERS = Members(
    "event_type", "timestamp", "src_ip", "dest_ip", "proto", "app_proto", *_PORTS, *_ICMP, *_PACKETS, *_FRAMES, *_SPAN,
    *_FLAGS,
)  # fmt: skip
_WHOLE = int(FlowEvent.START | FlowEvent.END)
_MAX_FRAMES = 1 << 60


def add_flows(lines: Columns, out: BatchBuilder) -> None:
    """Add the rows of plain flow events; lines lose `plain` that are anything else."""
    found = _MEMBERS.find(lines)
    lines.plain &= lines.each(found.texts("event_type"), lambda text: text == b"flow") != 0
    lines.plain &= (found.kinds("flow") == OBJECT) & np.isin(found.kinds("tcp"), (ABSENT, OBJECT))
    lines.given(found.texts("src_ip"), found.texts("dest_ip"))
    orig, resp = lines.halves(found.texts("src_ip")), lines.halves(found.texts("dest_ip"))
    protocol = lines.each(found.texts("proto"), lambda text: PROTOCOLS.get(text.decode("latin-1").lower(), 0))
    service = lines.each(found.texts("app_proto"), lambda text: SERVICES.get(text.decode(), Service.UNKNOWN))
    packets = [lines.whole(found.numbers(path), MAX_U4) for path in _PACKETS]
    frames = [lines.whole(found.numbers(path), _MAX_FRAMES) for path in _FRAMES]
    whole = [np.maximum(0, size - ETHERNET * count) for size, count in zip(frames, packets, strict=True)]
    headers = np.where(orig[0] != 0, 40, 20) + np.array([HEADERS.get(number, 8) for number in range(256)])[protocol]
    payload = [np.maximum(0, size - headers * count) for size, count in zip(whole, packets, strict=True)]
    flags = [lines.each(found.texts(path), lambda text: int(text, 16) if text else 0) for path in _FLAGS]
    lines.plain &= (np.minimum(*flags) >= 0) & (np.maximum(*flags) <= 0xFF)
    icmp = (protocol == 1) | (protocol == 58)
    ports = [
        np.where(icmp, lines.whole(found.numbers(of_icmp), MAX_U2), lines.whole(found.numbers(port), MAX_U2))
        for port, of_icmp in zip(_PORTS, _ICMP, strict=True)
    ]
    first, last = (lines.instants(found.texts(path)) for path in _SPAN)
    lines.add(
        out, Kind.FLOW, ts=lines.instants(found.texts("timestamp")), event=np.full(len(first), _WHOLE),
        orig_hi=orig[0], orig_lo=orig[1], resp_hi=resp[0], resp_lo=resp[1], orig_port=ports[0], resp_port=ports[1],
        proto=protocol, state=_states(protocol, flags, packets), service=service, orig_flags=flags[0],
        resp_flags=flags[1], first=first, last=last, orig_packets=packets[0], resp_packets=packets[1],
        orig_bytes=payload[0], resp_bytes=payload[1], orig_ip_bytes=whole[0], resp_ip_bytes=whole[1],
        new_orig_packets=packets[0], new_resp_packets=packets[1], new_orig_bytes=payload[0],
        new_resp_bytes=payload[1],
    )  # fmt: skip


def _states(protocol: Numbers, flags: list[Numbers], packets: list[Numbers]) -> Numbers:
    sent = [(count > 0).astype(np.int64) for count in packets]
    keys, which = np.unique(
        protocol << 18 | (flags[0] & 0xFF) << 10 | (flags[1] & 0xFF) << 2 | sent[0] << 1 | sent[1], return_inverse=True
    )
    states: Numbers = np.array([_state(key) for key in keys.tolist()], np.int64)[which]
    return states


@lru_cache(4096)
def _state(key: int) -> int:
    return int(conn_state(key >> 18, (key >> 10 & 0xFF, key >> 2 & 0xFF), (key >> 1 & 1, key & 1)))
