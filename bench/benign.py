"""Honest traffic that the project recorded itself: kept small, played as a day, and what the shipped reference learns.

    sudo examples/record --benign --into DIR        record: fifteen minutes, root, see docs/examples.md
    python -m bench.benign DIR                      keep what the sensors read of it, and train the reference anew
    python -m bench.benign                          train the reference anew from what is kept

Kept are observations, not packets: flows, requests, questions, TLS greetings and logins of three stretches of five
minutes (a night, a day, a rush), in `examples/benign/`. A day is made of them: each hour has its stretch, drawn out
sixfold and played twice, with each flow moved by up to 0.3 s. So a day has the rhythm of the recording and 24 hours of
event time, but not the variety of a real one. Nothing here was taken from anybody's data.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from risk.reference.reference import Reference
from risk.reference.training import gather
from risk.settings import RiskSettings
from risk.windows import MODELS
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings
from sensors.values import DTYPES, TEXT_COLUMNS, Batch, Kind, Rows

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "examples" / "benign"
REFERENCE = ROOT / "risk" / "reference" / "default.npz"
PARTS = ("night", "day", "rush")
HOURS = ("night",) * 7 + ("day",) * 2 + ("rush",) * 2 + ("day",) * 3 + ("rush",) * 2 + ("day",) * 4 + ("night",) * 4
"""Which stretch each hour of a day plays."""
STRETCH, TILES = 6, 2
DAY_SHARE, VIEWS, MOST_ROWS = 5, 400, 120_000
WORLD = np.uint64(0xFFFF_C6_33_64)
"""The upper bits of 198.51.100.0/24 in its IPv6 form, less the last byte."""
SECOND = 1_000_000_000
HOUR = 3600 * SECOND
BEGIN = 1_767_225_600 * SECOND
"""The day is 1 January 2026."""
TIMES = ("ts", "first", "last")


class Recording:
    """The observations of one stretch, in event order, with the texts that they name."""

    def __init__(self, tables: dict[Kind, Rows], texts: list[str]) -> None:
        self.tables, self.texts = tables, texts

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read what `save` wrote; columns that came since are 0."""
        with np.load(path, allow_pickle=False) as kept:
            texts = bytes(kept["texts"]).decode().split("\n")
            tables = {Kind(name): _fitted(Kind(name), kept[name]) for name in kept.files if name != "texts"}
        return cls(tables, texts)

    def save(self, path: Path) -> None:
        """Write one archive without pickled objects."""
        texts = np.frombuffer("\n".join(self.texts).encode(), np.uint8)
        np.savez_compressed(path, texts=texts, **{str(kind): rows for kind, rows in self.tables.items()})

    def batch(self, begin: int, stretch: float, seed: int) -> Batch:
        """Return it drawn out and moved to `begin` (ns)."""
        zero = min(int(rows["ts"].min()) for rows in self.tables.values())
        tables = {}
        for kind, rows in self.tables.items():
            rows, moves = rows.copy(), _moves(kind, rows, seed)
            for name in (name for name in TIMES if name in (rows.dtype.names or ())):
                rows[name] = begin + ((rows[name] - zero) * stretch).astype(np.int64) + moves
            tables[kind] = rows[np.argsort(rows["ts"], kind="stable")]
        return Batch(("benign day",), begin, tables, self.texts)


