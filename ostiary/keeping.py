"""The risk engine's state between two lives of the service.

    risk.state    the state, encrypted and authenticated (AES-256-GCM, key derived from root.key): it names addresses
    model.json    what the state comes from, without names: for `ostiary model` and for whoever audits it

Guarantees: a file that is forged, damaged, or of another version or settings is never taken up: the service begins
empty and says why; a write is whole or not there; the engine's thread only copies the state, another one packs and
writes it. After a crash the state is as old as the last write (`SAVE_S`); what was judged since isn't judged again.
"""

import gc
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any  # JSON values

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from compliance.keys import open_root_key
from ostiary.state import ROOT_KEY
from risk.engine import CODE_VERSION, RiskEngine
from risk.errors import SnapshotError
from risk.feedback import Feedback
from risk.reference import Reference
from risk.settings import RiskSettings
from risk.snapshot import Snapshot, pack, unpack

STATE, MODEL = "risk.state", "model.json"
MAGIC = b"OSTIARY-SEALED 1"
NONCE = 12
SAVE_S = 600.0
"""Seconds between two writes, or more where copying takes longer than a hundredth of it."""
SPARED = 100
LARGEST = (1 << 31) - 64
"""Bytes that one AES-GCM call takes."""


def seal(key: bytes, plain: bytes) -> bytes:
    """Return bytes that only the holder of the key can read or make."""
    nonce = secrets.token_bytes(NONCE)
    return MAGIC + nonce + AESGCM(key).encrypt(nonce, plain, MAGIC)


def unseal(key: bytes, sealed: bytes) -> bytes:
    """Return what was sealed; raise `SnapshotError`."""
    if not sealed.startswith(MAGIC) or len(sealed) < len(MAGIC) + NONCE:
        raise SnapshotError("the file is no saved state, or of another version")
    nonce = sealed[len(MAGIC) : len(MAGIC) + NONCE]
    try:
        return AESGCM(key).decrypt(nonce, sealed[len(MAGIC) + NONCE :], MAGIC)
    except InvalidTag as error:
        raise SnapshotError("the saved state was changed, or belongs to another state directory") from error


class Keeper:
    """Loads and saves the state of one state directory; belongs to the engine's thread."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._clock = folder, clock
        self._key = open_root_key(folder / ROOT_KEY).derive("risk-state")
        self._saved = clock()
        self._pause = SAVE_S
        self._writing: threading.Thread | None = None
        self.began = "the model begins empty"
        """How the engine of this life began, for people."""
        self.failed = ""
        """Why the last write failed; "" where it didn't."""

    def load(self, settings: RiskSettings, reference: Reference | None = None) -> RiskEngine:
        """Return an engine that goes on from the saved state, or an empty one where there is none to go on from."""
        try:
            sealed = (self._folder / STATE).read_bytes()
            with uncollected():
                engine = RiskEngine.restored(settings, unpack(unseal(self._key, sealed)), reference)
        except FileNotFoundError:
            return RiskEngine(settings, reference)
        except (OSError, SnapshotError) as error:
            self.began = f"the model begins empty: {error}"
            return RiskEngine(settings, reference)
        rows = sum(span.rows for span in engine.lineage.sources.values())
        self.began = (
            f"the model goes on from state {engine.origin} ({rows:,} rows of {len(engine.lineage.sources)} sources)"
        )
        return engine

    def due(self) -> bool:
        """Return whether it is time to save."""
        return self._clock() - self._saved >= self._pause and (self._writing is None or not self._writing.is_alive())

    def save(self, engine: RiskEngine, feedback: Feedback, wait: bool = False) -> None:
        """Copy the state and write it; `wait` until it is on disk."""
        started = self._clock()
        try:
            with uncollected():
                snapshot = engine.save()
        except SnapshotError as error:
            self.failed = str(error)
            return
        finally:
            self._saved = self._clock()
            self._pause = max(SAVE_S, SPARED * (self._saved - started))
        document = describe(engine, feedback)
        if self._writing is not None:
            self._writing.join()
        self._writing = threading.Thread(target=self._write, args=(snapshot, document), name="state", daemon=True)
        self._writing.start()
        if wait:
            self._writing.join()

    def _write(self, snapshot: Snapshot, document: Mapping[str, Any]) -> None:
        try:
            packed = pack(snapshot)
            if len(packed) > LARGEST:
                raise SnapshotError(f"the state has {len(packed):,} bytes, more than can be sealed")
            replace_whole(self._folder / STATE, seal(self._key, packed))
            found = {**document, "state": snapshot.digest, "bytes": len(packed), "saved_ns": time.time_ns()}
            replace_whole(self._folder / MODEL, json.dumps(found, indent=1).encode())
            self.failed = ""
        except (OSError, SnapshotError) as error:
            self.failed = str(error)


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep the garbage collector still: it would walk the growing copy again and again (four fifths of the time)."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def describe(engine: RiskEngine, feedback: Feedback) -> dict[str, Any]:
    """Return what a model is made of, without names: its revision, settings and code, what taught it."""
    return {
        "revision": engine.revision, "code_version": CODE_VERSION, "base": engine.base, "began_with": engine.origin,
        **engine.lineage.document(), "counts": dict(engine.counts()),
        "budget": {"days": engine.watched_days(), "rungs": [asdict(each) for each in engine.budget()]},
        "changes": [asdict(each) for each in engine.changes()],
        "labels": [label.id for label in feedback.labels], "held_back": list(feedback.held_back),
        "forest": None if feedback.forest is None else {
            "loss": feedback.forest.loss, "linear_loss": feedback.forest.linear_loss,
        },
    }  # fmt: skip


def replace_whole(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 that is there whole or not at all; raise `OSError`."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
