"""The state directory: where everything lies that Ostiary writes.

    audit/       the audit log: tiles, checkpoint, the key that signs and the one that verifies
    root.key     the key from which those of pseudonyms and vault come
    ostiary.db   the store: runs, entities, decisions, actions, all under pseudonyms
    vault.db     who the pseudonyms are, encrypted under a key for each subject
    decisions/   the history of decisions as Parquet, by day, and how far the store has been written out
    told/        how far each of those has been told who are named in `policy.log_to`
    policy/      the bundle in force, the one before, and the highest epoch that ever was
    tokens.json  hashes of the API's tokens; first-token holds the first one until it is moved away
    report.html  the newest report

The directory has mode 0700. One process writes at a time; the audit log's lock says so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from compliance.audit.log import AuditLog
from compliance.keys import open_root_key
from compliance.privacy.pseudonyms import Pseudonymiser
from compliance.privacy.vault import Vault
from ostiary.errors import StateError
from ostiary.settings import Settings
from ostiary.store import Limits, Store

AUDIT, ROOT_KEY, STORE, VAULT = "audit", "root.key", "ostiary.db", "vault.db"
TOKENS, FIRST_TOKEN, REPORT = "tokens.json", "first-token", "report.html"
QUEUES = "queues"
"""Folder of what receivers took and nobody has judged yet, as it came: plain, under mode 0700, until it is judged."""


@dataclass(frozen=True, slots=True)
class State:
    """The state directory, opened for writing."""

    path: Path
    audit: AuditLog
    vault: Vault
    store: Store

    @classmethod
    @contextmanager
    def open(cls, settings: Settings) -> Iterator[Self]:
        """Open the state directory, creating it when new; raise `StateError` or a part's own error."""
        path = make_directory(settings.state_path())
        with (
            AuditLog.open(path / AUDIT, settings.compliance.log_origin) as audit,
            Vault.open(path / VAULT, open_root_key(path / ROOT_KEY)) as vault,
            Store.create(path / STORE, Limits(decisions=settings.max_decisions)) as store,
        ):
            yield cls(path, audit, vault, store)


def make_directory(path: Path) -> Path:
    """Return the directory, created with mode 0700 when new; raise `StateError`."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{path}: {error.strerror or error}; choose another with --state DIR") from error
    return path


def existing(settings: Settings) -> Path:
    """Return the state directory for reading; raise `StateError` where there is none."""
    path = settings.state_path()
    if not (path / STORE).exists():
        raise StateError(
            f"{path} holds nothing yet: `ostiary run FILE` or `ostiary up` fills it, --state names another"
        )
    return path


def pseudonymiser(settings: Settings) -> Pseudonymiser:
    """Return what gives pseudonyms in this state directory, without opening it for writing."""
    return Pseudonymiser(open_root_key(existing(settings) / ROOT_KEY).derive("pseudonyms"))
