"""`ostiary run`: judge captures and logs, or live traffic, once."""

import signal
import time
from collections.abc import Callable
from dataclasses import replace

import click

from ostiary.cli.options import common, read_settings


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option("--interface", metavar="NAME", help="Judge live traffic of this interface (needs CAP_NET_RAW).")
@click.option("--duration", type=float, metavar="S", help="With --interface: stop after so many seconds.")
@click.option("--filter", "expression", metavar="EXPR", help="With --interface: what to capture, as tcpdump writes it.")
@click.option("--format", "format_name", default="", metavar="NAME", help="Read every file in this format.")
@click.option("--isolated", is_flag=True, help="Judge each file as a world of its own, spread over the cores.")
@common
def command(
    files: tuple[str, ...], interface: str | None, duration: float | None, expression: str | None,
    format_name: str, isolated: bool, config: str | None, state: str | None, as_json: bool,
) -> int:  # fmt: skip
    """Judge captures and logs, or live traffic, once: who is risky, why, and what the policy decides.

    The format of each FILE is recognised; `-` reads a capture from standard input. Files are merged in event time.
    Nothing is cut off: actions are only proposed. Results are kept in the state directory, under pseudonyms, for
    `explain`, `decisions`, `report` and `audit`.

    With --json each verdict is a line: file, line or packet, ts, entity, risk, level, verdict, reasons, text.

    \b
    Examples:
      ostiary run capture.pcap access.log auth.log
      ostiary run --json --isolated captures/*.pcap > verdicts.jsonl
      tcpdump -w - | ostiary run -
      ostiary run --interface eth0 --duration 60 --filter "tcp port 22"

    \b
    Exit codes: 0 judged, 2 wrong usage, 3 an input could not be opened or recognised, 4 another error.
    """
    if bool(files) == bool(interface):
        raise click.UsageError("name files to judge, or an --interface (`ostiary run --help` has examples)")
    if expression is not None and not interface:
        raise click.UsageError("--filter is for an --interface")
    from ostiary.running import RunRequest, run  # heavy: only when something is judged

    settings = read_settings(config, state)
    if expression is not None:
        settings = replace(settings, sensors=replace(settings.sensors, capture_filter=expression))
    request = RunRequest(files, interface or "", format_name, isolated, time.time_ns(), _stopper(duration))
    if as_json:
        from ostiary.cli.rows import print_rows

        result = print_rows(run(request, settings))
    else:
        from ostiary.cli.progress import with_progress
        from ostiary.cli.show_run import show
        from ostiary.reporting import verified, write_report

        result = with_progress(request, settings)
        show(result, verified(result.state), write_report(settings), state)
    for name, reason in result.failed:
        click.echo(f"ostiary: {name}: {reason}", err=True)
    return 3 if result.failed else 0


def _stopper(duration: float | None) -> Callable[[], bool]:
    """Return a signal that holds after SIGINT, SIGTERM or so many seconds."""
    stopped: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: stopped.append(received))
    end = time.monotonic() + duration if duration is not None else None
    return lambda: bool(stopped) or (end is not None and time.monotonic() >= end)
