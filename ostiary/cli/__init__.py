"""The command line: one module a command, imported only when it is called.

Exit codes, the same for every command:

    0  done; what was checked holds
    1  what was checked does not hold (audit log, settings, a policy, a needed part of the machine)
    2  wrong usage
    3  an input could not be opened or recognised
    4  any other error that Ostiary knows; its code stands in brackets
    130 / 143  interrupted by SIGINT / SIGTERM
"""

import importlib
import sys
from collections.abc import Sequence

import click

COMMANDS = {
    "run": "Judge captures and logs, or live traffic, once.",
    "up": "Run everything as a service: sensors, risk, gateway endpoint, API.",
    "gate": "Answer gateways, in processes of their own.",
    "gateway": "Give what gateways, and those who ask through them, need.",
    "sources": "Show what is read, how far, and what could not be.",
    "flows": "Print the flow records of captures.",
    "entities": "List entities by risk.",
    "explain": "Say why an entity carries its risk.",
    "decisions": "List what the policy decided, and why.",
    "actions": "List what was done or would have been, and to whom.",
    "undo": "Undo an action of the running service.",
    "label": "Say what was an attack and what was none; take it back.",
    "forecast": "Say what the next hour brings, and what will overflow.",
    "model": "Say what taught the model, and which labels it has heard.",
    "budget": "Say what the alarm budget gave, and what others would have.",
    "reference": "Train and activate what normal traffic looks like here.",
    "policy": "Test, sign and activate the Rego bundle that decides.",
    "report": "Write the HTML report of a run.",
    "packets": "Read the packets that were kept.",
    "audit": "Verify or read the audit log.",
    "token": "Make, list and revoke tokens of the API.",
    "config": "Check or show the settings.",
    "doctor": "Check the machine, and say what each missing part costs.",
}

CHECKS = frozenset({"ostiary.settings", "policy.judgement", "policy.signature", "policy.epoch"})
"""Codes of errors that say that what was checked does not hold."""

EPILOG = """\b
Examples:
  ostiary run capture.pcap access.log auth.log     judge files
  ostiary run --interface eth0                     judge live traffic (needs CAP_NET_RAW)
  ostiary explain 203.0.113.9                      why that address is risky
  ostiary audit verify                             check the audit log
\b
Exit codes: 0 done, 1 a check failed, 2 wrong usage, 3 unreadable input, 4 another error."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and help, and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"ostiary.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from ostiary import __version__

        click.echo(f"ostiary {__version__}")
        ctx.exit()


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_version, help="Show the version.")
def cli() -> None:
    """Ostiary, the doorkeeper: explained risk for each entity, a Rego decision for each connection.

    Nothing is denied, cut or changed until you say `enforce`.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code."""
    try:
        result = cli.main(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone; there is nobody to tell
        sys.exit(0)
    except Exception as error:  # noqa: BLE001 - typed errors become one line; defects are raised again
        sys.exit(_told(error))
    sys.exit(result if isinstance(result, int) else 0)


def _told(error: Exception) -> int:
    """Tell a typed error in one line and return its exit code; anything else is a defect and keeps its traceback."""
    if isinstance(error, ModuleNotFoundError):
        error = _missing(error)
    code = getattr(error, "code", None)
    if not isinstance(code, str):
        raise error
    for line in str(error).splitlines() or [""]:
        click.echo(f"ostiary: {line} [{code}]", err=True)
    if code in CHECKS:
        return 1
    return 3 if code.startswith("sensors.") or code in {"policy.bundle", "policy.document"} else 4


def _missing(error: ModuleNotFoundError) -> Exception:
    """Return the error that says which extra to install; one of our own modules missing is a defect."""
    from ostiary.errors import MissingExtraError

    package = (error.name or "").partition(".")[0]
    if package in ("", "sensors", "risk", "policy", "response", "compliance", "ostiary"):
        return error
    return MissingExtraError(f"this needs the package {package}: pip install 'ostiary[run]'")
