"""`ostiary policy`: what an operator types, from a changed rule to the bundle in force and back."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from ostiary.deciding import policy_engine
from ostiary.settings import load
from policy.bundles import SHIPPED, load_bundle

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs `ostiary policy` with a state directory of its own, without OPA."""

    def call(*arguments: str, code: int = 0, signer: str = "") -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"OSTIARY_STATE_DIR": str(tmp_path / "state"), "PATH": os.defpath}
        if signer:
            environment["OSTIARY_POLICY__SIGNERS"] = signer
        done = subprocess.run(
            [sys.executable, "-m", "ostiary", "policy", *arguments],
            capture_output=True, text=True, env=environment, cwd=tmp_path, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


@pytest.fixture
def changed(tmp_path: Path) -> Path:
    """A copy of the shipped bundle with another threshold, which its tests allow."""
    folder = Path(shutil.copytree(SHIPPED, tmp_path / "changed"))
    text = (folder / "data.json").read_text()
    (folder / "data.json").write_text(text.replace('"at_least": 0.7', '"at_least": 0.65'))
    return folder


@pytest.fixture
def keys(tmp_path: Path) -> tuple[str, str]:
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    encryption = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return str(private), str(public)


def in_force(tmp_path: Path) -> str:
    return policy_engine(load(None, {"OSTIARY_STATE_DIR": str(tmp_path / "state")})).revision


def test_activate_roll_back_and_what_decides(run: Run, changed: Path, tmp_path: Path) -> None:
    assert in_force(tmp_path) == load_bundle().revision
    found = json.loads(run("activate", str(changed), "--generate", "50", "--json").stdout)
    assert found["ok"] and found["inputs"] == 50 and not found["opa"]
    assert in_force(tmp_path) == load_bundle(changed).revision == found["revision"]
    run("activate", str(SHIPPED), "--generate", "50")
    assert json.loads(run("rollback", "--json").stdout)["revision"] == load_bundle(changed).revision
    assert in_force(tmp_path) == load_bundle(changed).revision


def test_signed_and_numbered(run: Run, changed: Path, keys: tuple[str, str], tmp_path: Path) -> None:
    for epoch in ("1", "2"):
        run("sign", str(changed), "--key", keys[0], "--epoch", epoch, "-o", f"{epoch}.tar.gz")
    run("activate", "2.tar.gz", "--generate", "20", signer=keys[1])
    assert "[policy.epoch]" in run("activate", "1.tar.gz", signer=keys[1], code=1).stderr
    assert "[policy.signature]" in run("activate", str(changed), signer=keys[1], code=1).stderr
    assert in_force(tmp_path) == load_bundle(changed).revision
    assert json.loads(run("sign", "2.tar.gz", "--key", keys[0], "-o", "3.tar.gz", "--json").stdout)["epoch"] == 2


def test_what_is_refused_leaves_the_old_in_force(run: Run, changed: Path, tmp_path: Path) -> None:
    (changed / "late.rego").write_text('package ostiary\n\nlate if not startswith(input.action, "x")\n')
    done = run("activate", str(changed), code=1)
    assert "late.rego:3" in done.stderr and "[policy.judgement]" in done.stderr
    run("activate", "nowhere", code=3)
    assert "[policy.activation]" in run("rollback", code=4).stderr
    assert in_force(tmp_path) == load_bundle().revision


def test_check_says_everything(run: Run, changed: Path, tmp_path: Path) -> None:
    assert "1,000 inputs" in run("check", str(changed)).stdout
    assert json.loads(run("check", "--json", "--generate", "10").stdout)["ok"]
    (changed / "more.rego").write_text('package ostiary\n\na := input.user\n\nb := http.send({"url": input.action})\n')
    found = json.loads(run("check", str(changed), "--json", code=1).stdout)
    assert not found["ok"] and len(found["problems"]) == 2
    recorded = tmp_path / "inputs.jsonl"
    recorded.write_text('{"version": 1}\n{"id": "x", "input": {"version": 1}}\n')
    found = json.loads(run("check", str(SHIPPED), "--inputs", str(recorded), "--generate", "0", "--json").stdout)
    assert found["inputs"] == 2
    recorded.write_text("{")
    run("check", str(SHIPPED), "--inputs", str(recorded), code=3)


def test_tests_are_run(run: Run, changed: Path) -> None:
    assert re.search(r"([0-9]+) of \1 tests hold", run("test").stdout)
    (changed / "data.json").write_text(
        (SHIPPED / "data.json").read_text().replace('"at_least": 0.7', '"at_least": 0.85')
    )
    found = json.loads(run("test", str(changed), "--json", code=1).stdout)
    assert any(not trial["ok"] for trial in found["tests"])


def test_differences_are_shown(run: Run, changed: Path) -> None:
    found = json.loads(run("diff", str(changed), "--json", code=1).stdout)
    assert found["files"] == ["data.json"] and found["otherwise"] > 0
    assert {"old", "new", "inputs", "example"} == set(found["verdicts"][0])
    assert "0 of 200 inputs" in run("diff", str(SHIPPED), "--generate", "200").stdout


def test_bench_measures(run: Run) -> None:
    found = json.loads(run("bench", "--count", "200", "--json").stdout)
    assert found["decisions"] == 200 and found["p50_us"] > 0


@pytest.mark.server
def test_a_real_opa_is_asked(tmp_path: Path) -> None:
    tools = f"{os.environ.get('PATH', '')}:{Path(__file__).parents[3] / '.tools' / 'bin'}"
    if shutil.which("opa", path=tools) is None:
        pytest.fail("no OPA") if os.environ.get("CI") else pytest.skip("no OPA: it is NOT asked")
    done = subprocess.run(
        [sys.executable, "-m", "ostiary", "policy", "check", str(SHIPPED), "--generate", "100", "--json"],
        capture_output=True, text=True, env=os.environ | {"PATH": tools}, cwd=tmp_path, check=True, timeout=120,
    )  # fmt: skip
    assert json.loads(done.stdout)["opa"]
