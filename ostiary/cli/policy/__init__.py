"""`ostiary policy`: what decides - test it, sign it, take it into force, and know what a change would have done."""

import importlib
from pathlib import Path

import click

_HERE = Path(__file__).parent
_COMMANDS = {
    "check": "Judge a bundle without taking it into force.",
    "test": "Run the tests that a bundle brings.",
    "bench": "Measure how long a bundle takes to decide.",
    "diff": "Show what another bundle would decide otherwise.",
    "what-if": "Decide what was recorded by another bundle.",
    "explain": "Show which rules fired, and what would have changed the answer.",
    "shadow": "Summarise what the bundle beside the active one decided otherwise.",
    "sign": "Sign a bundle, as OPA does.",
    "activate": "Judge a bundle and take it into force.",
    "rollback": "Go back to the bundle that was in force before.",
}


class _LazyGroup(click.Group):
    """A group that imports a command only to run it or to show its own help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in _COMMANDS if (_HERE / f"{_module(name)}.py").exists()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{_module(cmd_name)}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name]) for name in self.list_commands(ctx)])


def _module(name: str) -> str:
    return name.replace("-", "_")


@click.group(cls=_LazyGroup)
def command() -> None:
    """Test, sign and activate the Rego bundle that decides.

    A bundle is a directory, a git checkout, an archive as `opa build` writes it, or an OCI layout on disk.

    \b
    Examples:
      ostiary policy check ./rego
      ostiary policy sign ./rego --key key.pem --epoch 12 -o policy.tar.gz
      ostiary policy activate policy.tar.gz
      ostiary policy rollback
    """
