"""Names and pseudonyms on the command line.

What is stored carries pseudonyms. An entity that the user names is found by the keyed pseudonym of that name. Plain
names are shown only for a stated purpose, after the audit log says so.
"""

import contextlib
import getpass
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from compliance.values import AuditEntry
from ostiary.errors import NotFoundError
from ostiary.settings import Settings
from sensors.addresses import host_entity, normalise_host
from sensors.values import Entity, EntityKind

if TYPE_CHECKING:  # heavy, and --help needs none of it
    from compliance.privacy.vault import Vault

MAX_NAMED = 500
"""Subjects that one audit entry names; it always says how many there were."""

F = TypeVar("F", bound=Callable[..., Any])  # click decorates functions of any shape


def reveal_option(function: F) -> F:
    """Add --reveal to a command."""
    return click.option(
        "--reveal",
        "purpose",
        metavar="PURPOSE",
        help="Show plain names, for this purpose; it is written into the audit log.",
    )(function)


def candidates(settings: Settings, text: str) -> tuple[str, ...]:
    """Return the pseudonyms that a name may have (address, host or user), or the text itself if it is one."""
    from ostiary.state import pseudonymiser

    host = host_entity(normalise_host(text))
    pseudonym = pseudonymiser(settings).pseudonym
    return (pseudonym(host), pseudonym(Entity(EntityKind.USER, text)), text)


def reveal(settings: Settings, pseudonyms: Iterable[str], purpose: str) -> dict[str, str]:
    """Return the plain names of pseudonyms, after the audit log has taken the reveal down; the erased stay out."""
    if not purpose.strip():
        raise click.UsageError("--reveal needs a purpose, e.g. --reveal 'incident 12'")
    wanted = sorted(set(pseudonyms))
    with reading(settings, "read plain names", "a list", purpose, wanted) as vault:
        return {pseudonym: entity.id for pseudonym, entity in _known(vault, wanted).items()}


@contextlib.contextmanager
def reading(
    settings: Settings, what: str, about: str, purpose: str, pseudonyms: Sequence[str] = ()
) -> "Iterator[Vault]":
    """Give the vault to read, after the audit log says who reads what and why.

    Beside a running service, which alone writes the log, the service is asked to; raises `StateError` where it doesn't.
    """
    from compliance.errors import AuditLockedError
    from compliance.keys import open_root_key
    from compliance.privacy.vault import Vault
    from ostiary.cli.asking import ask
    from ostiary.state import ROOT_KEY, VAULT, State

    with contextlib.ExitStack() as stack:
        try:
            state = stack.enter_context(State.open(settings))
        except AuditLockedError:
            order = {"what": what, "about": about, "purpose": purpose, "subjects": list(pseudonyms)}
            ask(settings, None, "POST", "/reveals", order)
            path = settings.state_path()
            vault = Vault.open(path / VAULT, open_root_key(path / ROOT_KEY))
            stack.callback(vault.close)
        else:
            vault = state.vault
            subjects = [vault.commitment(entity) for entity in _known(vault, pseudonyms).values()]
            facts = {"about": about, "subjects": subjects[:MAX_NAMED], "count": len(subjects)}
            state.audit.append([reveal_entry(settings, what, purpose, facts)])
        yield vault


def _known(vault: "Vault", pseudonyms: Iterable[str]) -> dict[str, Entity]:
    """Return who stands behind pseudonyms; the erased, and those of another state directory, stay out."""
    from compliance.errors import UnknownSubjectError

    found: dict[str, Entity] = {}
    for pseudonym in pseudonyms:
        with contextlib.suppress(UnknownSubjectError):
            found[pseudonym] = vault.find(pseudonym)
    return found


def reveal_entry(settings: Settings, what: str, purpose: str, facts: Mapping[str, Any]) -> AuditEntry:
    """Return the audit entry of somebody who reads plain names on this machine."""
    return AuditEntry(
        kind="reveal", who=f"local user {getpass.getuser()}", what=what, why=purpose, ts=time.time_ns(),
        purpose=settings.compliance.purpose, legal_basis=settings.compliance.legal_basis, facts=facts,
    )  # fmt: skip


def spoken(text: str, names: dict[str, str]) -> str:
    """Return a stored sentence with the pseudonyms in it replaced by the names that are known."""
    for pseudonym, name in names.items():
        text = text.replace(pseudonym, name)
    return text


def not_found(text: str) -> NotFoundError:
    """Return the error for an entity that no run knows."""
    return NotFoundError(
        f"no run knows {text}: it gave no evidence, or its name is spelt otherwise (`ostiary entities`)"
    )
