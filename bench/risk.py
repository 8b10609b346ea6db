"""What the risk core costs, beside river's HalfSpaceTrees alone on the same rows; each part and the whole.

    python -m bench.risk [FLOWS]

The stream is made here: ordinary clients of a few services and a scanner. Compilation is measured apart. Everything
runs on one core; each figure is the best of three runs, by the CPU time of the process.
"""

import io
import os
import platform
import resource
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from river.anomaly import HalfSpaceTrees
from threadpoolctl import threadpool_limits

from risk.detectors.scale import Scale, unit
from risk.engine import RiskEngine
from risk.ensemble import BATCH as LEARN
from risk.ensemble import Ensemble
from risk.reference import default_reference
from risk.settings import RiskSettings
from risk.windows import INDEX, MODELS, FlowWindows
from sensors.packets.capture import CaptureSource
from sensors.settings import SensorSettings
from sensors.values import (
    AUTH,
    DNS,
    FLOW,
    HTTP,
    AuthOutcome,
    Batch,
    ConnState,
    Entity,
    EntityKind,
    FlowEvent,
    Kind,
    Rows,
)

START = 1_700_000_000_000_000_000
BATCH = 8192
V4 = 0xFFFF00000000


def stream(number: int, seed: int = 1) -> Rows:
    """Return `number` flow rows: begins and ends of flows at about 2,000 a second."""
    dice = np.random.default_rng(seed)
    rows = np.zeros(number, FLOW)
    rows["ts"] = START + np.sort(dice.integers(0, number // 2, number)) * 1_000_000
    rows["seq"] = np.arange(1, number + 1)
    rows["orig_lo"] = V4 | 0x0A000000 + dice.zipf(1.3, number) % 5000
    rows["resp_lo"] = V4 | 0xC0000200 + dice.zipf(1.5, number) % 250
    rows["orig_port"], rows["proto"] = dice.integers(1024, 65535, number), 6
    rows["resp_port"] = dice.choice([443, 80, 53, 22, 25, 8080], number, p=[0.6, 0.2, 0.1, 0.02, 0.03, 0.05])
    scanner = dice.random(number) < 0.02
    rows["orig_lo"][scanner] = V4 | 0x0A00FFFE
    rows["resp_port"][scanner] = dice.integers(1, 65535, scanner.sum())
    ends = dice.random(number) < 0.5
    rows["event"] = np.where(ends, FlowEvent.END, FlowEvent.START)
    rows["state"] = np.where(ends, np.where(scanner, ConnState.REJ, ConnState.SF), ConnState.OTH)
    rows["orig_flags"] = np.where(ends, 27, 2)
    rows["orig_bytes"] = rows["new_orig_bytes"] = np.where(ends & ~scanner, dice.integers(100, 5000, number), 0)
    rows["resp_bytes"] = rows["new_resp_bytes"] = np.where(ends & ~scanner, dice.integers(100, 500_000, number), 0)
    rows["orig_packets"] = rows["new_orig_packets"] = rows["resp_packets"] = rows["new_resp_packets"] = 5
    rows["first"] = rows["last"] = rows["ts"]
    return rows


def best(measure: Callable[[], float], runs: int = 3) -> float:
    """Return the fastest of a few runs, in things a second."""
    return max(measure() for _ in range(runs))


def timed(number: int, work: Callable[[], object]) -> float:
    """Return how many things a second a piece of work does."""
    begin = time.process_time()
    work()
    return number / (time.process_time() - begin)


def engine_over(rows: Rows, settings: RiskSettings | None = None) -> RiskEngine:
    """Take rows through the whole engine."""
    engine = RiskEngine(settings or RiskSettings())
    for at in range(0, len(rows), BATCH):
        engine.observe(Batch(("bench",), 2**62, {Kind.FLOW: rows[at : at + BATCH]}))
    return engine


def features_of(rows: Rows) -> np.ndarray:  # type: ignore[type-arg]  # float64 (flows, MODELS)
    """Return the features of the flows that ended."""
    view = FlowWindows(RiskSettings()).advance(rows, ("bench",))
    return view.matrix[view.ended][:, [INDEX[name] for name in MODELS]].astype(np.float64)


def models_rate(features: np.ndarray) -> float:  # type: ignore[type-arg]
    """Return flows a second through all models, the reference, calibration and fusion: scored and learnt."""
    ensemble = Ensemble(MODELS, 1, default_reference())
    keys = np.arange(len(features), dtype=np.uint64) % np.uint64(500)

    def work() -> None:
        for at in range(0, len(features), LEARN):
            part = features[at : at + LEARN]
            ensemble.learn_many(part, ensemble.score_many(part), keys[at : at + LEARN])

    return timed(len(features), work)


def whole_rate(rows: Rows) -> float:
    """Return flows a second through windows, all models and fusion, without behaviours and ledger."""
    ensemble, windows = Ensemble(MODELS, 1, default_reference()), FlowWindows(RiskSettings())
    columns = [INDEX[name] for name in MODELS]

    def work() -> None:
        for at in range(0, len(rows), BATCH):
            view = windows.advance(rows[at : at + BATCH], ("bench",))
            features, keys = view.matrix[view.ended][:, columns].astype(np.float64), view.keys[view.ended]
            for start in range(0, len(features), LEARN):
                part = features[start : start + LEARN]
                ensemble.learn_many(part, ensemble.score_many(part), keys[start : start + LEARN])

    return timed(int((rows["event"] & FlowEvent.END != 0).sum()), work)


def river_rate(features: np.ndarray) -> float:  # type: ignore[type-arg]
    """Return flows a second when river's trees score and learn each one by one, features given as it wants them."""
    scale = Scale(MODELS)
    scale.learn_many(features)
    named = [dict(zip(MODELS, row, strict=True)) for row in unit(scale.standardise(features)).tolist()]
    trees = HalfSpaceTrees(n_trees=20, height=8, window_size=256, seed=1)

    def work() -> None:
        for row in named:
            trees.score_one(row)
            trees.learn_one(row)

    return timed(len(named), work)


def packets(number: int) -> bytes:
    """Return a capture of TCP conversations of twelve packets each, as classic pcap."""
    out = io.BytesIO()
    out.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
    ethernet, payload = bytes.fromhex("0200000000020200000000010800"), b"x" * 400
    flags = (2, 18, 16, 24, 24, 16, 24, 24, 16, 17, 17, 16)
    for at in range(number):
        flow, step = divmod(at, len(flags))
        back = step in (1, 4, 7, 10)
        client, server = 0x0A000000 | flow % 4000, 0xC0000200 | flow % 40
        ends, ports = (client, server), (1024 + flow % 60000, 443)
        if back:
            ends, ports = ends[::-1], ports[::-1]
        data = payload if flags[step] == 24 else b""
        tcp = struct.pack(">HHIIBBHHH", *ports, step * 400, step * 400, 0x50, flags[step], 8192, 0, 0) + data
        ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(tcp), 1, 0, 64, 6, 0, *ends)
        frame = ethernet + ip + tcp
        seconds, micros = divmod(at * 20, 1_000_000)
        out.write(struct.pack("<IIII", 1_700_000_000 + seconds, micros, len(frame), len(frame)) + frame)
    return out.getvalue()


def capture_rate(capture: bytes, number: int) -> float:
    """Return packets a second from a capture to assessments."""
    engine = RiskEngine(RiskSettings())

    def work() -> None:
        for batch in CaptureSource.from_stream(io.BytesIO(capture), "bench", SensorSettings()).batches():
            engine.observe(batch)

    return timed(number, work)


def log_rate(number: int) -> float:
    """Return log observations a second to assessments: logins, requests and questions, a third each."""
    batches = [_log_batch(at, min(BATCH, number - at)) for at in range(0, number, BATCH)]
    engine = RiskEngine(RiskSettings())
    return timed(number, lambda: [engine.observe(batch) for batch in batches])


def _log_batch(begin: int, number: int) -> Batch:
    dice, texts, tables = np.random.default_rng(begin), [""], {}
    places = {}

    def text(value: str) -> int:
        if value not in places:
            places[value] = len(texts)
            texts.append(value)
        return places[value]

    for kind, dtype in ((Kind.AUTH, AUTH), (Kind.HTTP, HTTP), (Kind.DNS, DNS)):
        rows = np.zeros(number // 3, dtype)
        rows["ts"] = START + (begin + np.arange(len(rows)) * 3) * 1_000_000
        rows["seq"] = begin + np.arange(1, len(rows) + 1)
        rows["orig"] = [text(f"10.0.{each // 250}.{each % 250}") for each in dice.integers(0, 2000, len(rows)).tolist()]
        if kind is Kind.AUTH:
            rows["user"] = [text(f"user{each}") for each in dice.integers(0, 300, len(rows)).tolist()]
            rows["outcome"], rows["count"] = AuthOutcome.SUCCESS, 1
        elif kind is Kind.HTTP:
            rows["path"] = [text(f"/shop/item/{each}") for each in dice.integers(0, 800, len(rows)).tolist()]
            rows["method"], rows["status"], rows["bytes"] = text("GET"), 200, dice.integers(100, 90000, len(rows))
        else:
            rows["query"] = [text(f"www{each}.example.com") for each in dice.integers(0, 600, len(rows)).tolist()]
            rows["qtype"], rows["answers"] = 1, 1
        tables[kind] = rows
    return Batch(("bench.log",), 2**62, tables, texts)


def crowd(entities: int) -> tuple[float, float]:
    """Return MiB of memory after so many sources, and after twice as many more, with tables for so many."""
    windows, found = FlowWindows(RiskSettings(max_entities=entities)), []
    begin = _memory()
    rows = stream(1 << 16)
    for turn in range(3 * entities // len(rows)):
        rows["orig_lo"] = V4 | (0x0B000000 + turn * len(rows) + np.arange(len(rows)))
        rows["resp_lo"] = V4 | (0x30000000 + turn * len(rows) + np.arange(len(rows)))
        rows["ts"] += 40_000_000_000
        windows.advance(rows, ("bench",))
        if (turn + 1) * len(rows) >= entities * (1 + 2 * len(found)):
            found.append(_memory() - begin)
    return found[0], _memory() - begin


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / (1 << 20)


def main() -> None:
    """Print the figures and the machine."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    threadpool_limits(1)
    begin = time.process_time()
    engine_over(stream(2000))
    print(f"start-up and compilation (or loading from the cache): {time.process_time() - begin:.2f} s")
    rows = stream(2 * number)
    features = features_of(rows)
    trees = best(lambda: river_rate(features[:5000]))
    windows = best(lambda: timed(len(rows), lambda: [
        FlowWindows(RiskSettings()).advance(rows[at : at + BATCH], ("bench",)) for at in range(0, len(rows), BATCH)
    ]))  # fmt: skip
    models, whole = best(lambda: models_rate(features)), best(lambda: whole_rate(rows))
    everything = best(lambda: timed(len(features), lambda: engine_over(rows)), 2)
    print(f"windows alone                            {windows:12,.0f} rows/s")
    print(f"all models and fusion, features given    {models:12,.0f} flows/s")
    print(f"windows, all models and fusion           {whole:12,.0f} flows/s")
    print(f"the whole engine, behaviours and ledger  {everything:12,.0f} flows/s")
    print(f"river HalfSpaceTrees, one by one         {trees:12,.0f} flows/s")
    print(f"  windows, models and fusion / river     {whole / trees:12,.0f} times")
    capture = packets(240_000)
    print(f"capture to assessments                   {best(lambda: capture_rate(capture, 240_000)):12,.0f} packets/s")
    print(f"log observations to assessments          {best(lambda: log_rate(120_000)):12,.0f} lines/s")
    engine = engine_over(stream(50_000))
    entity, at = Entity(EntityKind.IP, "10.0.255.254"), int(rows["ts"][-1])
    assert engine.risk(entity, START) > 0
    read = timed(20_000, lambda: [engine.risk(entity, at) for _ in range(20_000)])
    print(f"risk of an entity read                   {1e6 / read:12.2f} us")
    full, later = crowd(1_000_000)
    print(f"windows of 1,000,000 entities            {full:12,.0f} MiB; after 3,000,000 {later:,.0f} MiB")
    print(f"{number:,} flows; {platform.processor() or platform.machine()}, Python {platform.python_version()}, "
          f"numpy {np.__version__}; one core; best of three")  # fmt: skip


if __name__ == "__main__":
    main()
