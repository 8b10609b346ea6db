"""Flow files that nfdump wrote, whole and damaged."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors.errors import UnreadableInputError
from sensors.formats import nfcapd
from sensors.registry import Input
from sensors.settings import SensorSettings
from sensors.values import Kind

VECTORS = Path(__file__).parents[2] / "vectors" / "netflow"
ROWS, PACKETS, BYTES = 60, 732, 187_241


def read(path):
    source = nfcapd.FORMAT.open(Input(path, path.name, SensorSettings(), 0))
    rows = [batch.tables[Kind.FLOW] for batch in source.batches() if Kind.FLOW in batch.tables]
    counters = source.counters
    assert counters.read == counters.parsed + counters.malformed + counters.ignored
    return (np.concatenate(rows) if rows else []), counters


@pytest.mark.parametrize("name", ["plain.nfcapd", "bzip2.nfcapd"])
def test_files_of_nfdump(name):
    head = (VECTORS / name).read_bytes()[:8192]
    assert nfcapd.FORMAT.recognise(head, "x") == 95
    rows, counters = read(VECTORS / name)
    total = [int(sum(rows[f"new_{side}_packets"].sum() for side in ("orig", "resp")))]
    assert (len(rows), *total, counters.parsed, counters.malformed) == (ROWS, PACKETS, 2 * ROWS, 0)
    assert int(rows["orig_ip_bytes"].sum() + rows["resp_ip_bytes"].sum()) == BYTES
    assert set(rows["resp_port"].tolist()) == {80}


def test_a_file_that_is_cut_keeps_what_came_before(tmp_path):
    data = (VECTORS / "plain.nfcapd").read_bytes()
    path = tmp_path / "cut"
    path.write_bytes(data[:4000])
    rows, counters = read(path)
    assert counters.malformed and len(rows) and counters.faults[0].code == "nfcapd.block"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ((VECTORS / "lzo.nfcapd").read_bytes(), "LZO"),
        (b"\x0c\xa5\x01\x00" + bytes(300), "1.6"),
        (b"\x0c\xa5\x02\x00", "not a flow file"),
        (b"\x0c\xa5\x02\x00" + bytes(12) + b"\x00\x01" + bytes(40), "encrypted"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, data, why):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(UnreadableInputError, match=why):
        read(path)


def test_a_block_of_a_size_that_makes_no_sense(tmp_path):
    path = tmp_path / "file"
    path.write_bytes((VECTORS / "plain.nfcapd").read_bytes()[:40] + struct.pack("<IIHH", 1, 0xFFFFFFF0, 3, 0))
    assert read(path)[1].malformed == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_files_never_raise(tmp_path, data):
    damaged = bytearray((VECTORS / data.draw(st.sampled_from(["plain.nfcapd", "bzip2.nfcapd"]))).read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        damaged[data.draw(st.integers(40, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged"
    path.write_bytes(damaged[: data.draw(st.integers(40, len(damaged)))])
    rows, _ = read(path)
    assert all(int(row["first"]) <= int(row["last"]) for row in rows)
