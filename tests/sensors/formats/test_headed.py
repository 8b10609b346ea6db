"""Formats whose first line names the columns know them as well when a file is followed from its end."""

from pathlib import Path

import pytest

from sensors.logs.builder import BatchBuilder
from sensors.logs.source import LogSource
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings

VECTORS = Path(__file__).parents[2] / "vectors" / "logs"
NOW = 1_795_600_000_000_000_000


@pytest.mark.parametrize(
    ("vector", "line"),
    [
        ("w3c/cloudfront.log", b"2026-11-04\t10:00:09\tFRA2\t1\t203.0.113.9\tGET\th\t/\t200\t-\t-\t-"),
        ("vpcflow/custom.log", b"203.0.113.9 192.0.2.1 49761 22 6 1 40 1793786400 1793786401 REJECT 2"),
        ("binetflow/argus.log", b"2026/11/04 10:00:01,1.0,tcp,192.0.2.1,1,->,192.0.2.2,2,S_,0,0,1,60,60,"),
    ],
)
def test_a_followed_file_s_head_counts(vector: str, line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "followed.log"
    path.write_bytes((VECTORS / vector).read_bytes())
    source = open_source(Input(path, path.name, SensorSettings(), NOW, follow=True))
    out = BatchBuilder(NOW)
    assert isinstance(source, LogSource) and source.parser.parse(line, 1, out)
    assert len(out.event_times()) == 1
