"""The bundle in force, kept on disk: the current one, the one before, and the highest epoch that ever was.

    active.json         what is in force; replaced as a whole, so that it is the old or the new, never half of it
    <sha256>.tar.gz     the bundles that it names, each under the digest of its bytes

Guarantees: a bundle comes into force only after its signature (where keys are trusted), its epoch and the judge;
whatever fails, or the power going off at any time, leaves the bundle in force that was. An epoch never falls, so that
an old bundle cannot be replayed; going back is a deliberate act, `roll_back`, and leaves the highest epoch where it
was. What is read back has the digest and the signature that it had. One process writes at a time. Does not tell a
running service: SIGHUP does.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policy.bundles import Bundle, make_bundle
from policy.download import download
from policy.errors import ActivationError, BundleError, EpochError, JudgementError, SignatureError
from policy.signing import PublicKey, verify
from policy.sources import pack, unpack

if TYPE_CHECKING:  # heavy, and reading what is in force needs none of it
    from policy.judge import Judgement

STATE = "active.json"
_STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle on disk."""

    archive: str
    """SHA-256 (hex) of the archive."""
    revision: str
    epoch: int | None
    address: str = ""
    """Where it was fetched from, and the ETag that it had there; "" for bundles from a disk."""
    etag: str = ""


@dataclass(frozen=True, slots=True)
class InForce:
    """What `active.json` says."""

    current: Kept
    previous: Kept | None
    highest_epoch: int | None


class Activations:
    """The bundles in a directory, `<state>/policy`."""

    def __init__(self, directory: Path, keys: Sequence[PublicKey] = ()) -> None:
        """Use a directory, made when a bundle is activated; with keys, only bundles that one of them signed."""
        self._directory, self._keys = directory, keys

    def in_force(self) -> InForce | None:
        """Return what is in force; None where nothing was activated; raise `ActivationError`."""
        try:
            raw = (self._directory / STATE).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ActivationError(f"{self._directory / STATE} cannot be read: {error.strerror}") from error
        try:
            return _in_force(json.loads(raw))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ActivationError(f"{self._directory / STATE} is damaged: activate a bundle again") from error

    def bundle(self) -> Bundle | None:
        """Return the bundle in force, whole and verified; None where nothing was activated; raise `BundleError`."""
        found = self.in_force()
        return None if found is None else self._load(found.current)

    def check(self, bundle: Bundle) -> None:
        """Raise `SignatureError` or `EpochError` where a bundle may not follow the one in force."""
        if self._keys:
            verify(bundle.files, self._keys)
        found = self.in_force()
        if found is None or found.highest_epoch is None:
            return
        if bundle.epoch is None:
            raise EpochError(f"the bundle has no epoch, and one with epoch {found.highest_epoch} was in force")
        known = {kept.revision for kept in (found.current, found.previous) if kept and kept.epoch == bundle.epoch}
        if bundle.epoch < found.highest_epoch or (bundle.epoch == found.highest_epoch and bundle.revision not in known):
            raise EpochError(f"epoch {bundle.epoch} is not newer than {found.highest_epoch}, which was in force")

    def fetch(self, address: str) -> tuple[Bundle, str] | None:
        """Fetch a bundle and its ETag; None where the one in force is it still; raise `BundleError`."""
        if not self._keys:
            raise SignatureError("bundles are fetched only where `policy.signers` says who may sign them")
        found = self.in_force()
        known = found.current.etag if found and found.current.address == address else ""
        fetched = download(address, known)
        if fetched.packed is None:
            return None
        return make_bundle(unpack(fetched.packed, address), Path(address)), fetched.etag

    def activate(
        self, bundle: Bundle, judge: Callable[[Bundle], "Judgement"], address: str = "", etag: str = ""
    ) -> "Judgement":
        """Take a bundle into force if nothing speaks against it; raise the `BundleError` of what does."""
        with self._writing():
            self.check(bundle)
            judgement = judge(bundle)
            if not judgement.ok:
                raise JudgementError("\n".join(judgement.problems))
            found = self.in_force()
            kept = replace(self._keep(bundle), address=address, etag=etag)
            self._write(_after(found, kept))
        return judgement

    def roll_back(self) -> Kept:
        """Go back to the bundle before, and return it; the other way round when done again; raise `BundleError`."""
        with self._writing():
            found = self.in_force()
            if found is None or found.previous is None:
                raise ActivationError("there is no earlier bundle to go back to")
            self._load(found.previous)  # whole and signed, as it was
            self._write(InForce(found.previous, found.current, found.highest_epoch))
        return found.previous

    def _load(self, kept: Kept) -> Bundle:
        path = self._directory / f"{kept.archive}.tar.gz"
        try:
            packed = path.read_bytes()
        except OSError as error:
            raise ActivationError(f"{path} cannot be read: {error.strerror}") from error
        if hashlib.sha256(packed).hexdigest() != kept.archive:
            raise ActivationError(f"{path} is damaged: roll back, or activate the bundle again")
        bundle = make_bundle(unpack(packed, str(path)), path)
        if self._keys:
            verify(bundle.files, self._keys)
        return bundle

    def _keep(self, bundle: Bundle) -> Kept:
        if not bundle.files:
            raise BundleError("a bundle without files cannot be kept")
        packed = pack(bundle.files)
        digest = hashlib.sha256(packed).hexdigest()
        self._replace(f"{digest}.tar.gz", packed)
        return Kept(digest, bundle.revision, bundle.epoch)

    def _write(self, state: InForce) -> None:
        self._replace(STATE, json.dumps({"version": _STATE_VERSION, **asdict(state)}, indent=1).encode() + b"\n")
        named = {kept.archive for kept in (state.current, state.previous) if kept}
        for path in self._directory.glob("*.tar.gz"):
            if path.name.removesuffix(".tar.gz") not in named:
                path.unlink(missing_ok=True)

    def _replace(self, name: str, content: bytes) -> None:
        """Write a file so that after a crash it is there whole, or as it was."""
        temporary = self._directory / f"{name}.new"
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            self._hand_over(temporary)
            temporary.replace(self._directory / name)
            _sync(self._directory)
        except OSError as error:
            raise ActivationError(f"{self._directory / name} cannot be written: {error.strerror}") from error

    def _hand_over(self, path: Path) -> None:
        """Give what root made to the owner of the state directory: the service, which must read it."""
        if os.geteuid() == 0:
            owner = self._directory.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self._directory / "lock").open("wb")
            self._hand_over(self._directory)
            self._hand_over(self._directory / "lock")
        except OSError as error:
            raise ActivationError(f"{self._directory} cannot be written: {error.strerror}") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise ActivationError("another bundle is being activated") from error
            yield


def _after(found: InForce | None, kept: Kept) -> InForce:
    """Return what is in force once a bundle was taken."""
    if found is None:
        return InForce(kept, None, kept.epoch)
    epochs = [epoch for epoch in (kept.epoch, found.highest_epoch) if epoch is not None]
    return InForce(
        kept, found.previous if found.current.archive == kept.archive else found.current, max(epochs, default=None)
    )


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _in_force(value: Any) -> InForce:  # JSON
    if value["version"] != _STATE_VERSION:
        raise ValueError("another version")
    previous = value["previous"]
    return InForce(Kept(**value["current"]), Kept(**previous) if previous else None, value["highest_epoch"])
