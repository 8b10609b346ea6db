"""What can be done with recorded decisions, as a user does it."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from policy.bundles import SHIPPED

Ostiary = Callable[..., "subprocess.CompletedProcess[str]"]
ATTACKER = "203.0.113.66"


def test_a_proposed_policy_beside_and_after_the_active_one(ostiary: Ostiary, auth_log: Path, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path / "next")
    data = json.loads((tmp_path / "next" / "data.json").read_text())
    data["ostiary"]["config"]["bands"][0]["at_least"] = 0.02
    (tmp_path / "next" / "data.json").write_text(json.dumps(data))
    shadowed = {"OSTIARY_POLICY__SHADOW": str(tmp_path / "next")}
    alone = ostiary("run", "--json", "auth.log", state=tmp_path / "alone").stdout
    assert ostiary("run", "--json", "auth.log", environment=shadowed).stdout == alone

    shadow = json.loads(ostiary("policy", "shadow", "--json").stdout)
    found = json.loads(ostiary("policy", "what-if", "next", "--json").stdout)
    assert shadow["different"] == sum(change["decisions"] for change in found["changes"]) > 0
    assert shadow["same"] + shadow["different"] == found["decisions"]
    assert shadow["revision"] == found["policy_revision"]
    assert found["newly_denied"]["people"] == 1
    assert ostiary("policy", "what-if", "next", "--max-newly-denied", "0", code=1).stderr
    assert json.loads(ostiary("policy", "what-if", "--json").stdout)["changes"] == []
    judged = json.loads(ostiary("policy", "check", "--no-opa", "--generate", "100", "--json").stdout)
    assert judged["inputs"] > 100  # the recorded ones, too
    for path in (tmp_path / "next").glob("*_test.rego"):
        path.unlink()
    refused = ostiary("policy", "activate", "next", "--no-opa", "--max-newly-denied", "0", code=1).stderr
    assert "would be denied anew" in refused
    assert "begins at" in ostiary("policy", "what-if", "--alarm-budget", "0").stderr

    changed = found["newly_denied"]["examples"][0]["id"]
    explained = ostiary("policy", "explain", changed, "--bundle", "next").stdout
    assert "by this bundle" in explained
    assert "risk.rego:" in explained
    assert ATTACKER not in explained
    assert json.loads(ostiary("audit", "verify", "--json").stdout)["ok"]
