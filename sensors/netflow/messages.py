"""Read datagrams of NetFlow 5, NetFlow 9 and IPFIX into columns.

Guarantees: what is well formed in a datagram is kept, whatever follows it; each datagram is counted once, as parsed,
malformed or ignored (of another version). Records of one layout are decoded together, however many datagrams they
came in. Times are told by our own clock: a record's age, which the exporter's clock gives, is taken from when
it came, so that a wrong clock shifts nothing. Numbers that are missing in an exporter's sequence count as lost, up to
`MAX_GAP` at a time: beyond, it was started anew.
"""

import struct
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sensors.netflow.records import ICMP, MAX_AGE_NS, MOST_BYTES, MOST_PACKETS, RECORD
from sensors.netflow.templates import MAX_EXPORTERS, Layout, Recent, Templates, layout, numbers, read_fields
from sensors.values import Counters, Fault, Rows

MAX_GAP: Final = 1 << 20
LATE: Final = 1 << 10
"""By how much a number may be behind without its exporter having begun anew."""
_V5_HEADER: Final = struct.Struct("!HHIIIIBBH")
_V9_HEADER: Final = struct.Struct("!HHIIII")
_IPFIX_HEADER: Final = struct.Struct("!HHIII")
_IPFIX: Final = 10
_MS: Final = 1_000_000
_S: Final = 1_000_000_000
_NTP_EPOCH: Final = 2_208_988_800
_MOST: Final = {
    "packets": MOST_PACKETS, "back_packets": MOST_PACKETS, "bytes": MOST_BYTES, "back_bytes": MOST_BYTES,
}  # fmt: skip
_MAPPED: Final = np.uint64(0xFFFF << 32)
V5: Final = layout((
    (0, 8, 4), (0, 12, 4), (0, 15, 4), (0, 10, 2), (0, 14, 2), (0, 2, 4), (0, 1, 4), (0, 22, 4), (0, 21, 4), (0, 7, 2),
    (0, 11, 2), (0, 210, 1), (0, 6, 1), (0, 4, 1), (0, 5, 1), (0, 16, 2), (0, 17, 2), (0, 9, 1), (0, 13, 1),
    (0, 210, 2),
))  # fmt: skip
"""A record of NetFlow 5, told as a template."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What a datagram's header says of time."""

    number: int
    received: int
    exported: int
    """By the exporter's clock, ns."""
    uptime: int
    """Of the exporter when it sent this, ms; 0 where it isn't told."""


@dataclass(slots=True)
class Gathered:
    """Records of several datagrams, by layout."""

    parts: dict[Layout, list[tuple[bytes, int, _Header]]] = field(default_factory=dict)

    def add(self, form: Layout, data: bytes, header: _Header) -> int:
        """Take the records of one set; return how many they are."""
        cut, count = form.cut(data)
        if count and form.columns.names:
            self.parts.setdefault(form, []).append((cut, count, header))
        return count

    def take(self) -> Rows:
        """Return all records as rows of `RECORD`, in the order of their datagrams."""
        found = [_records(form, parts) for form, parts in self.parts.items()]
        self.parts.clear()
        rows = np.concatenate(found) if found else np.zeros(0, RECORD)
        return rows[np.argsort(rows["number"], kind="stable")]


