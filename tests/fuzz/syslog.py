"""Streams of syslog: frames (RFC 6587), headers (RFC 3164, RFC 5424 ...), and entries of the journal.

The first byte says how the stream is cut and which frames are allowed; the rest is the stream.
"""

import contextlib
import json

from sensors.logs.errors import MalformedLineError
from sensors.logs.syslog import record
from sensors.receive.framing import Framer, FramingError
from sensors.receive.journal import as_line

LIMIT = 256
NOW = 1_795_600_000_000_000_000


def one(data: bytes) -> None:
    if not data:
        return
    step, counted = 1 + (data[0] >> 1), bool(data[0] & 1)
    stream = data[1:]
    messages = framed(Framer(LIMIT, counted), [stream[at : at + step] for at in range(0, len(stream), step)])
    if messages is not None:
        assert messages == framed(Framer(LIMIT, counted), [stream])
    for message in messages or ():
        assert b"\n" not in message
        with contextlib.suppress(MalformedLineError, ValueError):
            record(message, NOW)
    journal(stream)


def framed(framer: Framer, pieces: list[bytes]) -> list[bytes] | None:
    try:
        found = [message for piece in pieces for message in framer.feed(piece)]
    except FramingError:
        return None
    return found + framer.finish()


def journal(text: bytes) -> None:
    try:
        entry = json.loads(text)
        line = as_line(entry)
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError, OSError):
        return
    assert b"\n" not in line
