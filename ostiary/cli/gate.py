"""`ostiary gate`: answer gateways, in processes of their own."""

import dataclasses

import click

from ostiary.cli.options import read_settings


@click.command()
@click.option("--config", metavar="FILE", help="Settings file; default ./ostiary.toml or /etc/ostiary/.")
@click.option("--state", metavar="DIR", help="State directory (settings: state_dir).")
@click.option("--listen", metavar="ADDRESS", help="Where gateways ask (settings: gate.listen).")
@click.option("--beside", is_flag=True, hidden=True, help="An engine starts it, and ends it.")
def command(config: str | None, state: str | None, listen: str | None, beside: bool) -> int:
    """Answer gateways, and nothing else: what `ostiary up` starts beside the engine, to be run by itself.

    It follows the engine over a unix socket in gate.directory and answers from memory; while the engine is away it goes
    on with what it knows and says how old that is. SIGHUP reads the settings again, SIGTERM ends it in order.

    \b
    Examples:
      ostiary gate
      ostiary gate --listen unix:/run/ostiary/gate.sock

    \b
    Exit codes: 0 ended by SIGTERM or SIGINT, 1 wrong settings, 4 another error.
    """
    from ostiary.settings import Settings
    from ostiary.sidecar.process import Supervisor

    def read() -> Settings:
        settings = read_settings(config, state)
        gate = dataclasses.replace(settings.gate, listen=listen or settings.gate.listen)
        return dataclasses.replace(settings, gate=gate)

    return Supervisor(read(), read, beside=beside).run()
