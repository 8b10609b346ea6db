"""The receiver: who is believed, and what a real exporter's flows become."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from sensors.errors import UnreadableInputError
from sensors.netflow.receiver import NetflowSource
from sensors.settings import SensorSettings
from sensors.values import Kind

CAPTURE = Path(__file__).parents[3] / "examples" / "captures" / "office.pcap"
DEADLINE_S = 60


def rows_of(source, done):
    """Return the FLOW rows of a source that is read until `done()` holds, or for `DEADLINE_S` at most."""
    end = time.monotonic() + DEADLINE_S
    batches = list(source.batches(lambda: done() or time.monotonic() > end))
    return np.concatenate([batch.tables[Kind.FLOW] for batch in batches if Kind.FLOW in batch.tables])


def sent_to(source, *datagrams):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        for datagram in datagrams:
            exporter.sendto(datagram, ("127.0.0.1", source.port))


def test_datagrams_become_flows(message):
    source = NetflowSource(SensorSettings(netflow="127.0.0.1:0"))
    one = message.flow5("198.51.100.7", 40_000, "192.0.2.9", 443)
    sent_to(source, message.v5(one), message.v5(one, uptime=10**6, sequence=1))
    rows = rows_of(source, lambda: source.counters.read == 2)
    assert (len(rows), source.counters.parsed, source.counters.late) == (2, 2, 1)
    assert abs(time.time_ns() - int(rows["ts"].min())) < 2 * 300 * 10**9


def test_only_known_exporters_are_believed(message):
    source = NetflowSource(SensorSettings(netflow="127.0.0.1:0", netflow_exporters=("192.0.2.0/24",)))
    sent_to(source, message.v5(message.flow5("198.51.100.7", 40_000, "192.0.2.9", 443)))
    batches = list(source.batches(lambda: source.counters.read == 1))
    assert (source.counters.ignored, sum(map(len, batches))) == (1, 0)


@pytest.mark.parametrize("listen", ["nowhere", "127.0.0.1", "127.0.0.1:99999", "example.org:2055", "192.0.2.1:2055"])
def test_where_nobody_can_listen(listen):
    with pytest.raises(UnreadableInputError):
        NetflowSource(SensorSettings(netflow=listen))


def test_networks_that_are_none():
    with pytest.raises(UnreadableInputError, match="netflow_exporters"):
        NetflowSource(SensorSettings(netflow="127.0.0.1:0", netflow_exporters=("everybody",)))


@pytest.mark.server
@pytest.mark.parametrize("form", [("5",), ("9",), ("10",), ("10", "-b")])
def test_a_real_exporter(form):
    if shutil.which("softflowd") is None:
        pytest.fail("no softflowd") if os.environ.get("CI") else pytest.skip("no softflowd: it is NOT tried")
    source = NetflowSource(SensorSettings(netflow="127.0.0.1:0"))
    to = f"127.0.0.1:{source.port}"
    # it ends after its last datagram, which lies in the socket then
    done = subprocess.run(
        ["softflowd", "-r", CAPTURE, "-n", to, "-d", "-v", *form, "tcp"], capture_output=True, check=True
    )
    assert done.returncode == 0
    rows = rows_of(source, lambda: source.counters.read > 0)
    counters = source.counters
    assert (counters.malformed, counters.ignored, counters.dropped) == (0, 0, 0)
    streams, packets = seen_by_tshark()
    assert int((rows["new_orig_packets"] + rows["new_resp_packets"]).sum()) == packets
    assert int(np.count_nonzero(rows["event"] & 1)) == streams


def seen_by_tshark():
    """Return how many TCP connections and packets the capture holds."""
    if shutil.which("tshark") is None:
        pytest.fail("no tshark") if os.environ.get("CI") else pytest.skip("no tshark: it is NOT asked")
    command = ["tshark", "-r", str(CAPTURE), "-Y", "tcp && !icmp", "-T", "fields", "-e", "tcp.stream"]
    streams = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return len(set(streams)), len(streams)
