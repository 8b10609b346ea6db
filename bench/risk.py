"""Flow rows a second through windows, behaviours and models, beside river's HalfSpaceTrees alone on the same rows.

    python -m bench.risk [ROWS]

The stream is made here: ordinary clients of a few services, one scanner and one password guesser. Compilation is
measured apart. Everything runs on one core.
"""

import platform
import sys
import time

import numpy as np
from river.anomaly import HalfSpaceTrees

from risk.detectors.source_trees import COLUMNS, NAMES, scaled
from risk.engine import RiskEngine
from risk.settings import RiskSettings
from risk.windows import FlowWindows
from sensors.values import FLOW, Batch, ConnState, FlowEvent, Kind, Rows

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


def engine_rate(rows: Rows) -> tuple[float, dict[str, int]]:
    """Return rows a second through the whole engine, and its counts."""
    engine = RiskEngine(RiskSettings())
    begin = time.perf_counter()
    for at in range(0, len(rows), BATCH):
        engine.observe(Batch(("bench",), 2**62, {Kind.FLOW: rows[at : at + BATCH]}))
    return len(rows) / (time.perf_counter() - begin), dict(engine.counts())


def windows_rate(rows: Rows) -> float:
    """Return rows a second through the windows alone."""
    windows = FlowWindows(RiskSettings())
    begin = time.perf_counter()
    for at in range(0, len(rows), BATCH):
        windows.advance(rows[at : at + BATCH], ("bench",))
    return len(rows) / (time.perf_counter() - begin)


def river_rate(rows: Rows) -> float:
    """Return rows a second when river's trees score and learn each row one by one, features given."""
    matrix = FlowWindows(RiskSettings()).advance(rows, ("bench",)).matrix[:, list(COLUMNS)]
    named = [dict(zip(NAMES, scaled(row), strict=True)) for row in matrix.tolist()]
    trees = HalfSpaceTrees(n_trees=10, height=8, window_size=256, seed=1)
    begin = time.perf_counter()
    for row in named:
        trees.score_one(row)
        trees.learn_one(row)
    return len(rows) / (time.perf_counter() - begin)


def main() -> None:
    """Print the figures and the machine."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    begin = time.perf_counter()
    engine_rate(stream(1000))
    print(f"start-up and compilation (or loading from the cache): {time.perf_counter() - begin:.2f} s")
    rows = stream(number)
    whole, counts = engine_rate(rows)
    alone, trees = windows_rate(rows), river_rate(rows[:20_000])
    engine = RiskEngine(RiskSettings())
    found = engine.observe(Batch(("bench",), 2**62, {Kind.FLOW: rows[:100_000]}))
    entity, at = found[-1].evidence.entity, int(rows["ts"][-1])
    begin = time.perf_counter()
    for _ in range(10_000):
        engine.assess(entity, at)
    read = (time.perf_counter() - begin) / 10_000
    print(f"windows alone                       {alone:12,.0f} rows/s")
    print(f"windows, behaviours, models, ledger {whole:12,.0f} rows/s")
    print(f"river HalfSpaceTrees, row by row    {trees:12,.0f} rows/s  (ratio {whole / trees:.0f})")
    print(f"risk of an entity read              {read * 1e6:12.2f} us")
    print(f"{number:,} rows; {counts['anomaly_scored']:,} of them seen by the models; evidence "
          f"{sum(value for name, value in counts.items() if name.startswith('evidence_'))}")  # fmt: skip
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
