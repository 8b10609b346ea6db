"""The vault: who stands behind a pseudonym, and how that is forgotten."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compliance.audit.leaves import encode
from compliance.errors import UnknownSubjectError, VaultError
from compliance.keys import RootKey
from compliance.privacy import Vault, opens
from compliance.privacy.vault import BATCH
from compliance.values import AuditEntry
from sensors.values import Entity, EntityKind

KEY = RootKey(bytes(range(32)))
ALICE = Entity(EntityKind.USER, "alice")
HOST = Entity(EntityKind.IP, "192.0.2.7")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.db"


def test_sealing_is_idempotent_and_finds_the_entity_again(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        name, commitment = vault.seal(ALICE), vault.commitment(ALICE)
        assert vault.seal(ALICE) == name
        assert vault.find(name) == vault.find(commitment) == ALICE
        assert opens(commitment, vault.opening(name), ALICE)
    with Vault.open(path, KEY) as vault:
        assert (vault.seal(ALICE), vault.commitment(ALICE)) == (name, commitment)
        assert vault.find(name) == ALICE


@settings(max_examples=40, deadline=None)
@given(st.lists(st.builds(Entity, st.sampled_from(EntityKind), st.text()), max_size=8))
def test_any_entity_comes_back(tmp_path_factory: pytest.TempPathFactory, entities: list[Entity]) -> None:
    with Vault.open(tmp_path_factory.mktemp("vault") / "vault.db", KEY) as vault:
        names = [vault.seal(entity) for entity in entities]
        assert [vault.find(name) for name in names] == entities


def test_names_fit_into_audit_entries(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        for kind in EntityKind:
            for name in (vault.seal(Entity(kind, "x")), vault.commitment(Entity(kind, "x"))):
                encode(AuditEntry("k", "w", "x", "y", 0, subject=name))


def test_only_the_owner_reads_the_file_and_nothing_in_it_is_plain(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        vault.seal(ALICE)
        vault.seal(HOST)
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"alice" not in path.read_bytes()
    assert b"192.0.2.7" not in path.read_bytes()
    path.chmod(0o640)
    with pytest.raises(VaultError, match="chmod 600"):
        Vault.open(path, KEY)


def test_erasure_leaves_nothing_on_disk_and_a_new_commitment_afterwards(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        for number in range(300):
            vault.seal(Entity(EntityKind.IP, f"198.51.100.{number}"))
        name, commitment, opening = vault.seal(ALICE), vault.commitment(ALICE), vault.opening(vault.seal(ALICE))
        vault.flush()
        rows = sqlite3.connect(path)
        secrets = rows.execute("SELECT wrapped, sealed FROM subject WHERE pseudonym = ?", (name,)).fetchone()
        rows.close()
        assert all(secret in path.read_bytes() for secret in secrets)
        assert vault.erase(commitment)
        on_disk = b"".join(file.read_bytes() for file in path.parent.iterdir())
        for secret in (*secrets, opening, commitment.encode(), name.encode()):
            assert secret not in on_disk
        assert not vault.erase(name)
        with pytest.raises(UnknownSubjectError):
            vault.find(name)
        assert vault.seal(ALICE) == name
        assert vault.commitment(ALICE) != commitment
        assert not opens(commitment, vault.opening(name), ALICE)


def test_an_unknown_subject(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        for name in ("ip-unknown", "", "\ud800", "' OR 1=1 --"):
            with pytest.raises(VaultError):
                vault.find(name)


def test_another_root_key_is_refused(path: Path) -> None:
    Vault.open(path, KEY).close()
    with pytest.raises(VaultError, match="another root key"):
        Vault.open(path, RootKey(bytes(32)))


@pytest.mark.parametrize("column", ["wrapped", "sealed"])
@pytest.mark.parametrize("value", [b"", b"x" * 60, None, 7, "text"])
def test_a_changed_row_is_an_error(path: Path, column: str, value: object) -> None:
    with Vault.open(path, KEY) as vault:
        name = vault.seal(ALICE)
    rows = sqlite3.connect(path)
    try:
        rows.execute(f"UPDATE subject SET {column} = ?", (value,))
        rows.commit()
    except sqlite3.IntegrityError:
        return
    finally:
        rows.close()
    with Vault.open(path, KEY) as vault, pytest.raises(VaultError):
        vault.find(name)


def test_rows_cannot_change_places(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        alice, host = vault.seal(ALICE), vault.seal(HOST)
    rows = sqlite3.connect(path)
    rows.execute("UPDATE subject SET pseudonym = 'aside' WHERE pseudonym = ?", (alice,))
    rows.execute("UPDATE subject SET pseudonym = ? WHERE pseudonym = ?", (alice, host))
    rows.commit()
    rows.close()
    with Vault.open(path, KEY) as vault, pytest.raises(VaultError):
        vault.find(alice)


@pytest.mark.parametrize("content", [b"nonsense" * 200, b"SQLite format 3\0" + b"\7" * 5_000])
def test_a_file_that_is_no_vault(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(VaultError):
        Vault.open(path, KEY)


def test_a_place_that_cannot_hold_a_vault(tmp_path: Path) -> None:
    with pytest.raises(VaultError):
        Vault.open(tmp_path / "none" / "vault.db", KEY)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VaultError):
        Vault.open(tmp_path / "link", KEY)


CHILD = """
import os, sys
from pathlib import Path
from compliance.keys import RootKey
from compliance.privacy import Vault
from sensors.values import Entity, EntityKind