class Decoder:
    """Reads datagrams of any exporters."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._templates = Templates()
        self._seen: Recent[Hashable, tuple[int, int]] = Recent(MAX_EXPORTERS)
        self._gathered = Gathered()
        self._unknown = False

    def feed(self, exporter: str, datagram: bytes, received: int) -> None:
        """Take in a datagram that came at `received` (ns)."""
        counters = self._counters
        counters.read += 1
        counters.bytes += len(datagram)
        version = int.from_bytes(datagram[:2], "big")
        reader = {5: self._version5, 9: self._version9, 10: self._ipfix}.get(version)
        if reader is None:
            counters.ignored += 1
            return
        self._unknown = False
        try:
            reader(exporter, datagram, received)
            if self._unknown:
                raise ValueError("records whose template hasn't come yet")
        except (ValueError, struct.error) as error:
            text = "a header that ends early" if isinstance(error, struct.error) else str(error)
            counters.fault(Fault("netflow.message", 0, text, counters.read))
        else:
            counters.parsed += 1

    def take(self) -> Rows:
        """Return the records since the last call, as rows of `RECORD`."""
        return self._gathered.take()

    def _version5(self, exporter: str, data: bytes, received: int) -> None:
        _, count, uptime, seconds, nanos, sequence, kind, engine, _ = _V5_HEADER.unpack_from(data)
        header = _Header(self._counters.read, received, seconds * _S + nanos, uptime)
        got = self._gathered.add(V5, data[_V5_HEADER.size : _V5_HEADER.size + 48 * count], header)
        self._follow((exporter, 5, kind << 8 | engine), sequence, count)
        if got != count:
            raise ValueError("fewer records than announced")

    def _version9(self, exporter: str, data: bytes, received: int) -> None:
        _, _, uptime, seconds, sequence, domain = _V9_HEADER.unpack_from(data)
        source = (exporter, 9, domain)
        self._follow(source, sequence, 1)
        header = _Header(self._counters.read, received, seconds * _S, uptime)
        for number, body in _sets(data, _V9_HEADER.size):
            if number == 0:
                self._learn(source, body, 4, options=False)
            elif number == 1:
                self._learn_options9(source, body)
            else:
                self._records(source, number, body, header)

    def _ipfix(self, exporter: str, data: bytes, received: int) -> None:
        _, length, seconds, sequence, domain = _IPFIX_HEADER.unpack_from(data)
        source = (exporter, 10, domain)
        header = _Header(self._counters.read, received, seconds * _S, 0)
        count = 0
        try:
            for number, body in _sets(data[:length], _IPFIX_HEADER.size):
                if number in (2, 3):
                    self._learn(source, body, 4 if number == 2 else 6, options=number == 3)
                else:
                    count += self._records(source, number, body, header)
        finally:
            self._follow(source, sequence, count)
        if length > len(data):
            raise ValueError("shorter than announced")

    def _learn(self, source: tuple[str, int, int], body: bytes, head: int, *, options: bool) -> None:
        """Take the templates of a set: each begins with its number and its count of fields, none withdraws it."""
        at = 0
        while at + 4 <= len(body):
            number, count = struct.unpack_from("!HH", body, at)
            if number < 256:  # padding
                break
            if count == 0:
                self._templates.learn(source, number, (), options=options)
                at += 4
                continue
            fields, at = read_fields(body, at + head, count, enterprises=source[1] == _IPFIX)
            self._templates.learn(source, number, fields, options=options)

    def _learn_options9(self, source: tuple[str, int, int], body: bytes) -> None:
        at = 0
        while at + 6 <= len(body):
            number, scopes, options = struct.unpack_from("!HHH", body, at)
            if number < 256:
                break
            fields, at = read_fields(body, at + 6, (scopes + options) // 4, enterprises=False)
            self._templates.learn(source, number, fields, options=True)

    def _records(self, source: tuple[str, int, int], number: int, body: bytes, header: _Header) -> int:
        if number < 256:
            return 0
        form = self._templates.get(source, number)
        if form is None:
            self._unknown = True
            return 0
        return self._gathered.add(form, body, header)

    def _follow(self, source: tuple[str, int, int], sequence: int, count: int) -> None:
        """Count what is missing between the message before and this one, which has `count` of what is numbered.

        Some exporters of IPFIX number what came before a message, as they should, some what came with it: the
        smaller loss is believed.
        """
        before, number = self._seen.get(source, (sequence, 0))
        ahead = (sequence - before + (1 << 31)) % (1 << 32) - (1 << 31)
        gap = ahead - (max(number, count) if source[1] == _IPFIX else number)
        if source in self._seen and 0 < gap <= MAX_GAP:
            self._counters.dropped += gap
        if not -LATE < ahead < 0:  # else it was overtaken, and was counted as lost
            self._seen.keep(source, (sequence, count))


def _sets(data: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield (number, contents) of the sets of a message; raise ValueError where a length makes no sense."""
    while at + 4 <= len(data):
        number, length = struct.unpack_from("!HH", data, at)
        if length < 4 or at + length > len(data):
            if not any(data[at:]):  # padding
                return
            raise ValueError("a set whose length makes no sense")
        yield number, data[at + 4 : at + length]
        at += length


