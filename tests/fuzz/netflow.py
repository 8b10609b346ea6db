"""NetFlow 5, 9 and IPFIX: datagrams of an exporter, each behind its length; and, behind a byte of 255, a flow file."""

import tempfile
from pathlib import Path

import numpy as np

from sensors.errors import UnreadableInputError
from sensors.formats.nfcapd import NfcapdSource
from sensors.netflow.messages import Decoder
from sensors.netflow.pairs import Pairs
from sensors.netflow.records import MAX_AGE_NS
from sensors.registry import Input
from sensors.settings import SensorSettings
from sensors.values import Counters

NOW = 1_700_000_000 * 10**9
FILE = 255


def one(data: bytes) -> None:
    if data[:1] == bytes([FILE]):
        _file(data[1:])
        return
    counters, pairs, at, now = Counters(), Pairs(), 0, NOW
    decoder = Decoder(counters)
    while at + 2 <= len(data):
        size = int.from_bytes(data[at : at + 2], "big")
        decoder.feed("192.0.2.1", data[at + 2 : at + 2 + size], now)
        at += 2 + size
        now += 1_700_000_000
    records = decoder.take()
    assert counters.read == counters.parsed + counters.malformed + counters.ignored
    assert (records["first"] <= records["last"]).all()
    assert (records["first"] >= NOW - MAX_AGE_NS).all()
    rows = np.concatenate((pairs.add(records, NOW), pairs.finish()))
    assert len(rows) <= len(records)


def _file(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "flows")
        path.write_bytes(data)
        try:
            source = NfcapdSource(Input(path, "flows", SensorSettings(), 0))
        except UnreadableInputError:
            return
        list(source.batches())
        counters = source.counters
        assert counters.read == counters.parsed + counters.malformed + counters.ignored
