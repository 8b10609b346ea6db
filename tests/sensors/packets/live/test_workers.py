"""Capture with several processes: each flow in one, nothing lost, nothing left running, nothing believed."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sensors.errors import BadFilterError, CaptureProcessError
from sensors.merge import merge
from sensors.packets.exchange import pack, receive
from sensors.packets.workers import open_live
from sensors.settings import SensorSettings
from sensors.values import FLOW, HTTP, Batch, Counters, Fault, Kind, Rows

PORTS = range(7000, 7040)


@pytest.mark.root
def test_each_flow_goes_to_one_process(veth, send, collect):
    settings = SensorSettings(capture_processes=2, capture_filter="udp dst port 9999")
    sources = open_live(veth, settings)
    assert [source.name for source in sources] == ["near#1", "near#2"]
    found, ready = {}, threading.Barrier(3, timeout=60)
    done = threading.Event()

    def watch(source):
        rows: list[Rows] = []
        started = False
        for batch in source.batches(done.is_set):
            if not started:
                started = True
                ready.wait()
            rows += list(batch.tables.get(Kind.FLOW, ()))
        found[source.name] = rows

    threads = [threading.Thread(target=watch, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    ready.wait()
    send(5, PORTS)
    end = time.monotonic() + 30
    while sum(source.counters.read for source in sources) < 5 * len(PORTS) and time.monotonic() < end:
        time.sleep(0.05)
    done.set()
    for thread in threads:
        thread.join(60)
    ends = {
        name: {int(row["orig_port"]): int(row["orig_packets"]) for row in rows if row["event"] == 2}
        for name, rows in found.items()
    }
    assert ends["near#1"].keys().isdisjoint(ends["near#2"])
    assert all(ends.values())
    assert ends["near#1"] | ends["near#2"] == dict.fromkeys(PORTS, 5)
    assert sum(source.counters.parsed for source in sources) == 5 * len(PORTS)


@pytest.mark.root
def test_a_process_that_is_killed_is_an_error(veth):
    source, other = open_live(veth, SensorSettings(capture_processes=2))
    other.close()
    batches = source.batches()
    next(batches)
    children = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    pids = [int(pid) for path in children for pid in path.read_text().split()]
    mine = [pid for pid in pids if b"capture_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    assert len(mine) == 1
    os.kill(mine[0], signal.SIGKILL)
    with pytest.raises(CaptureProcessError):
        for _ in batches:
            pass


@pytest.mark.root
def test_a_bad_filter_is_refused_before_anything_starts(veth):
    with pytest.raises(BadFilterError, match="syntax error"):
        open_live(veth, SensorSettings(capture_filter="udp und tcp"))


def stream(content):
    """Return a reader over bytes."""
    rest = [content]

    def read(size):
        part, rest[0] = rest[0][:size], rest[0][size:]
        return part if len(part) == size else None

    return read


def message():
    rows, requests = np.zeros(3, FLOW), np.zeros(1, HTTP)
    rows["ts"], requests["path"] = 7, 1
    counters = Counters(read=5, kernel_dropped=2, faults=[Fault("packet.cut", 0, "cut", 4)])
    return Batch(("x",), 9, {Kind.FLOW: rows, Kind.HTTP: requests}, ("", "/päth")), counters


def test_a_message_comes_out_as_it_went_in():
    batch, counters = message()
    read = stream(pack(batch, counters, b"saved") + pack(Batch(("x",), 10, {}), counters))
    first = receive(read, "eth0#1")
    assert (first.batch.sources, first.batch.watermark, first.saved) == (("eth0#1",), 9, b"saved")
    assert tuple(first.batch.texts) == ("", "/päth")
    assert all((first.batch.tables[kind] == rows).all() for kind, rows in batch.tables.items())
    assert first.counters == counters
    assert receive(read, "eth0#1").batch.tables == {}
    assert receive(read, "eth0#1") is None
    assert sum(map(len, merge(["a"], [iter([first.batch])]))) == 4


def test_what_a_process_says_is_not_believed():
    batch, counters = message()
    content = pack(batch, counters)
    at = 12 + int.from_bytes(content[8:12], "little")
    head = json.loads(content[12:at])

    def changed(**values):
        new = json.dumps(head | values).encode()
        body = len(new).to_bytes(4, "little") + new + content[at:]
        return len(body).to_bytes(8, "little") + body

    lies = [
        content[:-1], content[:30], (1 << 40).to_bytes(8, "little"), b"\4" + bytes(11), changed(texts=[""]),
        changed(texts=["a", "b"]), changed(rows={"flow": 10**9}), changed(rows={"flow": -1}), changed(rows={"no": 1}),
        changed(rows=[]), changed(counters={}), changed(faults=[1]), changed(watermark="x"),
    ]  # fmt: skip
    assert receive(stream(changed()), "x") is not None
    for lie in lies:
        with pytest.raises(CaptureProcessError):
            receive(stream(lie), "x")
