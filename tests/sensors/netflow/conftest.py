"""Datagrams made by hand or recorded, and what becomes of them."""

import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensors.addresses import address_text
from sensors.netflow.messages import Decoder
from sensors.netflow.pairs import Pairs
from sensors.values import ConnState, Counters, FlowEvent

VECTORS = Path(__file__).parents[2] / "vectors" / "netflow"
NOW = 1_700_000_000 * 10**9


class Message:
    """Make datagrams."""

    @staticmethod
    def v5(*records: bytes, sequence: int = 0, count: int | None = None, uptime: int = 60_000) -> bytes:
        size = len(records) if count is None else count
        return struct.pack("!HHIIIIBBH", 5, size, uptime, 1_600_000_000, 0, sequence, 0, 0, 0) + b"".join(records)

    @staticmethod
    def flow5(src: str, sport: int, dst: str, dport: int, *, proto: int = 6, flags: int = 27, first: int = 1000,
              last: int = 2000, packets: int = 5, size: int = 500) -> bytes:  # fmt: skip
        ends = bytes(int(part) for text in (src, dst) for part in text.split("."))
        return ends + struct.pack(
            "!IHHIIIIHHBBBBHHBBH", 0, 0, 0, packets, size, first, last, sport, dport, 0, flags, proto, 0, 0, 0, 0, 0, 0
        )

    @staticmethod
    def v9(*sets: bytes, sequence: int = 0, domain: int = 1, uptime: int = 60_000) -> bytes:
        return struct.pack("!HHIIII", 9, len(sets), uptime, 1_600_000_000, sequence, domain) + b"".join(sets)

    @staticmethod
    def ipfix(*sets: bytes, sequence: int = 0, domain: int = 1, exported: int = 1_600_000_000) -> bytes:
        body = b"".join(sets)
        return struct.pack("!HHIII", 10, 16 + len(body), exported, sequence, domain) + body

    @staticmethod
    def part(number: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("!HH", number, 4 + len(body)) + body

    @staticmethod
    def template(number: int, *fields: tuple[int, ...]) -> bytes:
        """Fields are (number, length), or (number, length, enterprise)."""
        body = struct.pack("!HH", number, len(fields))
        for code, length, *enterprise in fields:
            body += struct.pack("!HH", code | (0x8000 if enterprise else 0), length)
            body += struct.pack("!I", *enterprise) if enterprise else b""
        return body


@pytest.fixture
def message() -> type[Message]:
    return Message


@pytest.fixture
def decode() -> Callable[..., tuple[np.ndarray[Any, Any], Counters]]:
    """Return a function: datagrams -> records and counters."""

    def decoded(*datagrams: bytes, exporter: str = "192.0.2.1") -> tuple[np.ndarray[Any, Any], Counters]:
        counters = Counters()
        decoder = Decoder(counters)
        for datagram in datagrams:
            decoder.feed(exporter, datagram, NOW)
        assert counters.read == counters.parsed + counters.malformed + counters.ignored == len(datagrams)
        return decoder.take(), counters

    return decoded


@pytest.fixture
def flows() -> Callable[[np.ndarray[Any, Any]], list[dict[str, Any]]]:
    """Return a function: records -> what the FLOW rows say."""

    def told(records: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
        pairs = Pairs()
        rows = np.concatenate((pairs.add(records, NOW), pairs.finish()))
        return [readable(row) for row in rows]

    return told


def readable(row: np.void) -> dict[str, Any]:
    return {
        "orig": address_text(int(row["orig_hi"]), int(row["orig_lo"])), "orig_port": int(row["orig_port"]),
        "resp": address_text(int(row["resp_hi"]), int(row["resp_lo"])), "resp_port": int(row["resp_port"]),
        "event": FlowEvent(int(row["event"])), "state": ConnState(int(row["state"])).name,
        "packets": (int(row["orig_packets"]), int(row["resp_packets"])),
        "bytes": (int(row["orig_ip_bytes"]), int(row["resp_ip_bytes"])),
        "span": (int(row["first"]), int(row["last"])),
    }  # fmt: skip


@pytest.fixture
def recorded() -> Callable[[str], list[bytes]]:
    """Return a function: name of a vector -> its datagrams."""

    def datagrams(name: str) -> Iterator[bytes]:
        data = (VECTORS / f"{name}.datagrams").read_bytes()
        at = 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 2], "big")
            yield data[at + 2 : at + 2 + size]
            at += 2 + size

    return lambda name: list(datagrams(name))


def ends(rows: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(row["orig"], row["orig_port"], row["resp"], row["resp_port"]) for row in rows]
