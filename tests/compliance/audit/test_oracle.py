"""Somebody else's code checks our log: golang.org/x/mod/sumdb, the library behind Go's checksum database."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from compliance.audit import AuditLog
from compliance.audit.note import open_checkpoint, parse_verifier
from compliance.values import AuditEntry

pytestmark = pytest.mark.server

SOURCE = Path(__file__).parents[2] / "oracle"
Build = Callable[..., Path]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verifier, built from source with the versions that go.sum pins."""
    go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if go is None:
        reason = "no Go compiler: the audit log is not checked by an independent verifier"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    binary = tmp_path_factory.mktemp("oracle") / "oracle"
    subprocess.run([go, "build", "-mod=readonly", "-o", binary, "."], cwd=SOURCE, check=True, timeout=240)
    return binary


def ask(oracle: Path, directory: Path, saved: Path | str = "", offered: Path | str = "") -> bool:
    vkey = (directory / "log.vkey").read_text().strip()
    answer = subprocess.run(
        [oracle, directory, vkey, saved, offered], capture_output=True, text=True, timeout=60, check=False
    )
    assert (answer.returncode == 0) == answer.stdout.startswith("verified ")
    return answer.returncode == 0


@pytest.mark.parametrize("counts", [(1,), (255,), (256,), (257,), (5, 250, 2, 400), (1000,)])
def test_it_accepts_our_log(oracle: Path, build: Build, counts: tuple[int, ...]) -> None:
    assert ask(oracle, build(*counts))


def test_it_accepts_our_proofs_and_no_others(oracle: Path, directory: Path, tmp_path: Path) -> None:
    roots = {}
    with AuditLog.open(directory, "example.test/audit") as log:
        for count in (1, 2, 300, 255, 9):
            log.append([AuditEntry("label", "analyst", "confirm", "scan", log.size + i) for i in range(count)])
            roots[log.size] = open_checkpoint(log.checkpoint(), parse_verifier(log.vkey)).root
        offered = {
            "Inclusion": [{"Index": i, "Proof": _texts(log.inclusion_proof(i))} for i in range(0, log.size, 7)],
            "Consistency": [
                {"Old": old, "OldRoot": _texts([root])[0], "Proof": _texts(log.consistency_proof(old, log.size))}
                for old, root in roots.items()
            ],
        }
    path = tmp_path / "proofs.json"
    path.write_text(json.dumps(offered))
    assert ask(oracle, directory, offered=path)
    offered["Inclusion"][5]["Proof"][0] = _texts([bytes(32)])[0]
    path.write_text(json.dumps(offered))
    assert not ask(oracle, directory, offered=path)


def _texts(hashes: list[bytes]) -> list[str]:
    return [base64.b64encode(hash_).decode() for hash_ in hashes]


def test_it_sees_that_the_log_only_grew(oracle: Path, build: Build, tmp_path: Path) -> None:
    directory = build(300)
    saved = tmp_path / "saved"
    shutil.copy(directory / "checkpoint", saved)
    with AuditLog.open(directory, "example.test/audit") as log:
        log.append([AuditEntry("label", "analyst", "confirm", "scan", i) for i in range(400)])
    assert ask(oracle, directory, saved)
    shutil.copy(directory / "checkpoint", saved)
    key = (directory / "log.key").read_text()
    shutil.rmtree(directory)
    directory.mkdir()
    (directory / "log.key").write_text(key)
    (directory / "log.key").chmod(0o600)
    with AuditLog.open(directory, "example.test/audit") as log:
        log.append([AuditEntry("label", "analyst", "deny", "scan", i) for i in range(800)])
    assert ask(oracle, directory)
    assert not ask(oracle, directory, saved)


@pytest.mark.parametrize(
    "name", ["checkpoint", "tile/0/000", "tile/entries/000", "tile/entries/001.p/44", "tile/1/000.p/1"]
)
def test_it_refuses_a_flipped_bit(oracle: Path, build: Build, name: str) -> None:
    directory = build(300)
    data = bytearray((directory / name).read_bytes())
    data[len(data) // 2] ^= 1
    (directory / name).write_bytes(data)
    assert not ask(oracle, directory)
