"""`ostiary flows`: flow records of captures, one JSON object a line."""

import json
import sys
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@common
def command(files: tuple[str, ...], config: str | None, state: str | None, as_json: bool) -> int:
    """Print the flows of captures, in the order in which they ended: one line of JSON each, with Zeek's names.

    Nothing is judged and nothing is kept; addresses are printed as they are. `-` reads a capture from standard input.
    The lines can be read back, by `ostiary run`, as a Zeek conn.log.

    \b
    Examples:
      ostiary flows capture.pcap > conn.log
      ostiary flows capture.pcap | jq 'select(.conn_state == "S0")'

    \b
    Exit codes: 0 done, 2 wrong usage, 3 an input could not be opened, 4 another error.
    """
    from sensors.packets.capture import CaptureSource  # heavy: the kernels
    from sensors.packets.flow.conn import records
    from sensors.values import Kind

    sensors = read_settings(config, state).sensors
    for name in files:
        if name == "-":
            source = CaptureSource.from_stream(sys.stdin.buffer, name, sensors, payloads=False)
        else:
            source = CaptureSource.open(Path(name), name, sensors, payloads=False)
        for batch in source.batches():
            for record in records(batch.tables[Kind.FLOW]) if Kind.FLOW in batch.tables else ():
                click.echo(json.dumps(record))
        counters = source.counters
        if counters.malformed or counters.dropped:
            click.echo(f"ostiary: {name}: {counters.malformed} malformed, {counters.dropped} dropped", err=True)
    return 0
