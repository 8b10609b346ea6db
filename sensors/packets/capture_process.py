"""A process that captures: batches of one packet socket, which it inherits, to standard output.

    python -m sensors.packets.capture_process DESCRIPTOR

Started by `workers`, which writes a line of JSON to standard input, then the saved flows, and closes it when the
process is to end. It opens nothing itself.
"""

import json
import os
import select
import socket
import sys
from typing import Any, BinaryIO

from sensors.packets.exchange import pack
from sensors.packets.interface import PacketSocket
from sensors.packets.live import LiveSource
from sensors.settings import SensorSettings
from sensors.values import Batch


def main() -> int:
    """Capture until standard input is closed; return 0."""
    orders, out = sys.stdin.buffer, sys.stdout.buffer
    order: dict[str, Any] = json.loads(orders.readline())  # from our own parent
    saved = None if order["saved"] is None else orders.read(order["saved"])
    opened = PacketSocket(
        socket.socket(fileno=int(sys.argv[1])), order["link"], order["loopback"], bytes.fromhex(order["program"])
    )
    source = LiveSource(order["name"], SensorSettings(**order["settings"]), opened=opened, saved=saved)
    watermark = 0
    for batch in source.batches(lambda: _is_closed(orders)):
        watermark = batch.watermark
        out.write(pack(batch, source.counters))
        out.flush()
    out.write(pack(Batch((source.name,), watermark, {}), source.counters, source.saved or b""))
    out.flush()
    return 0


def _is_closed(stream: BinaryIO) -> bool:
    """Tell whether the parent has closed the stream, or is gone."""
    return bool(select.select([stream], [], [], 0)[0]) and os.read(stream.fileno(), 1) == b""


if __name__ == "__main__":
    sys.exit(main())
