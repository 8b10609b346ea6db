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

    def batch(self, begin: int, stretch: int, seed: int) -> Batch:
        """Return it drawn out and moved to `begin` (ns)."""
        zero = min(int(rows["ts"].min()) for rows in self.tables.values())
        tables = {}
        for kind, rows in self.tables.items():
            rows = rows.copy()
            for name in (name for name in TIMES if name in (rows.dtype.names or ())):
                rows[name] = begin + (rows[name] - zero) * stretch + _moves(kind, rows, seed)
            rows = rows[np.argsort(rows["ts"], kind="stable")]
            tables[kind] = rows
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


def train() -> Reference:
    """Train the reference that ships: two days, so that the second has no empty windows."""
    rows = gather(
        (batch for number in range(2) for batch in day(number + 1, BEGIN + number * 24 * HOUR)), RiskSettings()
    )
    about = "a made day of recorded honest traffic: an office, its servers and their customers, at three rates"
    # An even choice keeps the archive small and the three rates in their shares.
    return Reference.fit(rows[:: max(len(rows) // 60_000, 1)], MODELS, about=about)


def main() -> None:
    """Keep a recording where one is named, and train the reference."""
    if len(sys.argv) > 1:
        keep(Path(sys.argv[1]))
    REFERENCE.write_bytes(train().to_bytes())
    print(f"{REFERENCE.name}: {REFERENCE.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
