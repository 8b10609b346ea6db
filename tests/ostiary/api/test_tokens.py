"""Tokens: made once, kept as hashes, private, revocable."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ostiary.api.access import Role
from ostiary.api.errors import TokenFileError, TokenNameError
from ostiary.api.tokens import Tokens


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tokens.json"


def test_a_token_is_known_again_and_nowhere_written(path: Path) -> None:
    tokens = Tokens(path)
    token = tokens.create("ann", [Role.ANALYST, Role.VIEWER, Role.ANALYST], 7)
    found = Tokens(path).authenticate(token)
    assert found is not None
    assert (found.name, found.roles, found.created_ns) == ("ann", (Role.VIEWER, Role.ANALYST), 7)
    assert len(token) == 4 + 43
    assert token not in path.read_text() and token[4:] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_tokens_differ(path: Path) -> None:
    tokens = Tokens(path)
    made = {tokens.create(f"n{n}", [Role.VIEWER], n) for n in range(20)}
    assert len(made) == 20
    assert [record.name for record in tokens.records()] == [f"n{n}" for n in range(20)]


@pytest.mark.parametrize(
    "odd", ["", "x", "ost_", "ost_" + "A" * 43, "ost_" + "é" * 43, "ost_" + "A" * 44, "A" * 10_000]
)
def test_other_texts_are_nobody(path: Path, odd: str) -> None:
    tokens = Tokens(path)
    assert tokens.authenticate(odd) is None
    tokens.create("ann", [Role.VIEWER], 1)
    assert tokens.authenticate(odd) is None


def test_a_revoked_token_is_nobody_and_stays_listed(path: Path) -> None:
    tokens = Tokens(path)
    token, other = tokens.create("ann", [Role.VIEWER], 1), tokens.create("bob", [Role.VIEWER], 1)
    running = Tokens(path)
    assert running.authenticate(token) is not None
    tokens.revoke("ann", 5)
    tokens.revoke("ann", 6)
    assert running.authenticate(token) is None
    assert running.authenticate(other) is not None
    assert [record.revoked_ns for record in tokens.records()] == [5, 0]
    with pytest.raises(TokenNameError, match="not used again"):
        tokens.create("ann", [Role.VIEWER], 7)


def test_names_and_roles_are_checked(path: Path) -> None:
    tokens = Tokens(path)
    for name in ("", " ann", "a b", "a\n", "-a", "a" * 65, "é"):
        with pytest.raises(TokenNameError):
            tokens.create(name, [Role.VIEWER], 1)
    with pytest.raises(TokenNameError, match="role"):
        tokens.create("ann", [], 1)
    with pytest.raises(TokenNameError, match="no token"):
        tokens.revoke("ann", 1)
    assert tokens.records() == ()


def test_the_first_token_is_written_once(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "first-token"
    assert Tokens(path).create_first(secret, 1)
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    found = Tokens(path).authenticate(secret.read_text().strip())
    assert found is not None and found.roles == tuple(Role)
    secret.unlink()
    assert not Tokens(path).create_first(secret, 2)
    assert not secret.exists()


def test_the_first_token_overwrites_nothing_and_follows_no_link(path: Path, tmp_path: Path) -> None:
    secret = tmp_path / "first-token"
    secret.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(TokenFileError, match="move it away"):
        Tokens(path).create_first(secret, 1)
    assert not (tmp_path / "elsewhere").exists()
    assert Tokens(path).records() == ()


def test_many_at_once_lose_nothing(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: Tokens(path).create(f"n{n}", [Role.VIEWER], n), range(24)))
    tokens = Tokens(path)
    assert len(tokens.records()) == 24
    assert all(tokens.authenticate(token) for token in made)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "7",
        "{}",
        '{"tokens": 1}',
        '{"tokens": [{}]}',
        '{"tokens": [{"name": "a", "roles": ["king"]}]}',
        "\x00",
    ],
)
def test_a_damaged_file_is_typed_and_left_alone(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    path.chmod(0o600)
    tokens = Tokens(path)
    for act in (tokens.records, lambda: tokens.authenticate("x"), lambda: tokens.create("ann", [Role.VIEWER], 1)):
        with pytest.raises(TokenFileError, match="move it away"):
            act()
    assert path.read_text() == content


def test_a_file_that_others_may_read_is_refused(path: Path) -> None:
    Tokens(path).create("ann", [Role.VIEWER], 1)
    path.chmod(0o644)
    with pytest.raises(TokenFileError, match="chmod 600"):
        Tokens(path).records()


def test_a_place_that_cannot_be_written_is_typed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TokenFileError):
        Tokens(tmp_path / "file" / "tokens.json").create("ann", [Role.VIEWER], 1)


def test_the_file_holds_only_hashes_names_and_roles(path: Path) -> None:
    Tokens(path).create("ann", [Role.VIEWER], 1)
    (entry,) = json.loads(path.read_text())["tokens"]
    assert set(entry) == {"name", "roles", "sha256", "created_ns", "revoked_ns"}
