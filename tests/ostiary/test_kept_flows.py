"""Flows kept over a restart of the service: read once, by their own source, under one key, or not at all."""

from compliance.keys import RootKey
from ostiary.kept_flows import FOLDER, KeptFlows

KEY, OTHER = RootKey(bytes(32)), RootKey(b"\1" * 32)


def test_what_was_kept_is_taken_once(tmp_path):
    KeptFlows(tmp_path, KEY).keep("eth0#1", b"203.0.113.7 and more")
    [path] = (tmp_path / FOLDER).iterdir()
    assert b"203.0.113.7" not in path.read_bytes()
    kept = KeptFlows(tmp_path, KEY)
    assert kept.take("eth0#2") == b""
    assert kept.take("eth0#1") == b"203.0.113.7 and more"
    assert kept.take("eth0#1") == b""


def test_what_is_damaged_or_of_another_key_or_source_counts_as_none(tmp_path):
    kept = KeptFlows(tmp_path, KEY)
    for harm in (lambda raw: raw[:-1], lambda raw: raw[:5], lambda raw: bytes([raw[0] ^ 1]) + raw[1:], lambda raw: b""):
        kept.keep("eth0", b"flows")
        path = tmp_path / FOLDER / "eth0.flows"
        path.write_bytes(harm(path.read_bytes()))
        assert kept.take("eth0") == b""
    kept.keep("eth0", b"flows")
    assert KeptFlows(tmp_path, OTHER).take("eth0") == b""
    kept.keep("eth0", b"flows")
    (tmp_path / FOLDER / "eth0.flows").rename(tmp_path / FOLDER / "eth1.flows")
    assert kept.take("eth1") == b""
