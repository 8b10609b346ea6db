"""`ostiary run` and what reads its results, as a user runs them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

Ostiary = Callable[..., "subprocess.CompletedProcess[str]"]
ATTACKER, FRIEND = "203.0.113.66", "198.51.100.7"
VERDICTS = {"allow", "throttle", "step_up", "deny", "isolate"}


def rows_of(done: "subprocess.CompletedProcess[str]") -> list[dict[str, object]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_rows_say_what_a_scorer_needs(ostiary: Ostiary, auth_log: Path) -> None:
    rows = rows_of(ostiary("run", "--json", "auth.log"))
    assert len(rows) >= 60  # each failed password is a row, whatever the verdict
    for row in rows:
        assert row["file"] == "auth.log"
        assert row["verdict"] in VERDICTS
        assert 0 <= float(str(row["risk"])) <= 1
        assert row["reasons"]
        assert 2 <= int(str(row["line"])) <= 61
    assert [row["ts"] for row in rows] == sorted(float(str(row["ts"])) for row in rows)
    assert FRIEND not in {row["entity"] for row in rows}
    blocked = {row["entity"] for row in rows if row["verdict"] in ("deny", "isolate")}
    assert ATTACKER in blocked


def test_isolated_judges_each_file_alone_and_names_the_one_that_fails(
    ostiary: Ostiary, auth_log: Path, tmp_path: Path
) -> None:
    (tmp_path / "second.log").write_bytes(auth_log.read_bytes())
    (tmp_path / "noise.bin").write_bytes(bytes(range(256)))
    done = ostiary("run", "--json", "--isolated", "auth.log", "noise.bin", "second.log", code=3)
    rows = rows_of(done)
    first, second = (
        [{**row, "file": ""} for row in rows if row["file"] == name] for name in ("auth.log", "second.log")
    )
    assert first
    assert first == second
    assert "noise.bin" in done.stderr
    assert "sensors.unknown-format" in done.stderr


def test_a_run_can_be_read_again(ostiary: Ostiary, auth_log: Path) -> None:
    shown = ostiary("run", "auth.log").stdout
    for part in (ATTACKER, "isolate", "verified", "report.html", f"ostiary explain {ATTACKER}", "nothing was done"):
        assert part in shown
    entity = json.loads(ostiary("explain", ATTACKER, "--json").stdout)
    assert entity["name"] == ATTACKER
    assert abs(sum(entity["contributions"].values()) - entity["risk"]) < 1e-9
    assert "failed to log in" in ostiary("explain", ATTACKER).stdout
    assert ATTACKER not in ostiary("entities").stdout
    assert ATTACKER in ostiary("entities", "--reveal", "a drill").stdout
    assert json.loads(ostiary("decisions", "--json", "--limit", "1").stdout)["policy_revision"]
    assert "proposed" in ostiary("actions").stdout
    verified = json.loads(ostiary("audit", "verify", "--json").stdout)
    assert verified["ok"]
    kinds = [
        json.loads(line)["kind"] for line in ostiary("audit", "show", "--json", "--limit", "9999").stdout.splitlines()
    ]
    assert kinds[0] == "run.started"
    assert {"decision", "action.proposed", "run.finished", "reveal"} <= set(kinds)


def test_errors_say_what_to_do_and_have_their_exit_codes(ostiary: Ostiary, tmp_path: Path) -> None:
    assert "--interface" in ostiary("run", code=2).stderr
    assert "No such file" in ostiary("run", "none.pcap", code=3).stderr
    (tmp_path / "odd.txt").write_text("nothing of ours\n")
    assert "--format" in ostiary("run", "odd.txt", code=3).stderr
    assert "no format 'x'" in ostiary("run", "odd.txt", "--format", "x", code=3).stderr
    assert "holds nothing yet" in ostiary("entities", code=4).stderr
    (tmp_path / "ostiary.toml").write_text("[risk]\nsed = 1\n")
    assert "ostiary.toml:2: risk.sed" in ostiary("entities", code=1).stderr


def test_an_unknown_entity_is_told(ostiary: Ostiary, auth_log: Path) -> None:
    ostiary("run", "auth.log")
    assert "no run knows 192.0.2.99" in ostiary("explain", "192.0.2.99", code=4).stderr


def test_a_broken_audit_log_is_an_exit_code(ostiary: Ostiary, auth_log: Path, tmp_path: Path) -> None:
    ostiary("run", "auth.log")
    bundle = next(path for path in (tmp_path / "state" / "audit" / "tile" / "entries").rglob("*") if path.is_file())
    damaged = bytearray(bundle.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    bundle.write_bytes(damaged)
    assert "DOES NOT VERIFY" in ostiary("audit", "verify", code=1).stderr


def test_recorded_decisions_are_made_again(ostiary: Ostiary, auth_log: Path) -> None:
    ostiary("run", "auth.log")
    every = json.loads(ostiary("decisions", "--again", "all", "--purpose", "a drill", "--json").stdout)
    assert list(every["outcomes"]) == ["same"]
    assert every["outcomes"]["same"] >= 60
    newest = json.loads(ostiary("decisions", "--json", "--limit", "1").stdout)
    assert ATTACKER not in json.dumps(newest)
    again = json.loads(ostiary("decisions", "--again", newest["id"], "--purpose", "a drill", "--json").stdout)
    assert again["decision"]["entity"]["id"] == ATTACKER
    assert again["decision"]["verdict"] == newest["verdict"]
    assert "made again" in ostiary("decisions", "--again", newest["id"], "--purpose", "a drill").stdout
    assert "--purpose" in ostiary("decisions", "--again", "all", code=2).stderr
    assert "no decision x" in ostiary("decisions", "--again", "x", "--purpose", "a drill", code=4).stderr
    kinds = [
        json.loads(line)["what"] for line in ostiary("audit", "show", "--json", "--limit", "9").stdout.splitlines()
    ]
    assert kinds.count("made decisions again") == 3
