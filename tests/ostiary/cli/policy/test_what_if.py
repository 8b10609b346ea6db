"""`ostiary policy what-if`, as it is called."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ostiary.cli.policy.what_if import command

LINES = "".join(
    f"2026-03-02T10:{n // 60:02}:{n % 60:02}.000000+00:00 gate sshd[{n}]: Failed password for root from 203.0.113.66 "
    f"port {40000 + n} ssh2\n"
    for n in range(5, 125, 2)
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the decisions on an attack."""
    from ostiary.cli.run import command as run

    folder = tmp_path_factory.mktemp("whatif")
    (folder / "auth.log").write_text(LINES)
    done = CliRunner().invoke(run, ["--state", str(folder / "state"), "--json", str(folder / "auth.log")])
    assert done.exit_code == 0, done.output
    return folder / "state"


def what_if(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--state", str(state), *arguments], standalone_mode=False)


def test_the_policy_in_force_changes_nothing(state: Path) -> None:
    done = what_if(state)
    assert done.return_value == 0
    assert "nothing would change" in done.output
    assert "Names stayed pseudonyms" in done.output


def test_a_stricter_one_is_told_with_its_exit_code(state: Path) -> None:
    arguments = ("--risk-threshold", "critical=0.02", "--risk-threshold", "high=0.01", "--max-newly-denied", "0")
    done = what_if(state, *arguments, "--json")
    assert done.return_value == 1
    row = json.loads(done.stdout)
    assert row["newly_denied"]["decisions"] > 0
    assert row["newly_denied"]["people"] == 1
    assert row["newly_denied"]["examples"][0]["after"] in ("deny", "isolate")
    assert not row["names_read"]
    assert "203.0.113" not in done.output
    assert "would be denied anew, more than 0" in done.stderr
    assert "Newly denied" in what_if(state, *arguments).output


def test_names_need_a_purpose_that_is_audited(state: Path, tmp_path: Path) -> None:
    patch = tmp_path / "patch.json"
    value = {"until": "2099-01-01T00:00:00Z", "why": "a drill"}
    path = "/ostiary/config/allow_list/ip:203.0.113.66"
    patch.write_text(json.dumps([{"op": "add", "path": path, "value": value}]))
    assert json.loads(what_if(state, "--patch", str(patch), "--json").stdout)["newly_allowed"]["decisions"] == 0
    done = what_if(state, "--patch", str(patch), "--purpose", "change 31", "--json")
    row = json.loads(done.stdout)
    assert row["newly_allowed"]["decisions"] > 0
    assert row["newly_allowed"]["networks"] == {"203.0.113.0/24": row["newly_allowed"]["decisions"]}
    from compliance.audit import LogReader

    log = LogReader.read(state / "audit")
    (*_, last) = log.entries(0, log.size)
    assert (last.kind, last.why) == ("reveal", "change 31")


@pytest.mark.parametrize("arguments", [("--since", "7"), ("--risk-threshold", "high"), ("--risk-threshold", "high=2")])
def test_wrong_usage_is_told(state: Path, arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(command, ["--state", str(state), *arguments])
    assert done.exit_code == 2
    assert "say it as" in done.output


def test_a_patch_that_is_none_is_a_typed_error(state: Path, tmp_path: Path) -> None:
    from policy.errors import BundleError

    (tmp_path / "patch.json").write_text("{")
    assert isinstance(what_if(state, "--patch", str(tmp_path / "patch.json")).exception, BundleError)
    assert isinstance(what_if(state, "--risk-threshold", "odd=0.5").exception, BundleError)
