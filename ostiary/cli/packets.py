"""`ostiary packets`: read the packets that were kept."""

import getpass
import json
import time
from pathlib import Path

import click

from ostiary.cli.options import common, read_settings


@click.group()
def command() -> None:
    """Read the packets that were kept (settings: sensors.keep_bytes). They are encrypted where they lie.

    \b
    Examples:
      ostiary packets export incident.pcapng --purpose 'incident 12'
      ostiary packets export last-hour.pcapng --purpose 'incident 12' --hours 1
    """


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--purpose", required=True, metavar="TEXT", help="What for; it is written into the audit log.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="Only of so many hours back, about.")
@common
def export(file: Path, purpose: str, hours: float | None, config: str | None, state: str | None, as_json: bool) -> int:
    """Write kept packets to FILE as plain pcapng. The audit log takes it down before anything is read.

    FILE must not exist yet; it is readable by its owner only. A running service must be stopped first.
    """
    from compliance.keys import open_root_key
    from compliance.values import AuditEntry
    from ostiary.packet_store import PacketStore
    from ostiary.state import ROOT_KEY, State, existing

    settings = read_settings(config, state)
    if not purpose.strip():
        raise click.UsageError("--purpose needs a text, e.g. --purpose 'incident 12'")
    if file.exists():
        raise click.UsageError(f"{file} exists already")
    path, now = existing(settings), time.time_ns()
    since = 0 if hours is None else now - int(hours * 3600e9)
    with State.open(settings) as opened:
        facts = {"since": str(since)}
        opened.audit.append([
            AuditEntry(
                kind="packets", who=f"local user {getpass.getuser()}", what="read kept packets", why=purpose, ts=now,
                purpose=settings.compliance.purpose, legal_basis=settings.compliance.legal_basis, facts=facts,
            )
        ])  # fmt: skip
    store = PacketStore(path, open_root_key(path / ROOT_KEY), 0)
    file.touch(mode=0o600, exist_ok=False)
    size = 0
    with file.open("wb") as out:
        for section in store.sections(since):
            size += out.write(section)
    click.echo(json.dumps({"file": str(file), "bytes": size}) if as_json else f"{file}: {size:,} bytes")
    return 0
