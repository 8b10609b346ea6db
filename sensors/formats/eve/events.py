"""EVE's flow, alert, dns, http and tls events, a whole block at a time."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

from sensors.formats.eve import ETHERNET, HEADERS, NO_RCODE, PROTOCOLS, SERVICES, qtype_number, rcode_number
from sensors.logs.builder import BatchBuilder
from sensors.logs.columns import MAX_U1, MAX_U2, MAX_U4, MAX_U8, Columns
from sensors.logs.flows import conn_state
from sensors.logs.members import ABSENT, OBJECT, Found, Members
from sensors.packets.columns import Numbers
from sensors.values import FlowEvent, Kind, Service

_PACKETS = ("flow", "pkts_toserver"), ("flow", "pkts_toclient")
_FRAMES = ("flow", "bytes_toserver"), ("flow", "bytes_toclient")
_SPAN = ("flow", "start"), ("flow", "end")
_FLAGS = ("tcp", "tcp_flags_ts"), ("tcp", "tcp_flags_tc")
_PORTS, _ICMP = ("src_port", "dest_port"), ("icmp_type", "icmp_code")
_HTTP = {
    "host": "hostname", "method": "http_method", "path": "url", "agent": "http_user_agent", "referrer": "http_refer",
}  # fmt: skip
_TLS = {"sni": "sni", "version": "version", "subject": "subject", "issuer": "issuerdn", "ja4": "ja4"}
_DNS = ("type", "rrname", "rrtype", "rcode", "answers", "rdata", "queries", "query")
_MEMBERS = Members(
    "event_type", "timestamp", "src_ip", "dest_ip", "proto", "app_proto", *_PORTS, *_ICMP, *_PACKETS, *_FRAMES, *_SPAN,
    *_FLAGS, ("alert", "signature"), ("alert", "category"), ("alert", "signature_id"), ("alert", "severity"),
    ("http", "status"), ("http", "length"), *(("http", name) for name in _HTTP.values()), ("tls", "ja3", "hash"),
    *(("tls", name) for name in _TLS.values()), *(("dns", name) for name in _DNS),
)  # fmt: skip
_WHOLE = int(FlowEvent.START | FlowEvent.END)
_MAX_FRAMES = 1 << 60


def add_events(lines: Columns, out: BatchBuilder) -> None:
    """Add the rows of plain events; lines lose `plain` that aren't, or are events of other kinds."""
    found = _MEMBERS.find(lines)
    kinds = lines.each(found.texts("event_type"), lambda text: _NUMBERS.get(text, 0))
    lines.given(found.texts("src_ip"), found.texts("dest_ip"))
    times = lines.instants(found.texts("timestamp"))
    taken = np.zeros(len(kinds), np.bool_)
    for name, add in _EVENTS.items():
        some = lines.only((kinds == _NUMBERS[name]) & (found.kinds(name.decode()) == OBJECT))
        if some.plain.any():
            add(some, found.on(some), times, out)
            taken |= some.plain
    lines.plain &= taken


def _add_flows(lines: Columns, found: Found, times: Numbers, out: BatchBuilder) -> None:
    lines.plain &= np.isin(found.kinds("tcp"), (ABSENT, OBJECT))
    orig, resp = lines.halves(found.texts("src_ip")), lines.halves(found.texts("dest_ip"))
    protocol = lines.each(found.texts("proto"), lambda text: PROTOCOLS.get(text.decode("latin-1").lower(), 0))
    service = lines.each(found.texts("app_proto"), lambda text: SERVICES.get(text.decode(), Service.UNKNOWN))
    packets = [lines.whole(found.numbers(*path), MAX_U4) for path in _PACKETS]
    frames = [lines.whole(found.numbers(*path), _MAX_FRAMES) for path in _FRAMES]
    whole = [np.maximum(0, size - ETHERNET * count) for size, count in zip(frames, packets, strict=True)]
    headers = np.where(orig[0] != 0, 40, 20) + np.array([HEADERS.get(number, 8) for number in range(256)])[protocol]
    payload = [np.maximum(0, size - headers * count) for size, count in zip(whole, packets, strict=True)]
    flags = [lines.each(found.texts(*path), lambda text: int(text, 16) if text else 0) for path in _FLAGS]
    lines.plain &= (np.minimum(*flags) >= 0) & (np.maximum(*flags) <= 0xFF)
    icmp = (protocol == 1) | (protocol == 58)
    ports = [
        np.where(icmp, lines.whole(found.numbers(of_icmp), MAX_U2), lines.whole(found.numbers(port), MAX_U2))
        for port, of_icmp in zip(_PORTS, _ICMP, strict=True)
    ]
    first, last = (lines.instants(found.texts(*path)) for path in _SPAN)
    lines.add(
        out, Kind.FLOW, ts=times, event=np.full(len(first), _WHOLE),
        orig_hi=orig[0], orig_lo=orig[1], resp_hi=resp[0], resp_lo=resp[1], orig_port=ports[0], resp_port=ports[1],
        proto=protocol, state=_states(protocol, flags, packets), service=service, orig_flags=flags[0],
        resp_flags=flags[1], first=first, last=last, orig_packets=packets[0], resp_packets=packets[1],
        orig_bytes=payload[0], resp_bytes=payload[1], orig_ip_bytes=whole[0], resp_ip_bytes=whole[1],
        new_orig_packets=packets[0], new_resp_packets=packets[1], new_orig_bytes=payload[0],
        new_resp_bytes=payload[1],
    )  # fmt: skip


