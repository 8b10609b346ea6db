"""`ostiary policy explain`, as it is called."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ostiary.cli.policy.explain import command
from ostiary.errors import NotFoundError
from ostiary.store import Reader
from policy.bundles import SHIPPED

LINES = "".join(
    f"2026-03-02T10:{n // 60:02}:{n % 60:02}.000000+00:00 gate sshd[{n}]: Failed password for root from 203.0.113.66 "
    f"port {40000 + n} ssh2\n"
    for n in range(5, 125, 2)
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the decisions on an attack."""
    from ostiary.cli.run import command as run

    folder = tmp_path_factory.mktemp("explain")
    (folder / "auth.log").write_text(LINES)
    done = CliRunner().invoke(run, ["--state", str(folder / "state"), "--json", str(folder / "auth.log")])
    assert done.exit_code == 0, done.output
    return folder / "state"


@pytest.fixture
def worst(state: Path) -> str:
    with Reader.open(state / "ostiary.db") as store:
        return store.decisions(verdict="isolate").items[0].id


def explain(state: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--state", str(state), *arguments], standalone_mode=False)


def test_rules_lines_and_what_would_have_changed_it(state: Path, worst: str) -> None:
    row = json.loads(explain(state, worst, "--json").stdout)
    assert row["verdict"] == row["verdict_now"] == "isolate"
    (rule,) = (rule for rule in row["rules"] if rule["rule"] == "ostiary.proposals")
    assert (SHIPPED / rule["file"]).read_text().splitlines()[rule["line"] - 1].startswith("proposals contains")
    assert "allow if risk.risk is below 0.4" in [other["text"] for other in row["otherwise"]]
    shown = explain(state, worst).output
    assert "risk.rego:36" in shown
    assert "allow if risk.risk is below 0.4" in shown
    assert "names stayed pseudonyms" in shown
    assert "203.0.113" not in shown


def test_another_bundle_is_said_to_be_one(state: Path, worst: str, tmp_path: Path) -> None:
    text = 'package ostiary\ndecision := {"verdict": "allow", "reasons": [], "obligations": {}, "ttl_s": 1}\n'
    (tmp_path / "a.rego").write_text(text)
    shown = explain(state, worst, "--bundle", str(tmp_path)).output
    assert "it would be allow by this bundle" in shown
    assert "decided then" in shown
    assert "no change of one or two fields" in shown


def test_names_are_read_for_a_purpose_that_is_audited(state: Path, worst: str) -> None:
    row = json.loads(explain(state, worst, "--purpose", "incident 12", "--json").stdout)
    assert row["notes"] == []
    from compliance.audit import LogReader

    log = LogReader.read(state / "audit")
    (*_, last) = log.entries(0, log.size)
    assert (last.kind, last.why, last.facts["about"], last.facts["count"]) == ("reveal", "incident 12", worst, 1)


def test_an_unknown_decision_is_told(state: Path) -> None:
    assert isinstance(explain(state, "x").exception, NotFoundError)
