"""Names and pseudonyms on the command line.

What is stored carries pseudonyms. An entity that the user names is found by the keyed pseudonym of that name. Plain
names are shown only for a stated purpose, after the audit log says so.
"""

import contextlib
import getpass
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from compliance.values import AuditEntry
from ostiary.errors import NotFoundError
from ostiary.settings import Settings
from sensors.addresses import host_entity, normalise_host
from sensors.values import Entity, EntityKind

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
    from compliance.errors import UnknownSubjectError
    from ostiary.state import State

    wanted = sorted(set(pseudonyms))
    if not purpose.strip():
        raise click.UsageError("--reveal needs a purpose, e.g. --reveal 'incident 12'")
    with State.open(settings) as state:
        found: dict[str, Entity] = {}
        for pseudonym in wanted:
            with contextlib.suppress(
                UnknownSubjectError
            ):  # erased, or of another state directory: it stays a pseudonym
                found[pseudonym] = state.vault.find(pseudonym)
        subjects = [state.vault.commitment(entity) for entity in found.values()]
        facts = {"subjects": subjects[:MAX_NAMED], "count": len(subjects)}
        state.audit.append([reveal_entry(settings, "read plain names", purpose, facts)])
    return {pseudonym: entity.id for pseudonym, entity in found.items()}


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