def _ends(lines: Columns, found: Found, out: BatchBuilder) -> dict[str, np.ndarray[tuple[int], np.dtype[np.uint32]]]:
    return {"orig": lines.hosts(out, found.texts("src_ip")), "resp": lines.hosts(out, found.texts("dest_ip"))}


def _add_alerts(lines: Columns, found: Found, times: Numbers, out: BatchBuilder) -> None:
    port = lines.whole(found.numbers("dest_port"), MAX_U2)
    number = lines.whole(found.numbers("alert", "signature_id"), MAX_U8)
    severity = lines.whole(found.numbers("alert", "severity"), MAX_U1)
    signature, category = found.texts("alert", "signature"), found.texts("alert", "category")
    lines.add(
        out, Kind.ALERT, ts=times, **_ends(lines, found, out), resp_port=port, signature=lines.coded(out, signature),
        category=lines.coded(out, category), signature_id=number, severity=severity,
    )  # fmt: skip


def _add_requests(lines: Columns, found: Found, times: Numbers, out: BatchBuilder) -> None:
    status = lines.whole(found.numbers("http", "status"), MAX_U2)
    size = lines.whole(found.numbers("http", "length"), MAX_U8)
    spans = {name: found.texts("http", member) for name, member in _HTTP.items()}
    texts = {name: lines.coded(out, span, bytes.lower if name == "host" else bytes) for name, span in spans.items()}
    lines.add(out, Kind.HTTP, ts=times, **_ends(lines, found, out), status=status, bytes=size, **texts)


def _add_handshakes(lines: Columns, found: Found, times: Numbers, out: BatchBuilder) -> None:
    port = lines.whole(found.numbers("dest_port"), MAX_U2)
    lines.plain &= np.isin(found.kinds("tls", "ja3"), (ABSENT, OBJECT))
    spans = {name: found.texts("tls", member) for name, member in _TLS.items()} | {
        "ja3": found.texts("tls", "ja3", "hash")
    }
    texts = {name: lines.coded(out, span, bytes.lower if name == "sni" else bytes) for name, span in spans.items()}
    lines.add(
        out, Kind.TLS, ts=times, **_ends(lines, found, out), resp_port=port, established=np.ones(len(times), np.int64),
        **texts,
    )  # fmt: skip


def _add_names(lines: Columns, found: Found, times: Numbers, out: BatchBuilder) -> None:
    for several in ("queries", "query"):
        lines.plain &= found.kinds("dns", several) == ABSENT
    answered = lines.each(found.texts("dns", "type"), lambda text: text in (b"answer", b"response")) != 0
    port = lines.whole(found.numbers("src_port"), MAX_U2)
    rcode = lines.each(found.texts("dns", "rcode"), lambda text: rcode_number(text.decode()))
    qtype = lines.each(found.texts("dns", "rrtype"), lambda text: qtype_number(text.decode()))
    lines.plain &= qtype <= MAX_U2
    counts, has_answers = found.lengths("dns", "answers"), found.kinds("dns", "answers") != ABSENT
    answers = np.where(has_answers, counts, found.kinds("dns", "rdata") != ABSENT)
    name = lines.coded(out, found.texts("dns", "rrname"), lambda text: text.lower().rstrip(b"."))
    ends, back = _ends(lines, found, out), answered & (port == 53)
    lines.add(
        out, Kind.DNS, ts=times, orig=np.where(back, ends["resp"], ends["orig"]),
        resp=np.where(back, ends["orig"], ends["resp"]), query=name, qtype=qtype,
        rcode=np.where(answered, rcode, NO_RCODE), answers=answers,
    )  # fmt: skip


_EVENTS: Mapping[bytes, Callable[[Columns, Found, Numbers, BatchBuilder], None]] = {
    b"flow": _add_flows,
    b"dns": _add_names,
    b"http": _add_requests,
    b"tls": _add_handshakes,
    b"alert": _add_alerts,
}
_NUMBERS = {name: number for number, name in enumerate(_EVENTS, 1)}


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
