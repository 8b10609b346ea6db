"""Kept packets: encrypted, bounded, gone in time, and read back by other people's tools."""

import os
import shutil
import subprocess

import numpy as np
import pytest
from click.testing import CliRunner

from compliance.audit import LogReader
from compliance.keys import open_root_key
from ostiary import packet_store
from ostiary.cli import cli
from ostiary.packet_store import FILE_SPAN_NS, FOLDER, KEPT_NS, PacketStore
from ostiary.settings import Settings
from ostiary.state import AUDIT, ROOT_KEY, State
from sensors.packets.columns import PACKET
from sensors.packets.pcapng import MAGIC
from sensors.packets.sections import MOST_HEADERS, section

NOW = 1_790_000_000 * 10**9
FRAME = bytes(range(90))


def packed(count=3, *, payload=True, begin=42, link=1):
    data = np.frombuffer(FRAME, np.uint8)
    packets = np.zeros(count, PACKET)
    packets["ts"], packets["captured"], packets["wire"], packets["link"] = NOW + np.arange(count), 90, 1500, link
    packets["payload"] = begin
    return section(data, packets, payload=payload)


def store(tmp_path, most=1 << 20):
    return PacketStore(tmp_path, open_root_key(tmp_path / ROOT_KEY), most)


def test_what_is_kept_comes_back_and_is_not_plain_on_the_disk(tmp_path):
    kept = store(tmp_path)
    for at in range(3):
        kept.keep(packed(at + 1), NOW + at)
    assert b"".join(store(tmp_path).sections()) == packed(1) + packed(2) + packed(3)
    (path,) = (tmp_path / FOLDER).iterdir()
    raw = path.read_bytes()
    assert FRAME[:16] not in raw and MAGIC not in raw
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_key_reads_nothing(tmp_path):
    store(tmp_path).keep(packed(), NOW)
    (tmp_path / ROOT_KEY).unlink()
    assert list(store(tmp_path).sections()) == []


@pytest.mark.parametrize("harm", ["cut", "changed", "swapped"])
def test_harm_costs_what_it_touches(tmp_path, harm):
    kept = store(tmp_path)
    for _ in range(3):
        kept.keep(packed(2), NOW)
    (path,) = (tmp_path / FOLDER).iterdir()
    raw = path.read_bytes()
    size = (len(raw) - 8) // 3
    chunks = [raw[8 + at * size :][:size] for at in range(3)]
    harmed = {
        "cut": raw[:-5], "changed": raw[:-5] + bytes([raw[-5] ^ 1]) + raw[-4:],
        "swapped": raw[:8] + chunks[0] + chunks[2] + chunks[1],
    }[harm]  # fmt: skip
    path.write_bytes(harmed)
    assert list(kept.sections()) == [packed(2)] * (1 if harm == "swapped" else 2)


def test_it_is_bounded_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(packet_store, "MOST_OF_FILE", 2000)
    kept = store(tmp_path, 10_000)
    for at in range(100):
        kept.keep(packed(5), NOW + at)
        assert sum(path.stat().st_size for path in (tmp_path / FOLDER).iterdir()) <= 10_000
    assert len(list(kept.sections())) > 3


def test_it_is_gone_after_seven_days(tmp_path):
    kept = store(tmp_path)
    kept.keep(packed(), NOW)
    kept.keep(packed(1), NOW + FILE_SPAN_NS + 1)
    kept.keep(b"", NOW + KEPT_NS + FILE_SPAN_NS)
    assert len(list(kept.sections())) == 2
    kept.keep(b"", NOW + KEPT_NS + FILE_SPAN_NS + 61 * 10**9)
    assert list(kept.sections()) == [packed(1)]
    kept.keep(b"", NOW + 2 * KEPT_NS)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_disk_that_takes_nothing_is_counted(tmp_path):
    kept = store(tmp_path)
    (tmp_path / FOLDER).write_text("in the way")
    kept.keep(packed(), NOW)
    assert kept.lost == 1


@pytest.mark.parametrize(("begin", "length"), [(42, 42), (0, MOST_HEADERS), (200, 90)])
def test_payload_is_cut(begin, length):
    assert packed(1, payload=False, begin=begin).count(FRAME[:length]) == 1
    assert FRAME[: length + 1] not in packed(1, payload=False, begin=begin) or length == 90


def test_tshark_reads_what_is_exported(tmp_path):
    if shutil.which("tshark") is None:
        pytest.fail("no tshark") if os.environ.get("CI") else pytest.skip("no tshark: it is NOT asked")
    state, out = tmp_path / "state", tmp_path / "out.pcapng"
    with State.open(Settings(state_dir=str(state))):
        pass
    kept = store(state)
    kept.keep(packed(3), NOW)
    kept.keep(packed(2, payload=False), NOW + 9)
    arguments = ["packets", "export", str(out), "--state", str(state), "--purpose"]
    assert CliRunner().invoke(cli, [*arguments, " "]).exit_code == 2 and not out.exists()
    result = CliRunner().invoke(cli, [*arguments, "incident 12"], standalone_mode=False)
    assert result.return_value == 0, result.output
    assert out.stat().st_mode & 0o777 == 0o600
    command = [
        "tshark",
        "-n",
        "-r",
        str(out),
        "-T",
        "fields",
        "-e",
        "frame.time_epoch",
        "-e",
        "frame.cap_len",
        "-e",
        "frame.len",
    ]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    assert [line.split("\t")[1:] for line in lines if line] == [["90", "1500"]] * 3 + [["42", "1500"]] * 2
    assert lines[1].startswith("1790000000.000000001")
    log = LogReader.read(state / AUDIT)
    (entry,) = log.leaves(log.size - 1, log.size)
    assert b'"kind":"packets"' in entry and b"incident 12" in entry
    assert CliRunner().invoke(cli, [*arguments, "again"]).exit_code == 2
