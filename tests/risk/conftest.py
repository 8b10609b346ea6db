"""Rows and batches made by hand."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from risk.engine import RiskEngine
from risk.settings import RiskSettings
from risk.values import Finding
from sensors.addresses import address_halves
from sensors.values import DTYPES, FLOW, TEXT_COLUMNS, Batch, ConnState, Entity, EntityKind, FlowEvent, Kind, Rows

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
SYN, RST_ACK, NORMAL = 2, 20, 27


class Traffic:
    """Flow rows, gathered one by one and put in order."""

    def __init__(self) -> None:
        self._rows: list[dict[str, Any]] = []

    def add(self, at: float, orig: str, resp: str, port: int, event: FlowEvent, **fields: Any) -> None:
        """Add one row, `at` seconds after the start."""
        orig_hi, orig_lo = address_halves(orig)
        resp_hi, resp_lo = address_halves(resp)
        ts = START + round(at * SECOND)
        row = {
            "ts": ts, "event": int(event), "orig_hi": orig_hi, "orig_lo": orig_lo, "resp_hi": resp_hi,
            "resp_lo": resp_lo, "orig_port": 40000, "resp_port": port, "proto": 6, "first": ts, "last": ts, **fields,
        }  # fmt: skip
        self._rows.append(row)

    def begin(self, at: float, orig: str, resp: str, port: int, **fields: Any) -> None:
        """Add the first packet of a flow."""
        first = {"orig_flags": SYN, "orig_packets": 1, "new_orig_packets": 1, **fields}
        self.add(at, orig, resp, port, FlowEvent.START, **first)

    def refused(self, at: float, orig: str, resp: str, port: int) -> None:
        """Add a TCP connection that was answered by RST."""
        self.begin(at, orig, resp, port)
        self.add(
            at + 0.001, orig, resp, port, FlowEvent.END, state=ConnState.REJ, orig_flags=SYN, resp_flags=RST_ACK,
            orig_packets=1, resp_packets=1, new_resp_packets=1,
        )  # fmt: skip

    def talk(
        self, at: float, orig: str, resp: str, port: int, out: int = 500, back: int = 5000, lasts: float = 0.5
    ) -> None:
        """Add an ordinary TCP connection."""
        self.begin(at, orig, resp, port)
        self.add(
            at + lasts, orig, resp, port, FlowEvent.END, state=ConnState.SF, orig_flags=NORMAL, resp_flags=NORMAL,
            orig_packets=6, resp_packets=8, new_orig_packets=5, new_resp_packets=8, orig_bytes=out, resp_bytes=back,
            new_orig_bytes=out, new_resp_bytes=back, first=START + round(at * SECOND),
        )  # fmt: skip

    def rows(self) -> Rows:
        """Return what was gathered, in event order."""
        rows = np.zeros(len(self._rows), FLOW)
        for place, fields in enumerate(self._rows):
            for name, value in fields.items():
                rows[name][place] = value
        rows = rows[np.argsort(rows["ts"], kind="stable")]
        rows["seq"] = np.arange(1, len(rows) + 1)
        return rows


def _logs(kind: Kind, lines: Sequence[Mapping[str, Any]]) -> Batch:
    texts: list[str] = [""]
    codes: dict[str, int] = {"": 0}
    rows = np.zeros(len(lines), DTYPES[kind])
    for place, line in enumerate(lines):
        rows["seq"][place] = place + 1
        for name, value in line.items():
            if name == "at":
                rows["ts"][place] = START + round(value * SECOND)
            elif name in TEXT_COLUMNS[kind]:
                if value not in codes:
                    codes[value] = len(texts)
                    texts.append(value)
                rows[name][place] = codes[value]
            else:
                rows[name][place] = value
    return Batch(("test.log",), 2**62, {kind: rows}, texts)


class World:
    """An engine, and the means to show it something."""

    def __init__(self, **settings: Any) -> None:
        self.engine = RiskEngine(RiskSettings(**settings))
        self.findings: list[Finding] = []

    def see(self, traffic: Traffic) -> list[Finding]:
        """Show flows."""
        return self.observe(Batch(("test.pcap",), 2**62, {Kind.FLOW: traffic.rows()}))

    def read(self, kind: Kind, lines: Sequence[Mapping[str, Any]]) -> list[Finding]:
        """Show log observations; `at` is in seconds after the start, every other key is a column."""
        return self.observe(_logs(kind, lines))

    def observe(self, batch: Batch) -> list[Finding]:
        """Show a batch; what models make of it is left out: a made-up world is strange to them."""
        found = [each for each in self.engine.observe(batch) if each.evidence.detector != "ensemble"]
        self.findings += found
        return found

    def worst(self, entity: str, kind: EntityKind = EntityKind.IP) -> float:
        """Return the highest risk that an entity has had."""
        found = [each.assessment.risk for each in self.findings if each.assessment.entity == Entity(kind, entity)]
        return max(found, default=0.0)

    def reasons(self) -> set[str]:
        """Return the reasons of all findings."""
        return {finding.evidence.reason for finding in self.findings}


@pytest.fixture
def traffic() -> Traffic:
    return Traffic()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(scope="session")
def make_world() -> type[World]:
    return World


@pytest.fixture(scope="session")
def make_traffic() -> type[Traffic]:
    return Traffic


@pytest.fixture(scope="session")
def make_logs() -> Callable[[Kind, Sequence[Mapping[str, Any]]], Batch]:
    return _logs