def _moves(kind: Kind, rows: Rows, seed: int) -> np.ndarray:  # type: ignore[type-arg]  # int64 of the rows' shape
    """Return up to 0.3 s a row, the same for all rows of one flow."""
    if kind is not Kind.FLOW:
        return np.zeros(len(rows), np.int64)
    mixed = (rows["orig_port"].astype(np.uint64) << np.uint64(20)) ^ rows["first"].astype(np.uint64) ^ np.uint64(seed)
    return ((mixed * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(40)).astype(np.int64) * 300_000_000 // (1 << 24)


def _fitted(kind: Kind, rows: Rows) -> Rows:
    out = np.zeros(len(rows), DTYPES[kind])
    for name in rows.dtype.names or ():
        if name in (out.dtype.names or ()):
            out[name] = rows[name]
    return out


def recordings() -> dict[str, Recording]:
    """Return what is kept, by name."""
    return {part: Recording.load(KEPT / f"{part}.npz") for part in PARTS}


def day(seed: int = 1, begin: int = BEGIN) -> Iterator[Batch]:
    """Yield a day of 24 hours, a batch for each half an hour."""
    kept = recordings()
    for hour, part in enumerate(HOURS):
        for tile in range(TILES):
            yield kept[part].batch(
                begin + hour * HOUR + tile * HOUR // TILES, STRETCH, seed * 1000 + hour * TILES + tile
            )


def keep(folder: Path) -> None:
    """Read the captures and logs of a recording and keep their observations."""
    KEPT.mkdir(parents=True, exist_ok=True)
    logs = [_read(folder / name) for name in ("auth.log", "auth-files.log")]
    for part in PARTS:
        read = [_read(folder / f"{part}-{side}.pcap") for side in ("office", "edge")]
        times = [ts for tables, _ in read for ts in tables[Kind.FLOW]["ts"]]
        joined = _join([*read, *(_between(log, min(times), max(times)) for log in logs)])
        joined.save(KEPT / f"{part}.npz")
        print(part, {str(kind): len(rows) for kind, rows in joined.tables.items()})


_Read = tuple[dict[Kind, Rows], list[str]]


def _read(path: Path) -> _Read:
    now = int(path.stat().st_mtime) * SECOND  # tells the year of syslog lines
    source, texts = open_source(Input(path, path.name, SensorSettings(), now)), [""]
    parts: dict[Kind, list[Rows]] = {}
    for batch in source.batches():
        base = len(texts)
        texts += list(batch.texts)[1:]
        for kind, rows in batch.tables.items():
            rows = rows.copy()
            for name in TEXT_COLUMNS[kind]:
                rows[name] = np.where(rows[name] > 0, rows[name] + (base - 1), 0)
            parts.setdefault(kind, []).append(rows)
    return {kind: np.concatenate(rows) for kind, rows in parts.items()}, texts


def _between(read: _Read, first: int, last: int) -> _Read:
    tables, texts = read
    inside = {kind: rows[(rows["ts"] >= first) & (rows["ts"] <= last)] for kind, rows in tables.items()}
    return {kind: rows for kind, rows in inside.items() if len(rows)}, texts


def _join(read: list[_Read]) -> Recording:
    codes: dict[str, int] = {"": 0}
    parts: dict[Kind, list[Rows]] = {}
    for tables, texts in read:
        for kind, rows in tables.items():
            rows = rows.copy()
            rows["source"] = 0
            for name in TEXT_COLUMNS[kind]:
                used, places = np.unique(rows[name], return_inverse=True)
                new = [codes.setdefault(texts[code].replace("\n", " "), len(codes)) for code in used.tolist()]
                rows[name] = np.array(new, np.uint32)[places]
            parts.setdefault(kind, []).append(rows)
    tables = {kind: np.concatenate(rows) for kind, rows in parts.items()}
    tables = {kind: rows[np.argsort(rows["ts"], kind="stable")] for kind, rows in tables.items()}
    return Recording(tables, list(codes))


def views(seed: int, number: int) -> Iterator[Batch]:
    """Yield what other observers of such traffic might have seen: from empty windows, at another pace, of fewer hosts.

    Each is a part of one recording, half to thirty times as slow, of some of its hosts, where each outside address
    stands for up to sixty: the recording has one server for all the sites of the world.
    """
    dice, kept = np.random.default_rng(seed), recordings()
    for _ in range(number):
        part = kept[PARTS[dice.choice(len(PARTS), p=(0.3, 0.4, 0.3))]]
        rows = part.tables[Kind.FLOW]
        hosts = np.unique(rows["orig_lo"])
        seen = dice.choice(hosts, dice.integers(1, len(hosts) + 1), replace=False)
        span = int(rows["ts"][-1] - rows["ts"][0])
        begin = int(rows["ts"][0]) + int(dice.uniform(0, 0.7) * span)
        chosen = rows[np.isin(rows["orig_lo"], seen) & (rows["first"] >= begin)]
        if len(chosen):
            chosen = _spread(chosen, int(dice.integers(1, 61)), int(dice.integers(1 << 32)))
            pace = float(np.exp(dice.uniform(np.log(0.5), np.log(30))))
            yield Recording({Kind.FLOW: chosen}, part.texts).batch(BEGIN, pace, int(dice.integers(1 << 32)))


def _spread(rows: Rows, sites: int, seed: int) -> Rows:
    """Give each outside web server up to `sites` addresses; one client's flows keep to one for half a minute."""
    rows = rows.copy()
    outside = (rows["resp_lo"] >> np.uint64(8) == WORLD) & np.isin(rows["resp_port"], (80, 443))
    visit = (rows["first"] // (30 * SECOND)).astype(np.uint64) * np.uint64(31) + rows["orig_lo"] + np.uint64(seed)
    site = (visit * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)) % np.uint64(sites)
    rows["resp_lo"][outside] += site[outside] << np.uint64(8)
    return rows


def train() -> Reference:
    """Train the reference that ships: a day, and many shorter views, each with windows of its own."""
    settings = RiskSettings()
    rows = [gather(day(1), settings)[::DAY_SHARE]]
    rows += [gather([view], settings) for view in views(settings.seed, VIEWS)]
    joined = np.concatenate(rows)
    # In an even order, so that what is kept back to calibrate holds all kinds of view.
    joined = joined[np.random.default_rng(settings.seed).permutation(len(joined))]
    about = "recorded honest traffic of an office, its servers and their customers, as many observers might see it"
    return Reference.fit(joined[:MOST_ROWS], MODELS, about=about)


def main() -> None:
    """Keep a recording where one is named, and train the reference."""
    if len(sys.argv) > 1:
        keep(Path(sys.argv[1]))
    REFERENCE.write_bytes(train().to_bytes())
    print(f"{REFERENCE.name}: {REFERENCE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
