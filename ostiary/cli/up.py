"""`ostiary up`: run everything as a service."""

import os

import click

from ostiary.cli.options import read_settings
from ostiary.settings import find_file


@click.command()
@click.option("--config", metavar="FILE", help="Settings file; default ./ostiary.toml or /etc/ostiary/.")
@click.option("--state", metavar="DIR", help="State directory (settings: state_dir).")
def command(config: str | None, state: str | None) -> int:
    """Run everything as a service: sensors, risk, the endpoint that gateways ask, and the API.

    Interfaces and logs come from the settings ([sensors]). Until [gate] and [response] say `enforce` it only observes:
    what would have been done is logged, counted and shown. SIGHUP reads the settings again, SIGTERM ends it in order.

    \b
    Examples:
      ostiary up
      ostiary up --config /etc/ostiary/ostiary.toml
      kill -HUP PID                            take changed settings into force

    \b
    Exit codes: 0 ended by SIGTERM or SIGINT, 1 wrong settings, 3 a sensor cannot be opened, 4 another error.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # its threads would be made before privileges are given up
    import uvloop

    from ostiary.service import Service

    settings = read_settings(config, state)
    service = Service(settings, find_file(config), lambda: read_settings(config, state))
    return uvloop.run(service.run())
