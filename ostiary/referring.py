"""The site's own reference of normal traffic: trained from files, activated by a person, with a way back.

    reference.npz           the one in force; without it the shipped one is
    reference.before.npz    the one before, where there was one

Guarantees: a file is checked whole before it is taken; each change is in the audit log, with the digests of both,
before it is in force; it takes effect with the next start, when the models begin anew beside it. A reference in force
that is damaged stops the engine with a typed error: it isn't silently replaced by the shipped one.
"""

import getpass
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from compliance.values import AuditEntry
from ostiary.errors import NotFoundError
from ostiary.keeping import replace_whole
from ostiary.settings import Settings
from ostiary.state import State
from risk.errors import BadReferenceError
from risk.reference import Reference, default_reference
from risk.reference.training import gather
from risk.settings import RiskSettings
from risk.windows import MODELS
from sensors.values import Batch

IN_FORCE, BEFORE = "reference.npz", "reference.before.npz"


@dataclass(frozen=True, slots=True)
class Standing:
    """Which reference is in force."""

    origin: str
    """`site`, `shipped` or `none`."""
    digest: str
    about: str
    rows: int
    way_back: str
    """Digest of the one before; "shipped" or "" where there is none."""


def site_reference(settings: Settings) -> Reference | None:
    """Return the reference that was activated here, None where none was; raise `BadReferenceError`."""
    file = settings.state_path() / IN_FORCE
    return read_reference(file) if file.is_file() else None


def read_reference(file: Path) -> Reference:
    """Read a reference of the features that the models look at; raise `BadReferenceError` or `NotFoundError`."""
    try:
        found = Reference.from_bytes(file.read_bytes())
    except OSError as error:
        raise NotFoundError(f"{file}: {error.strerror or error}") from error
    if found.names != MODELS:
        raise BadReferenceError(f"{file} was trained on other features than this version looks at: train it anew")
    return found


def train(inputs: Iterable[Iterable[Batch]], settings: RiskSettings, about: str) -> Reference:
    """Train on the flows of inputs, each with windows of its own; raise `BadReferenceError` for too few."""
    rows = np.concatenate([np.zeros((0, len(MODELS))), *(gather(batches, settings) for batches in inputs)])
    return Reference.fit(rows, MODELS, seed=settings.seed, about=about)


def activate(settings: Settings, reference: Reference, why: str) -> None:
    """Take a reference into force and keep the one before."""
    with State.open(settings) as state:
        now = _digest(settings)
        _record(state, settings, "reference.activate", why, now, reference.digest)
        current = state.path / IN_FORCE
        if current.is_file():
            replace_whole(state.path / BEFORE, current.read_bytes())
        else:
            (state.path / BEFORE).unlink(missing_ok=True)
        replace_whole(current, reference.to_bytes())


def revert(settings: Settings, why: str) -> None:
    """Go back to the reference before, the shipped one where there was none; raise `NotFoundError`."""
    with State.open(settings) as state:
        current, before = state.path / IN_FORCE, state.path / BEFORE
        if not current.is_file():
            raise NotFoundError("the shipped reference is in force: there is nothing to go back to")
        back = read_reference(before) if before.is_file() else None
        shipped = default_reference()
        digest = back.digest if back else shipped.digest if shipped else ""
        _record(state, settings, "reference.revert", why, _digest(settings), digest)
        if back is None:
            current.unlink()
        else:
            replace_whole(current, back.to_bytes())
            before.unlink()


def standing(settings: Settings) -> Standing:
    """Return which reference is in force; raise `BadReferenceError`."""
    site, shipped = site_reference(settings), default_reference()
    found = site or shipped
    if found is None:
        return Standing("none", "", "", 0, "")
    before = settings.state_path() / BEFORE
    back = read_reference(before).digest if before.is_file() else "shipped"
    return Standing("site" if site else "shipped", found.digest, found.about, found.rows, back if site else "")


def _digest(settings: Settings) -> str:
    found = site_reference(settings) or default_reference()
    return found.digest if found else ""


def _record(state: State, settings: Settings, what: str, why: str, before: str, after: str) -> None:
    entry = AuditEntry(
        kind="activation", who=f"local user {getpass.getuser()}", what=what, why=why, ts=time.time_ns(),
        purpose=settings.compliance.purpose, legal_basis=settings.compliance.legal_basis,
        facts={"before": before, "after": after},
    )  # fmt: skip
    state.audit.append([entry])
