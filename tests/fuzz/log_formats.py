"""Logs that are structured: Zeek's, Suricata's, access logs and events in JSON, and what recognises them all."""

import importlib.util
from pathlib import Path

from sensors.formats.access_json import AccessJsonParser
from sensors.formats.applications import ApplicationParser
from sensors.formats.eve import EveParser
from sensors.formats.zeek import ZeekParser
from sensors.registry import formats

_spec = importlib.util.spec_from_file_location("fuzz_log_lines", Path(__file__).with_name("log_lines.py"))
log_lines = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(log_lines)

MAX_BYTES = 2000
PARSERS = (ZeekParser, EveParser, AccessJsonParser, ApplicationParser)


def one(data: bytes) -> None:
    if data[:1] == b"\xff":
        for candidate in formats():
            assert 0 <= candidate.recognise(data[1:], "unnamed") <= 100
        return
    log_lines.feed(PARSERS, data)
