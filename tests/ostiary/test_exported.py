"""Exported flows and kept packets as the service opens them."""

import pytest

from ostiary.errors import SettingsError
from ostiary.service import keep_packets, open_exported
from ostiary.settings import Settings
from sensors.settings import SensorSettings


def test_flows_are_received_where_a_port_is_named():
    assert open_exported(Settings()) == []
    (source,) = open_exported(Settings(sensors=SensorSettings(netflow="127.0.0.1:0")))
    assert (source.format, source.name) == ("netflow", "127.0.0.1:0")
    list(source.batches(lambda: True))


def test_packets_are_kept_only_where_one_process_captures(tmp_path):
    keep_packets(Settings(), [object()])  # off: nobody is asked
    settings = Settings(state_dir=str(tmp_path), sensors=SensorSettings(keep_bytes=1 << 20))
    with pytest.raises(SettingsError, match="capture_processes"):
        keep_packets(settings, [object()])
