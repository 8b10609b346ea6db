"""`ostiary doctor`: check the machine, and say what each missing part costs."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec

import click

from ostiary.cli.options import common, read_settings
from ostiary.privileges import CAP_NET_ADMIN, CAP_NET_RAW, capabilities
from ostiary.settings import Settings

RUN_PACKAGES = ("numpy", "numba", "river", "re2", "fastapi", "jinja2", "presidio_analyzer", "opa_client")


@dataclass(frozen=True, slots=True)
class Check:
    """One part of the machine: `needed` parts stop the main job when they are missing."""

    name: str
    ok: bool
    needed: bool
    found: str
    cost: str
    """What its absence costs, and how to get it; "" where it is there."""


@click.command()
@common
def command(config: str | None, state: str | None, as_json: bool) -> int:
    """Check the machine, and say what each missing part costs. Exit code 1 if a needed part is missing.

    \b
    Examples:
      ostiary doctor
      sudo ostiary doctor --json
    """
    checks = list(examine(read_settings(config, state)))
    if as_json:
        click.echo(json.dumps([asdict(check) for check in checks]))
    else:
        for check in checks:
            mark = (
                click.style("ok     ", fg="green")
                if check.ok
                else click.style("missing", fg="red" if check.needed else "yellow")
            )
            click.echo(f"{mark} {check.name:<14} {check.found}")
            if not check.ok:
                click.echo(f"        {'':<14} {check.cost}")
    return 1 if any(check.needed and not check.ok for check in checks) else 0


def examine(settings: Settings) -> Iterator[Check]:
    """Yield each check of this machine."""
    yield _check(
        "python", sys.version_info >= (3, 11), True, sys.version.split()[0], "Ostiary needs Python 3.11 or newer."
    )
    missing = [name for name in RUN_PACKAGES if find_spec(name) is None]
    yield _check(
        "packages", not missing, True, "ostiary[run] is installed" if not missing else f"without {', '.join(missing)}",
        "`run`, `up` and `report` do not work: pip install 'ostiary[run]'.",
    )  # fmt: skip
    yield _state(settings)
    yield _capability(
        "CAP_NET_RAW", CAP_NET_RAW, "No live capture; files work. Run as root or grant it: setcap cap_net_raw+ep."
    )
    yield _capability("CAP_NET_ADMIN", CAP_NET_ADMIN, "Nobody can be cut off by nftables; run the enforcer as root.")
    yield _program("nft", ("--version",), "Nobody can be cut off by nftables: apt-get install nftables.")
    yield _program("tshark", ("--version",), "No deep look into packets as evidence: apt-get install tshark.")
    yield _program(
        "opa", ("version",), "Policies are not compared with the real OPA; the embedded engine decides alone."
    )
    if settings.policy.engine == "opa":
        yield _opa_server(
            settings, settings.policy.opa_url, True, "No decision is made: gateways are answered as declared."
        )
    if settings.policy.judge_url:
        yield _opa_server(settings, settings.policy.judge_url, False, "No bundle can be activated.")
    yield _clock()


def _check(name: str, ok: bool, needed: bool, found: str, cost: str) -> Check:
    return Check(name, ok, needed, found, "" if ok else cost)


def _state(settings: Settings) -> Check:
    path = settings.state_path()
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    return _check(
        "disk", free > 1 << 30, True, f"{free / 2**30:.1f} GiB free for {path}",
        "Below 1 GiB the audit log may soon be unable to grow; set state_dir to another disk.",
    )  # fmt: skip


def _capability(name: str, bit: int, cost: str) -> Check:
    held = bool(capabilities() >> bit & 1)
    return _check(name, held, False, "held" if held else "not held", cost)


def _program(name: str, arguments: tuple[str, ...], cost: str) -> Check:
    path = shutil.which(name)
    if path is None:
        return _check(name, False, False, "not on PATH", cost)
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=False)
    first = (done.stdout or done.stderr).strip().splitlines()
    return _check(name, True, False, f"{path}, {first[0] if first else 'no version'}", cost)


def _opa_server(settings: Settings, url: str, needed: bool, cost: str) -> Check:
    from ostiary.deciding import opa_server
    from policy.errors import PolicyError

    try:
        from policy.engines.opa_link import OpaLink

        link = OpaLink(opa_server(settings, url), 5.0)
        try:
            held = link.call(lambda client: client.get_policies_list())
        finally:
            link.close()
    except PolicyError as error:
        return _check("opa server", False, needed, f"{url}: {error}", cost)
    return _check("opa server", True, needed, f"{url}, {len(held)} files of policy", "")


def _clock() -> Check:
    """Ask the kernel whether something disciplines the clock (adjtimex(2), status bit STA_UNSYNC)."""
    import ctypes

    buffer = ctypes.create_string_buffer(512)
    state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    synchronised = state >= 0 and state != 5
    return _check(
        "clock", synchronised, False, "synchronised" if synchronised else "not synchronised",
        "Event times of live traffic and of the audit log may be off: run chrony or systemd-timesyncd.",
    )  # fmt: skip
