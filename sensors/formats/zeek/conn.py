"""Zeek's conn log, a whole block at a time."""

from collections.abc import Mapping, Sequence

import numpy as np

from sensors.formats.zeek.tables import CONN_FIELDS, PROTOCOLS, STATES, flags_of, service_of
from sensors.logs.builder import BatchBuilder
from sensors.logs.columns import MAX_U2, MAX_U4, MAX_U8, Columns, Span
from sensors.logs.members import ABSENT, Members
from sensors.packets.columns import Numbers
from sensors.values import FlowEvent, Kind

_FIELDS = CONN_FIELDS
_TEXTS = ("id.orig_h", "id.resp_h", "proto", "service", "conn_state", "history")
_MEMBERS = Members("_path", *_FIELDS)
_ICMP6 = 58
_WHOLE = int(FlowEvent.START | FlowEvent.END)


def add_tsv(
    lines: Columns, columns: Sequence[str], separator: bytes, absent: Sequence[bytes], out: BatchBuilder
) -> None:
    """Add the rows of plain lines of TSV with these columns; lines lose `plain` that aren't."""
    places = {name: columns.index(name) for name in _FIELDS if name in columns}
    spans = lines.fields(separator[0], {place: name for name, place in places.items()}, len(columns))
    for word in absent:
        lines.blank(spans.values(), word)
    spans |= {name: lines.nothing() for name in _FIELDS if name not in columns}
    lines.given(spans["ts"], spans["id.orig_h"], spans["id.resp_h"])
    first = lines.seconds(spans["ts"])
    _add(lines, spans, first, first + lines.seconds(spans["duration"]), out)


def add_json(lines: Columns, named: bool | None, out: BatchBuilder) -> None:
    """Add the rows of plain lines of JSON; lines lose `plain` that aren't, or that may be of another log.

    `named`: whether a line that doesn't name its log is of conn; None where its members tell.
    """
    found = _MEMBERS.find(lines)
    path, told = found.texts("_path"), found.kinds("_path") != ABSENT
    unsaid = found.kinds("conn_state") != ABSENT if named is None else np.full(len(told), named)
    lines.plain &= np.where(told, lines.each(path, lambda text: text == b"conn") != 0, unsaid)
    spans = {name: (found.texts if name in _TEXTS else found.numbers)(name) for name in _FIELDS}
    lines.given(spans["ts"], spans["id.orig_h"], spans["id.resp_h"])
    first = lines.decimals(spans["ts"])
    _add(lines, spans, first, first + lines.decimals(spans["duration"]), out)


def _add(lines: Columns, spans: Mapping[str, Span], first: Numbers, last: Numbers, out: BatchBuilder) -> None:
    """Add the rows of the plain lines, which begin and end at `first` and `last` (ns)."""
    orig, resp = lines.halves(spans["id.orig_h"]), lines.halves(spans["id.resp_h"])
    protocol = lines.each(spans["proto"], lambda text: PROTOCOLS.get(text.lower().decode("latin-1"), 0))
    protocol[(protocol == 1) & (orig[0] != 0)] = _ICMP6
    tcp = protocol == 6
    flags = lines.each(spans["history"], lambda text: flags_of(text)[0] << 8 | flags_of(text)[1])
    packets = [lines.whole(spans[name], MAX_U4) for name in ("orig_pkts", "resp_pkts")]
    sizes = [lines.whole(spans[name], MAX_U8) for name in ("orig_bytes", "resp_bytes")]
    whole = [lines.whole(spans[name], MAX_U8) for name in ("orig_ip_bytes", "resp_ip_bytes")]
    ports = [lines.whole(spans[name], MAX_U2) for name in ("id.orig_p", "id.resp_p")]
    state = lines.each(spans["conn_state"], lambda text: STATES.get(text, 0))
    service = lines.each(spans["service"], service_of)
    lines.add(
        out, Kind.FLOW, ts=last, event=np.full(len(last), _WHOLE), orig_hi=orig[0], orig_lo=orig[1],
        resp_hi=resp[0], resp_lo=resp[1], orig_port=ports[0], resp_port=ports[1], proto=protocol, state=state,
        service=service, orig_flags=(flags >> 8) * tcp, resp_flags=(flags & 0xFF) * tcp, first=first, last=last,
        orig_packets=packets[0], resp_packets=packets[1], orig_bytes=sizes[0], resp_bytes=sizes[1],
        orig_ip_bytes=whole[0], resp_ip_bytes=whole[1], new_orig_packets=packets[0], new_resp_packets=packets[1],
        new_orig_bytes=sizes[0], new_resp_bytes=sizes[1],
    )  # fmt: skip
