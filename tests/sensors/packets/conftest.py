"""Frames and captures made by hand, and what the sensor makes of them."""

import ipaddress
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensors.addresses import address_text
from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings
from sensors.values import DTYPES, TEXT_COLUMNS, Batch, ConnState, Counters, FlowEvent, Kind

SECOND = 1_000_000_000
BASE = 1_700_000_000 * SECOND
ETHERNET = bytes(12) + b"\x08\x00"
FLAGS = {"F": 1, "S": 2, "R": 4, "P": 8, "A": 16, "U": 32}


@dataclass(frozen=True)
class Outcome:
    """All rows of a capture, of each kind, with texts in place of their indices."""

    counters: Counters
    flows: np.ndarray[Any, Any]
    dns: list[dict[str, Any]]
    http: list[dict[str, Any]]
    tls: list[dict[str, Any]]
    files: list[dict[str, Any]]
    commands: list[dict[str, Any]]

    @property
    def told(self) -> list[tuple[str, str, str, int, int]]:
        """(event, conn_state, originator, its port, responder's port) of each flow row."""
        return [
            (
                FlowEvent(int(row["event"])).name or "",
                ConnState(int(row["state"])).name,
                address_text(int(row["orig_hi"]), int(row["orig_lo"])),
                int(row["orig_port"]),
                int(row["resp_port"]),
            )
            for row in self.flows
        ]

    @property
    def ends(self) -> np.ndarray[Any, Any]:
        return self.flows[self.flows["event"] == FlowEvent.END]


class Build:
    """Make frames and captures."""

    base = BASE

    @staticmethod
    def ip(proto: int, body: bytes, src: str, dst: str, *, piece: int = 0, ident: int = 7) -> bytes:
        a, b = ipaddress.ip_address(src), ipaddress.ip_address(dst)
        if a.version == 6:
            return struct.pack("!IHBB", 6 << 28, len(body), proto, 64) + a.packed + b.packed + body
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), ident, piece, 64, proto, 0)
        return head + a.packed + b.packed + body

    def tcp(
        self, src: str, sport: int, dst: str, dport: int, flags: str = "S", payload: bytes = b"", seq: int = 1
    ) -> bytes:
        bits = sum(FLAGS[flag] for flag in flags)
        body = struct.pack("!HHIIBBHHH", sport, dport, seq, 1, 5 << 4, bits, 1024, 0, 0) + payload
        return ETHERNET + self.ip(6, body, src, dst)

    def udp(self, src: str, sport: int, dst: str, dport: int, payload: bytes = b"") -> bytes:
        return ETHERNET + self.ip(17, struct.pack("!HHHH", sport, dport, 8 + len(payload), 0) + payload, src, dst)

    def icmp(self, src: str, dst: str, kind: int, code: int = 0, payload: bytes = b"") -> bytes:
        return ETHERNET + self.ip(1, struct.pack("!BBHI", kind, code, 0, 0) + payload, src, dst)

    @staticmethod
    def pcap(
        frames: Iterable[tuple[float, bytes]],
        *,
        link: int = 1,
        order: str = "<",
        nano: bool = False,
        snap: int = 1 << 18,
    ) -> bytes:
        """Return a capture of (seconds after `base`, frame)."""
        magic, unit = (0xA1B23C4D, 1) if nano else (0xA1B2C3D4, 1000)
        out = BytesIO(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap, link))
        out.seek(0, 2)
        for after, frame in frames:
            seconds, nanos = divmod(BASE + round(after * SECOND), SECOND)
            kept = frame[:snap]
            out.write(struct.pack(order + "IIII", seconds, nanos // unit, len(kept), len(frame)) + kept)
        return out.getvalue()


@pytest.fixture(scope="session")
def build() -> Build:
    return Build()


def _resolved(batches: list[Batch], kind: Kind) -> list[dict[str, Any]]:
    return [
        {
            name: batch.texts[row[name]] if name in TEXT_COLUMNS[kind] else row[name].item()
            for name in DTYPES[kind].names or ()
        }
        for batch in batches
        for row in batch.tables.get(kind, ())
    ]


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Outcome]:
    """Return a function: bytes of a capture (and settings, packets in a batch) -> Outcome; it checks every promise."""

    def outcome(capture: bytes, chunk: int = 1 << 16, **settings: Any) -> Outcome:
        path = tmp_path / "capture"
        path.write_bytes(capture)
        source = CaptureSource(path.open("rb"), "capture", SensorSettings(**settings), chunk=chunk)
        batches = list(source.batches())
        counters = source.counters
        assert counters.parsed + counters.malformed + counters.ignored == counters.read
        assert counters.rows == sum(map(len, batches))
        promised = -1
        for batch in batches:
            for rows in batch.tables.values():
                order = np.lexsort((rows["seq"], rows["ts"]))
                assert (order == np.arange(len(rows))).all()
                assert rows["ts"][0] >= promised
            assert batch.watermark >= promised
            promised = batch.watermark
        flows = [batch.tables[Kind.FLOW] for batch in batches if Kind.FLOW in batch.tables]
        joined = np.concatenate(flows) if flows else np.zeros(0, DTYPES[Kind.FLOW])
        told = [_resolved(batches, kind) for kind in (Kind.DNS, Kind.HTTP, Kind.TLS, Kind.FILE, Kind.COMMAND)]
        return Outcome(counters, joined, *told)

    return outcome
