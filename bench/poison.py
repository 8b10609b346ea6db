"""A patient attacker who teaches the models for a day that the attack is usual: what is still found after it.

    python -m bench.poison

The day is the honest one that the project recorded (`bench.benign`). One of its hosts moves, flow by flow over 24
hours, from what it does to what the attack looks like; then the attack comes, from it and from others. Beside it the
same day without the poisoner. Four attacks: data that leaves, a sweep over ports, a sweep over hosts, a flood. Recall
is the share of attack flows with a p-value of at most 1 in 100, by the adaptive models alone and with the reference.
"""

import time

import numpy as np
from threadpoolctl import threadpool_limits

from bench.benign import day
from risk.detectors.scale import bend, unbend
from risk.ensemble import BATCH, Ensemble
from risk.reference import default_reference
from risk.settings import RiskSettings
from risk.windows import INDEX, MODELS, FlowWindows
from sensors.values import Kind

_SOURCE = ("src_starts_10", "src_starts_60", "src_starts_600")
_FAILED = dict.fromkeys(("src_failed_10", "src_failed_60", "src_failed_600"), 0.95)
ATTACKS: dict[str, dict[str, float]] = {
    "data that leaves": {
        "src_out_600": 5e8, "src_out_share": 0.99, "duration": 600, "mean_out": 1400, "bytes_ratio": 0.99,
        "port_rarity": 12,
    },
    "sweep over ports": {
        **dict(zip(_SOURCE, (80, 400, 2000), strict=True)), **_FAILED, "src_ports_10": 80, "src_ports_60": 400,
        "src_ports_600": 2000, "src_distinct_ports": 1500, "failed": 1, "new_port": 1, "port_rarity": 15,
    },
    "sweep over hosts": {
        **dict(zip(_SOURCE, (60, 300, 900), strict=True)), **_FAILED, "src_peers_10": 60, "src_peers_60": 300,
        "src_peers_600": 900, "src_distinct_peers": 800, "new_pair": 1, "new_dst": 1, "failed": 1,
    },
    "flood": {
        **dict(zip(_SOURCE, (4000, 20000, 90000), strict=True)), "ch_starts_10": 4000, "ch_count_600": 90000,
        "dst_starts_10": 4000, "dst_starts_60": 20000, "ch_gap": 0.5,
    },
}  # fmt: skip


def features() -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]  # float64 (flows, MODELS), uint64 (flows)
    """Return the features of the honest day's flows, and whose they are."""
    windows, rows, keys = FlowWindows(RiskSettings()), [], []
    for batch in day():
        if Kind.FLOW in batch.tables:
            view = windows.advance(batch.tables[Kind.FLOW], batch.sources)
            rows.append(view.matrix[view.ended][:, [INDEX[name] for name in MODELS]].astype(np.float64))
            keys.append(view.keys[view.ended])
    return np.concatenate(rows), np.concatenate(keys)


def live(rows: np.ndarray, keys: np.ndarray) -> Ensemble:  # type: ignore[type-arg]
    """Return models that learnt the rows."""
    ensemble = Ensemble(MODELS, 1, default_reference())
    for at in range(0, len(rows), BATCH):
        part = rows[at : at + BATCH]
        ensemble.learn_many(part, ensemble.score_many(part), keys[at : at + BATCH])
    return ensemble


def attack(honest: np.ndarray, change: dict[str, float], seed: int) -> np.ndarray:  # type: ignore[type-arg]
    """Return attack flows: honest ones with the named features near what the attack makes of them."""
    dice = np.random.default_rng(seed)
    rows = honest[dice.integers(0, len(honest), 500)].copy()
    for name, value in change.items():
        rows[:, MODELS.index(name)] = value if value <= 1 else value * dice.uniform(0.7, 1.4, len(rows))
    return rows


def poisoned(rows: np.ndarray, keys: np.ndarray, change: dict[str, float], who: int) -> np.ndarray:  # type: ignore[type-arg]
    """Return the day in which one host moves towards the attack."""
    out, mine = rows.copy(), np.flatnonzero(keys == who)
    share = np.linspace(0, 1, len(mine))[:, None]
    target = attack(rows, change, 7)[np.arange(len(mine)) % 500]
    out[mine] = unbend(bend(rows[mine]) * (1 - share) + bend(target) * share)
    return out


def main() -> None:
    """Print recall before and after."""
    threadpool_limits(1)
    begin = time.process_time()
    rows, keys = features()
    hosts, sizes = np.unique(keys, return_counts=True)
    who = hosts[np.argsort(sizes)[len(sizes) // 2]]
    honest = live(rows, keys)
    print(f"{len(rows):,} flows of {len(hosts)} hosts; the poisoner gives {(keys == who).mean():.1%} of them")
    print(f"{'attack':<20} {'models: before':>15} {'after':>7}   {'with reference: before':>22} {'after':>7}")
    for name, change in ATTACKS.items():
        asked = attack(rows, change, 3)
        after = live(poisoned(rows, keys, change, who), keys)
        one, other = honest.score_many(asked), after.score_many(asked)
        cells = [float((p <= 0.01).mean()) for p in (one.adaptive, other.adaptive, one.p_value, other.p_value)]
        print(f"{name:<20} {cells[0]:15.3f} {cells[1]:7.3f}   {cells[2]:22.3f} {cells[3]:7.3f}")
    print(f"{time.process_time() - begin:.0f} s of CPU time")


if __name__ == "__main__":
    main()
