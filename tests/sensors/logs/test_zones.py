"""Local time to UTC, only for lines that don't tell their zone."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sensors.errors import UnknownZoneError
from sensors.logs.source import LogSource
from sensors.logs.zones import Zone
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings
from sensors.values import Kind

NOW = 1_795_600_000_000_000_000


def read(tmp_path: Path, zone: str, *lines: str) -> tuple[list[str], LogSource]:
    path = tmp_path / "x.log"
    path.write_text("".join(f"{line} gate sshd[{n}]: Failed password for root from 203.0.113.9 port 4 ssh2\n"
                            for n, line in enumerate(lines)))  # fmt: skip
    source = open_source(Input(path, "x", SensorSettings(), NOW, zone=zone), "auth")
    assert isinstance(source, LogSource)
    rows = [row for batch in source.batches() for row in batch.tables[Kind.AUTH]]
    found = sorted((int(row["seq"]), int(row["ts"])) for row in rows)
    return [datetime.fromtimestamp(ts / 1e9, UTC).strftime("%m-%d %H:%M") for _, ts in found], source


def test_stamps_without_a_zone_are_local_and_others_mean_what_they_say(tmp_path: Path) -> None:
    found, source = read(
        tmp_path, "Europe/Vienna", "Jul  1 12:00:00", "Nov  4 12:00:00", "2026-11-04T12:00:00+02:00",
        "2026-11-04T12:00:00Z", "2026-11-04 12:00:00",
    )  # fmt: skip
    assert found == ["07-01 10:00", "11-04 11:00", "11-04 10:00", "11-04 12:00", "11-04 11:00"]
    assert source.counters.malformed == 0


def test_the_hour_that_comes_twice_and_the_one_that_never_comes(tmp_path: Path) -> None:
    found, _ = read(tmp_path, "Europe/Vienna", "2026-03-29 01:30:00", "2026-03-29 02:30:00", "2026-10-25 02:30:00")
    assert found == ["03-29 00:30", "03-29 01:30", "10-25 00:30"]


def test_late_lines_are_told_in_utc(tmp_path: Path) -> None:
    _, source = read(tmp_path, "Asia/Kolkata", "Nov  4 12:00:00", "Nov  4 12:00:01", "2026-11-04T06:30:02Z")
    assert source.counters.late == 0


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "Europe"])
def test_a_zone_that_is_none_says_so(name: str) -> None:
    with pytest.raises(UnknownZoneError):
        Zone(name)
