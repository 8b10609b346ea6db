"""Logs are known by their shape before anything of interest is in them, and formats with a head by that."""

from pathlib import Path

import pytest

from sensors.logs.builder import BatchBuilder
from sensors.logs.source import LogSource
from sensors.registry import Input, open_source, recognise
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
    assert isinstance(source, LogSource) and source.feed is not None
    source.feed.close()
    assert source.parser.parse(line, 1, out)
    assert len(out.event_times()) == 1


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (
            b"2026-11-04 10:00:05 1abcde-000001-00 <= carol@example.org H=mail.example.org [198.51.100.4] P=esmtps",
            "exim",
        ),
        (b"2026-11-04 10:00:11 UTC [504] carol@shop ERROR:  relation x does not exist at character 15", "postgresql"),
        (b"[2026-11-04 10:00:08.219][vaultwarden::x][INFO] Rocket has launched from http://0.0.0.0:80", "vaultwarden"),
        (b"04-Nov-2026 10:00:20.425 queries: info: client @0x7f65 198.51.100.6#3077 (example.org): query", "named"),
    ],
)
def test_a_service_s_log_without_news_is_known_by_its_shape(line: bytes, name: str, tmp_path: Path) -> None:
    path = tmp_path / "unnamed"
    path.write_bytes(b"\n".join([line] * 5) + b"\n")
    assert recognise(path).name == "applications", name


@pytest.mark.parametrize(
    "line",
    [
        b"2026-11-04T10:00:05.123456+01:00 host1 CRON[71]: pam_unix(cron:session): session opened for user root",
        b"Nov  4 10:00:05 host1 systemd[1]: Started something.",
        b"<38>1 2026-11-04T10:00:05Z host1 systemd 1 - - Started something.",
    ],
)
def test_syslog_without_news_is_syslog(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "unnamed"
    path.write_bytes(b"\n".join([line] * 5) + b"\n")
    assert recognise(path).name == "auth"
