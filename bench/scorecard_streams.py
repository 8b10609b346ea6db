"""Streams of flows with known truth, for the score card: the recorded examples, the honest day, labelled captures.

Truth is used to label rows and to choose them, never as a feature: the models see the columns of `MODELS`, which hold
no address and no port. A flow is an attack where an attacker, or a host that turned, takes part in it from the first
packet of its attack on.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.benign import BEGIN, HOUR, ROOT, SECOND, day
from bench.scorecard_metrics import Labels
from bench.scorecard_models import Matrix
from risk.reference.training import COLUMNS
from risk.settings import RiskSettings
from risk.windows import FlowWindows
from sensors.addresses import address_halves
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings
from sensors.values import FLOW, Batch, ConnState, FlowEvent, Kind, Rows

EXAMPLES = ROOT / "examples"
ENDS = ("orig_hi", "orig_lo", "resp_hi", "resp_lo")
COPIES = 6
"""How often each recorded attack is played within the day."""


@dataclass(frozen=True, slots=True)
class Flows:
    """Finished flows in order of time, as the models see them."""

    rows: Matrix
    labels: Labels
    stamps: NDArray[np.int64]
    keys: NDArray[np.uint64]
    kinds: NDArray[np.str_]
    """The kind of attack; "" for none."""
    ends: NDArray[np.uint64]
    """The halves of both addresses, by which truth is found; no model sees them."""

    def pick(self, chosen: Any) -> "Flows":  # an index array or mask
        """Return some of them."""
        return Flows(*(getattr(self, each.name)[chosen] for each in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence["Flows"]) -> "Flows":
        """Return several, one after the other."""
        return cls(*(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)))


def read(path: Path) -> Iterator[Batch]:
    """Yield the batches of a file."""
    return open_source(Input(path, path.name, SensorSettings(), int(path.stat().st_mtime) * SECOND)).batches()


def flows_of(batches: Iterable[Batch], guilty: Mapping[tuple[int, int], tuple[int, str]]) -> Flows:
    """Return the finished flows of a stream; `guilty`: address -> (since when, ns; kind of attack)."""
    windows = FlowWindows(RiskSettings())
    parts: list[Flows] = []
    for batch in batches:
        rows = batch.tables.get(Kind.FLOW)
        if rows is None or not len(rows):
            continue
        view = windows.advance(rows, batch.sources)
        ended = view.rows[view.ended]
        kinds = np.array([_kind(row, guilty) for row in ended] if guilty else [""] * len(ended), "U24")
        features = np.asarray(view.matrix[view.ended][:, COLUMNS], np.float64)
        ends = np.column_stack([ended[name] for name in ENDS])
        parts.append(Flows(features, (kinds != "").astype(np.int8), ended["ts"], view.keys[view.ended], kinds, ends))
    return Flows.joined(parts)


def _kind(row: Any, guilty: Mapping[tuple[int, int], tuple[int, str]]) -> str:  # a row of FLOW
    for side in ("orig", "resp"):
        since, kind = guilty.get((int(row[f"{side}_hi"]), int(row[f"{side}_lo"])), (0, ""))
        if kind and int(row["ts"]) >= since:
            return kind
    return ""


def truth_of(name: str) -> dict[tuple[int, int], tuple[int, str]]:
    """Return who attacks in a recorded example, since when, and how."""
    files = json.loads((EXAMPLES / "truth.json").read_text(encoding="utf-8"))["files"]
    truth = next(file["truth"] for file in files if file["path"] == name)
    return {
        address_halves(attack["entity"]): (int(attack["first_ts"] * SECOND), attack["kind"])
        for attack in truth["attacks"]
    }


def recorded_attacks() -> Flows:
    """Return the flows of both recorded examples with attacks, the one after the other in order of time."""
    names = ("captures/edge.pcap", "captures/insider.pcap")
    joined = Flows.joined([flows_of(read(EXAMPLES / name), truth_of(name)) for name in names])
    return joined.pick(np.argsort(joined.stamps, kind="stable"))


def attacked_day(seed: int) -> Flows:
    """Return the honest day with each recorded attack from outside played `COPIES` times, each time by another host."""
    dice = np.random.default_rng(seed)
    extra, guilty = [], {}
    for kind, rows in _attacks():
        for _ in range(COPIES):
            other = address_halves(f"192.0.{dice.integers(2, 250)}.{dice.integers(1, 254)}")
            extra.append(_played(rows, other, BEGIN + int(dice.integers(0, 23 * HOUR))))
            guilty[other] = (0, kind)
    attacks = np.concatenate(extra)
    return flows_of((_with(batch, attacks) for batch in day(seed)), guilty)


def _attacks() -> Iterator[tuple[str, Rows]]:
    name = "captures/edge.pcap"
    rows = np.concatenate([batch.tables[Kind.FLOW] for batch in read(EXAMPLES / name) if Kind.FLOW in batch.tables])
    for address, (_, kind) in truth_of(name).items():
        yield kind, rows[(rows["orig_hi"] == address[0]) & (rows["orig_lo"] == address[1])]


def _played(rows: Rows, other: tuple[int, int], begin: int) -> Rows:
    rows = rows.copy()
    moved = begin - int(rows["ts"].min())
    for name in ("ts", "first", "last"):
        rows[name] += moved
    rows["orig_hi"], rows["orig_lo"] = other
    return rows


def _with(batch: Batch, attacks: Rows) -> Batch:
    own = batch.tables[Kind.FLOW]
    inside = attacks[(attacks["ts"] >= batch.watermark) & (attacks["ts"] < batch.watermark + HOUR // 2)]
    both = np.concatenate((own, inside))
    return Batch(batch.sources, batch.watermark, {Kind.FLOW: both[np.argsort(both["ts"], kind="stable")]}, batch.texts)


def sweep(begin: int, seconds: float, peers: int, address: str, net: int) -> Rows:
    """Return a made sweep: one host tries a port of `peers` hosts, all of which refuse, spread over the seconds."""
    rows = np.zeros(2 * peers, FLOW)
    times = begin + (np.arange(peers) * (seconds / peers) * SECOND).astype(np.int64)
    rows["ts"] = np.repeat(times, 2) + np.tile([0, 1_000_000], peers)
    rows["first"] = np.repeat(times, 2)
    rows["last"] = rows["ts"]
    rows["seq"] = np.arange(1, len(rows) + 1)
    rows["event"] = np.tile([FlowEvent.START, FlowEvent.END], peers)
    rows["orig_hi"], rows["orig_lo"] = address_halves(address)
    rows["resp_lo"] = np.repeat(address_halves(f"10.{net}.0.0")[1] + np.arange(peers), 2)
    rows["orig_port"], rows["resp_port"], rows["proto"] = 40_000, 445, 6
    rows["state"] = np.tile([ConnState.OTH, ConnState.REJ], peers)
    rows["orig_flags"], rows["resp_flags"] = 2, np.tile([0, 20], peers)
    rows["orig_packets"] = rows["new_orig_packets"] = 1
    rows["resp_packets"] = rows["new_resp_packets"] = np.tile([0, 1], peers)
    return rows


def poisoned_day(seed: int, poison: bool) -> tuple[Flows, int]:
    """Return a day at whose end a host sweeps; with poison it sweeps ever more all day long. Beside it, since when."""
    guilty_host = "10.20.0.77"
    parts = [sweep(BEGIN + 23 * HOUR + HOUR // 4, 600, 600, guilty_host, 99)]
    if poison:
        for quarter in range(92):
            # From two hosts a quarter of an hour to two hundred, doubling about every three and a half hours.
            peers = int(2 * 100 ** (quarter / 91))
            parts.append(sweep(BEGIN + quarter * HOUR // 4, 800, peers, guilty_host, quarter))
    else:
        parts.append(sweep(BEGIN, 800, 2, guilty_host, 0))
    rows = np.concatenate(parts)
    since = int(parts[0]["ts"][0])
    found = flows_of((_with(batch, rows) for batch in day(seed)), {address_halves(guilty_host): (since, "sweep")})
    return found, since
