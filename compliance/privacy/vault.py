"""The vault: the one place where it is written down who stands behind a pseudonym.

Guarantees: an SQLite file of mode 0600; each subject is sealed under a key of its own (AES-256-GCM, bound to the
pseudonym), and that key under one derived from the root key. `erase` destroys the subject's key, opening and ciphertext
and overwrites their place in the file before it returns; commitments in the audit log then tell nothing to anybody.
What was sealed since the last `flush` (or the last 256 subjects) may be lost with the machine: flush before you append
to the log. One process writes at a time.

Does not decide who may look: reveals need a purpose, a role and an audit entry of their own. Cannot reach copies:
backups of this file, and blocks that a solid-state disk has not reused yet, outlive an erasure.
"""

import hmac
import os
import secrets
import sqlite3
import stat
import threading
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from compliance.errors import UnknownSubjectError, VaultError
from compliance.keys import RootKey
from compliance.privacy.commitments import OPENING, commit
from compliance.privacy.pseudonyms import Pseudonymiser
from sensors.values import Entity, EntityKind

BATCH = 256
"""Subjects sealed between two commits."""
CACHE = 65_536
"""Subjects remembered in memory; the oldest goes first."""

_NONCE, _MARK = 12, 8
_SCHEMA = """
CREATE TABLE IF NOT EXISTS vault (key_check BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS subject (
    pseudonym TEXT PRIMARY KEY, commitment TEXT NOT NULL UNIQUE, wrapped BLOB NOT NULL, sealed BLOB NOT NULL
) WITHOUT ROWID;
"""


