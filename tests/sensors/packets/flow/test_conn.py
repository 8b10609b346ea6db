"""Flow records: what is written is read back by the Zeek format as the same flow."""

import json

import numpy as np
import pytest

from sensors.packets.flow.conn import records
from sensors.registry import Input, open_source
from sensors.settings import SensorSettings
from sensors.values import Kind

A, B = "10.0.0.1", "10.0.0.2"
SAME = """orig_hi orig_lo resp_hi resp_lo orig_port resp_port proto state service orig_packets resp_packets orig_bytes
resp_bytes orig_ip_bytes resp_ip_bytes"""


def capture(build):
    frames = [
        build.tcp(A, 40000, B, 22),
        build.tcp(B, 22, A, 40000, "SA"),
        build.tcp(A, 40000, B, 22, "A"),
        build.tcp(B, 22, A, 40000, "PA", b"SSH-2.0-x\r\n"),
        build.tcp(A, 40000, B, 22, "FA"),
        build.tcp(B, 22, A, 40000, "FA"),
        build.tcp(A, 40000, B, 22, "A"),
        build.udp(A, 5000, B, 123, b"x" * 48),
        build.icmp(A, B, 8, payload=b"hello"),
        build.icmp(B, A, 0, payload=b"hello"),
        bytes(12) + b"\x86\xdd" + build.ip(58, b"\x80\0\0\0\0\0\0\0", "2001:db8::1", "2001:db8::2"),
        bytes(12)
        + b"\x08\0"
        + build.ip(47, b"\0\0\x08\0" + build.udp(A, 7, B, 9, b"in")[14:], "192.0.2.1", "192.0.2.2"),
    ]
    return build.pcap([(i / 8, frame) for i, frame in enumerate(frames)])


def test_a_record_is_read_back_by_the_zeek_format(build, read, tmp_path):
    ends = read(capture(build)).ends
    written = list(records(ends))
    path = tmp_path / "conn.log"
    path.write_text("".join(json.dumps(record) + "\n" for record in written))
    source = open_source(Input(path, "conn.log", SensorSettings(), 0))
    batches = [batch for batch in source.batches() if Kind.FLOW in batch.tables]
    again = np.concatenate([batch.tables[Kind.FLOW] for batch in batches])
    assert source.counters.malformed == 0
    order = [np.lexsort((rows["orig_port"], rows["proto"])) for rows in (ends, again)]
    for name in SAME.split():
        assert again[name][order[1]].tolist() == ends[name][order[0]].tolist(), name
    assert np.abs(again["first"][order[1]] - ends["first"][order[0]]).max() < 1000


def test_a_record(build, read):
    found = {record["id.resp_p"]: record for record in records(read(capture(build)).ends) if record["proto"] != "icmp"}
    ssh = found[22]
    assert (ssh["service"], ssh["conn_state"], ssh["history"][:4]) == ("ssh", "SF", "ShAd")
    assert ssh["rtt"] == pytest.approx(0.25)
    assert ssh["community_id"].startswith("1:")
    assert (found[9]["tunnel"], found[9]["tunnel_id"]) == ("gre", 0)
    assert "tunnel" not in ssh
    assert "history" not in next(records(read(build.pcap([(0, build.icmp(A, B, 8))])).ends))