def _records(form: Layout, parts: list[tuple[bytes, int, _Header]]) -> Rows:
    """Decode the records of one layout."""
    raw = np.frombuffer(b"".join(data for data, _, _ in parts), form.columns)
    counts = [count for _, count, _ in parts]
    rows = np.zeros(len(raw), RECORD)
    number, received, exported, uptime = (
        np.repeat(np.array(values, np.int64), counts)
        for values in zip(*((h.number, h.received, h.exported, h.uptime) for _, _, h in parts), strict=True)
    )
    rows["number"] = number
    for name, most in _MOST.items():
        rows[name] = np.minimum(numbers(raw, name), np.uint64(most))
    for name in ("proto", "flags", "back_flags"):  # flags may come in two bytes, of which the first means nothing here
        rows[name] = numbers(raw, name) & np.uint64(255)
    rows["src_port"], rows["dst_port"] = numbers(raw, "src_port"), numbers(raw, "dst_port")
    for side in ("src", "dst"):
        rows[f"{side}_hi"], rows[f"{side}_lo"] = _address(raw, side)
    _icmp(raw, rows)
    last = _age(raw, "last", exported, uptime)
    first = np.maximum(_age(raw, "first", exported, uptime), last)
    rows["last"], rows["first"] = received - last, received - first
    names = form.columns.names or ()
    rows["both"] = any(name in names for name in ("back_packets", "back_bytes"))
    rows["goes_on"] = numbers(raw, "reason") == 2
    told = (rows["src_hi"] | rows["src_lo"]) != 0
    kept: Rows = rows[told & ((rows["packets"] | rows["back_packets"]) != 0)]
    return kept


def _address(raw: NDArray[np.void], side: str) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the halves of an address, of the IPv6 one where both are given and it isn't empty."""
    names = raw.dtype.names or ()
    high = low = np.zeros(len(raw), np.uint64)
    if f"{side}4" in names:
        low = numbers(raw, f"{side}4") | _MAPPED
    if f"{side}6" in names:
        halves = np.ascontiguousarray(raw[f"{side}6"]).view(">u8").astype(np.uint64)
        given = (halves[:, 0] | halves[:, 1]) != 0
        high, low = np.where(given, halves[:, 0], high), np.where(given, halves[:, 1], low)
    return high, low


def _icmp(raw: NDArray[np.void], rows: Rows) -> None:
    """Put type and code of ICMP in the places of ports; NetFlow 5, and others, have both in the destination port."""
    is_icmp = np.isin(rows["proto"], ICMP)
    names = raw.dtype.names or ()
    if not is_icmp.any():
        return
    both = numbers(raw, "icmp") if "icmp" in names else rows["dst_port"].astype(np.uint64)
    kind, code = both >> np.uint64(8), both & np.uint64(255)
    if "icmp_type" in names and "icmp" not in names:
        kind, code = numbers(raw, "icmp_type"), numbers(raw, "icmp_code")
    rows["src_port"] = np.where(is_icmp, kind & np.uint64(255), rows["src_port"])
    rows["dst_port"] = np.where(is_icmp, code & np.uint64(255), rows["dst_port"])


def _age(
    raw: NDArray[np.void], which: str, exported: NDArray[np.int64], uptime: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return how long before its export a flow began or ended, in ns, 0 to `MAX_AGE_NS`."""
    names = raw.dtype.names or ()

    def told(form: str) -> NDArray[np.int64]:
        return (numbers(raw, f"{which}_{form}") & np.uint64((1 << 62) - 1)).astype(np.int64)

    if f"{which}_up" in names and "boot_ms" in names:
        boot = np.minimum(numbers(raw, "boot_ms"), np.uint64(1 << 43)).astype(np.int64)
        age = exported - (boot + np.minimum(told("up"), 1 << 43)) * _MS
    elif f"{which}_up" in names:
        age = ((uptime - told("up") + (1 << 31)) % (1 << 32) - (1 << 31)) * _MS
    elif f"{which}_ms" in names:
        age = exported - np.minimum(told("ms"), 1 << 43) * _MS
    elif f"{which}_s" in names:
        age = exported - np.minimum(told("s"), 1 << 33) * _S
    elif f"{which}_ntp" in names:
        stamp = numbers(raw, f"{which}_ntp")
        seconds = (stamp >> np.uint64(32)).astype(np.int64) - _NTP_EPOCH
        age = (
            exported
            - seconds * _S
            - (((stamp & np.uint64(0xFFFFFFFF)) * np.uint64(_S)) >> np.uint64(32)).astype(np.int64)
        )
    elif f"{which}_ago" in names:
        age = np.minimum(told("ago"), 1 << 40) * 1000
    else:
        age = np.zeros(len(raw), np.int64)
    clipped: NDArray[np.int64] = np.clip(age, 0, MAX_AGE_NS)
    return clipped