class Vault:
    """Seals and finds subjects. May be shared by threads."""

    def __init__(self, connection: sqlite3.Connection, key: RootKey) -> None:
        self._connection = connection
        self._pseudonymiser = Pseudonymiser(key.derive("pseudonyms"))
        self._kek = AESGCM(key.derive("vault"))
        self._pending = 0
        self._turn = threading.RLock()
        self._known: dict[Entity, tuple[str, str]] = {}
        self._keys: dict[str, tuple[AESGCM, bytes]] = {}

    @classmethod
    def open(cls, path: Path, key: RootKey) -> "Vault":
        """Open the vault, creating the file where there is none.

        Raises `VaultError` where it cannot be read, others may read it, or it was sealed under another root key.
        """
        try:
            connection = _connect(path)
            _check_key(connection, hmac.digest(key.derive("vault-check"), b"vault", "sha256"))
        except (OSError, sqlite3.Error) as error:
            raise VaultError(f"{path}: {error}") from error
        return cls(connection, key)

    def seal(self, entity: Entity) -> str:
        """Return the entity's pseudonym, and make sure that the vault knows who stands behind it."""
        return self._seal(entity)[0]

    def commitment(self, entity: Entity) -> str:
        """Return the entity's commitment, for the audit log: the same until the subject is erased, then a new one."""
        return self._seal(entity)[1]

    def find(self, name: str) -> Entity:
        """Return who stands behind a pseudonym or commitment; raise `UnknownSubjectError` where nobody does."""
        return self._open(name)[0]

    def opening(self, name: str) -> bytes:
        """Return the opening that proves whom a subject's commitment meant; raise `UnknownSubjectError`."""
        return self._open(name)[1]

    def protect(self, name: str, plain: bytes, record: str) -> bytes:
        """Encrypt what a record says of a subject, so that erasing the subject destroys it, too.

        AES-256-GCM under the subject's key, bound to the record's id; up to 2^32 records a subject (NIST SP 800-38D,
        8.3). Raises `UnknownSubjectError`.
        """
        key, mark = self._key(name)
        return mark + _encrypt(key, plain, f"record\0{record}")

    def disclose(self, name: str, protected: bytes, record: str) -> bytes:
        """Return what `protect` encrypted; raise `VaultError` where it is not of this record.

        Raises `UnknownSubjectError` after an erasure, even where the subject has been seen, and sealed, again since.
        """
        key, mark = self._key(name)
        if not hmac.compare_digest(protected[:_MARK], mark):
            raise UnknownSubjectError("the subject was erased after this record was made")
        try:
            return _decrypt(key, protected[_MARK:], f"record\0{record}")
        except (InvalidTag, ValueError) as error:
            raise VaultError("this was not protected for this record") from error

    def erase(self, name: str) -> bool:
        """Destroy what is known of a subject, durably; tell whether there was anything."""
        with self._turn:
            self._keys.clear()
            self._known = {entity: names for entity, names in self._known.items() if name not in names}
            try:
                self._begin()
                found = self._connection.execute(
                    "DELETE FROM subject WHERE pseudonym = ?1 OR commitment = ?1", (name,)
                ).rowcount
            except sqlite3.Error as error:
                raise VaultError(str(error)) from error
            self.flush()
            return bool(found)

    def flush(self) -> None:
        """Make everything sealed so far durable."""
        with self._turn:
            try:
                if self._connection.in_transaction:
                    self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise VaultError(str(error)) from error
            self._pending = 0

    def close(self) -> None:
        """Flush and close."""
        with self._turn:
            self.flush()
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN IMMEDIATE")

    def _seal(self, entity: Entity) -> tuple[str, str]:
        with self._turn:
            if names := self._known.get(entity):
                return names
            pseudonym = self._pseudonymiser.pseudonym(entity)
            try:
                commitment = self._commitment(pseudonym) or self._insert(entity, pseudonym)
            except sqlite3.Error as error:
                raise VaultError(str(error)) from error
            if len(self._known) >= CACHE:
                del self._known[next(iter(self._known))]
            self._known[entity] = pseudonym, commitment
            return pseudonym, commitment

    def _commitment(self, pseudonym: str) -> str | None:
        row = self._connection.execute("SELECT commitment FROM subject WHERE pseudonym = ?", (pseudonym,)).fetchone()
        return str(row[0]) if row else None

    def _insert(self, entity: Entity, pseudonym: str) -> str:
        opening = secrets.token_bytes(OPENING)
        data_key = secrets.token_bytes(32)
        plain = opening + f"{entity.kind}\0{entity.id}".encode("utf-8", "surrogatepass")
        wrapped = _encrypt(self._kek, data_key, pseudonym)
        sealed = _encrypt(AESGCM(data_key), plain, pseudonym)
        commitment = commit(opening, entity)
        self._begin()
        self._connection.execute("INSERT INTO subject VALUES (?, ?, ?, ?)", (pseudonym, commitment, wrapped, sealed))
        self._pending += 1
        if self._pending >= BATCH:
            self.flush()
        return commitment

    def _key(self, name: str) -> tuple[AESGCM, bytes]:
        """Return a subject's key, and the mark by which one tells it from a later key of the same subject."""
        with self._turn:
            if known := self._keys.get(name):
                return known
            pseudonym, wrapped, _ = self._row(name)
            try:
                secret = _decrypt(self._kek, wrapped, pseudonym)
                found = AESGCM(secret), hmac.digest(secret, b"mark", "sha256")[:_MARK]
            except (InvalidTag, ValueError, TypeError) as error:
                raise VaultError("the vault holds something else than what was sealed") from error
            if len(self._keys) >= CACHE:
                del self._keys[next(iter(self._keys))]
            self._keys[name] = found
            return found

    def _row(self, name: str) -> tuple[str, bytes, bytes]:
        try:
            with self._turn:
                row = self._connection.execute(
                    "SELECT pseudonym, wrapped, sealed FROM subject WHERE pseudonym = ?1 OR commitment = ?1", (name,)
                ).fetchone()
        except (sqlite3.Error, ValueError) as error:
            raise VaultError(str(error)) from error
        if row is None:
            raise UnknownSubjectError("the vault does not know this subject")
        return row[0], row[1], row[2]

    def _open(self, name: str) -> tuple[Entity, bytes]:
        pseudonym, wrapped, sealed = self._row(name)
        try:
            plain = _decrypt(AESGCM(_decrypt(self._kek, wrapped, pseudonym)), sealed, pseudonym)
            kind, _, id_ = plain[OPENING:].decode("utf-8", "surrogatepass").partition("\0")
            return Entity(EntityKind(kind), id_), plain[:OPENING]
        except (InvalidTag, ValueError, TypeError) as error:
            raise VaultError("the vault holds something else than what was sealed") from error


def _encrypt(key: AESGCM, plain: bytes, bound_to: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + key.encrypt(nonce, plain, bound_to.encode())


def _decrypt(key: AESGCM, sealed: bytes, bound_to: str) -> bytes:
    return key.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound_to.encode())


def _connect(path: Path) -> sqlite3.Connection:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) & 0o077:
            raise VaultError(f"{path} may be read by others: chmod 600 it")
    finally:
        os.close(descriptor)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    # A rollback journal, not a write-ahead log: what is erased must not live on in a second file.
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(_SCHEMA)
    return connection


def _check_key(connection: sqlite3.Connection, check: bytes) -> None:
    row = connection.execute("SELECT key_check FROM vault").fetchone()
    if row is None:
        connection.execute("INSERT INTO vault VALUES (?)", (check,))
    elif not (isinstance(row[0], bytes) and hmac.compare_digest(row[0], check)):
        raise VaultError("the vault was sealed under another root key")