vault = Vault.open(Path(sys.argv[1]), RootKey(bytes(range(32))))
for number in range(1000):
    vault.seal(Entity(EntityKind.IP, str(number)))
vault.flush()
print("flushed", flush=True)
for number in range(1000, 1010):
    vault.seal(Entity(EntityKind.IP, str(number)))
os.kill(os.getpid(), 9)
"""


def test_what_was_flushed_survives_the_process(path: Path) -> None:
    child = subprocess.run([sys.executable, "-c", CHILD, path], capture_output=True, text=True, check=False)
    assert (child.returncode, child.stdout) == (-signal.SIGKILL, "flushed\n"), child.stderr
    with Vault.open(path, KEY) as vault:
        rows = sqlite3.connect(path)
        assert rows.execute("SELECT count(*) FROM subject").fetchone()[0] >= 1000
        rows.close()
        assert vault.find(vault.seal(Entity(EntityKind.IP, "999"))).id == "999"


def test_commits_are_batched(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        for number in range(BATCH + 1):
            vault.seal(Entity(EntityKind.IP, str(number)))
        rows = sqlite3.connect(path)
        assert rows.execute("SELECT count(*) FROM subject").fetchone()[0] == BATCH
        rows.close()


def test_what_is_protected_comes_back_for_its_record_only(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        alice, host = vault.seal(ALICE), vault.seal(HOST)
        protected = vault.protect(alice, b"alice came", "record-1")
        assert b"alice" not in protected
        assert vault.disclose(alice, protected, "record-1") == b"alice came"
    with Vault.open(path, KEY) as vault:
        assert vault.disclose(alice, protected, "record-1") == b"alice came"
        for name, part, record in (
            (alice, protected, "record-2"), (alice, protected[:-1], "record-1"), (alice, protected[:9], "record-1"),
            (host, protected, "record-1"), (alice, b"", "record-1"),
        ):  # fmt: skip
            with pytest.raises(VaultError):
                vault.disclose(name, part, record)


def test_after_an_erasure_nothing_protected_comes_back(path: Path) -> None:
    with Vault.open(path, KEY) as vault:
        alice = vault.seal(ALICE)
        protected = vault.protect(alice, b"alice came", "record-1")
        vault.erase(alice)
        with pytest.raises(UnknownSubjectError):
            vault.disclose(alice, protected, "record-1")
        assert vault.seal(ALICE) == alice
        with pytest.raises(UnknownSubjectError, match="after this record"):
            vault.disclose(alice, protected, "record-1")
