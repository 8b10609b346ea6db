"""A frozen reference: several models of normal traffic that were trained once and never learn again.

It stands beside the adaptive models, because those invert where attacks are the greater part of what they see. It
guarantees: scoring changes nothing; `to_bytes` gives an .npz archive without pickled objects, and the same training
gives the same bytes; `from_bytes` takes any bytes and either returns a reference that scores safely or raises
`BadReferenceError`. It doesn't judge whether the rows that it is trained on were normal.

    reference = Reference.fit(features, names, about="a quiet week")
    reference.score(features)       # stranger is higher
    reference.p_values(features)    # how often normal rows are this strange
    Path("reference.npz").write_bytes(reference.to_bytes())
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from risk.calibration.tail import Tail
from risk.detectors.base import Detector, Matrix, State, Vector
from risk.detectors.histogram import Histogram
from risk.detectors.isolation_forest import IsolationForest
from risk.detectors.kitnet import KitNET
from risk.detectors.loda import LODA
from risk.detectors.mahalanobis import Mahalanobis
from risk.detectors.scale import Scale
from risk.errors import BadReferenceError, RiskError

FORMAT = 1
FEWEST = 200
"""Rows that a reference needs."""
KEPT_BACK = 4
"""One row in so many calibrates and doesn't train."""
LARGEST = 64 << 20
"""Bytes of a reference, unpacked."""
MOST_NAMES = 512
FOREVER = 1 << 40
"""Memory of models that are not to forget."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Frozen models, their calibration, and what they were trained on."""

    names: tuple[str, ...]
    """The features, in the order of the columns."""
    about: str
    """Where the rows came from, in words."""
    rows: int
    """Rows it was trained on."""
    scale: Scale
    members: tuple[Detector, ...]
    tails: tuple[Tail, ...]
    """Of the members' scores on the rows kept back."""
    fused: Tail
    """Of the fused score on them."""

    @property
    def digest(self) -> str:
        """SHA-256 of what it holds, the first 16 hex digits."""
        found = hashlib.sha256()
        for name, array in sorted(self._arrays().items()):
            found.update(f"{name} {array.dtype.str} {array.shape}".encode())
            found.update(np.ascontiguousarray(array).tobytes())
        return found.hexdigest()[:16]

    @classmethod
    def fit(
        cls, features: NDArray[np.floating[Any]], names: Sequence[str] | None = None, *, seed: int = 20260101,
        about: str = "",
    ) -> "Reference":  # fmt: skip
        """Train on raw features of normal rows (n, columns), in order of time; raise `BadReferenceError`.

        `names` names the columns (default: `f0`, `f1` ...). Every fourth stretch of rows is kept back to calibrate.
        """
        names = tuple(names) if names is not None else tuple(f"f{place}" for place in range(features.shape[1]))
        if features.ndim != 2 or features.shape[1] != len(names) or len(features) < FEWEST:
            raise BadReferenceError(f"a reference needs {FEWEST} rows and a name a column, not {features.shape}")
        # Whole stretches are kept back: neighbouring rows resemble each other and would flatter the calibration.
        stretch = np.arange(len(features)) // max(len(features) // (10 * KEPT_BACK), 1)
        back = stretch % KEPT_BACK == KEPT_BACK - 1
        scale, members = Scale(names), _members(names, seed)
        scale.learn_many(features[~back])
        train = scale.standardise(features[~back])
        for member in members:
            member.learn_many(train)
        kept = scale.standardise(features[back])
        tails = tuple(Tail.fit(np.sort(member.score_many(kept))) for member in members)
        fused = Tail.fit(np.sort(_fuse(members, tails, kept)))
        return cls(names, about, int((~back).sum()), scale, members, tails, fused)

    def score(self, features: NDArray[np.floating[Any]]) -> Vector:
        """Return how strange raw rows are: the mean of -log10 of the members' p-values."""
        return _fuse(self.members, self.tails, self.scale.standardise(features))

    def p_values(self, features: NDArray[np.floating[Any]]) -> Vector:
        """Return how often normal rows are at least as strange as each, in (0, 1]."""
        return self.fused.p_values(self.score(features))

    def score_one(self, row: Mapping[str, float]) -> float:
        """Return how strange one row is; features by name, absent ones 0."""
        return float(self.score(np.array([[row.get(name, 0.0) for name in self.names]]))[0])

    def to_bytes(self) -> bytes:
        """Return the reference as an .npz archive; equal references give equal bytes."""
        return _pack(self._arrays())

    def _arrays(self) -> State:
        arrays: dict[str, NDArray[Any]] = {}
        for part in (self.scale, *self.members):
            arrays |= {f"{part.name}.{name}": array for name, array in part.state().items()}
        for member, tail in zip(self.members, self.tails, strict=True):
            arrays[f"{member.name}.tail"] = tail.scores
        arrays["fused.tail"] = self.fused.scores
        head = {"format": FORMAT, "names": self.names, "about": self.about, "rows": self.rows}
        arrays["head"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        return arrays

    @classmethod
    def from_bytes(cls, data: bytes) -> "Reference":
        """Read what `to_bytes` gave; raise `BadReferenceError` for anything else."""
        arrays = _unpack(data)
        names, about, rows = _head(arrays)
        scale, members = Scale(names), _members(names, 0)
        try:
            for part in (scale, *members):
                part.restore(_under(part.name, arrays))
        except RiskError as error:
            raise BadReferenceError(str(error)) from error
        tails = tuple(Tail.fit(_tail(f"{member.name}.tail", arrays)) for member in members)
        return cls(names, about, rows, scale, members, tails, Tail.fit(_tail("fused.tail", arrays)))


def _members(names: tuple[str, ...], seed: int) -> tuple[Detector, ...]:
    return (
        Histogram(names, memory=FOREVER),
        LODA(names, seed, memory=FOREVER),
        Mahalanobis(names, memory=FOREVER),
        IsolationForest(names, seed),
        KitNET(names, seed, grace=64),
    )


def _fuse(members: Sequence[Detector], tails: Sequence[Tail], rows: Matrix) -> Vector:
    total = np.zeros(len(rows))
    for member, tail in zip(members, tails, strict=True):
        total -= np.log10(tail.p_values(member.score_many(rows)))
    return total / len(members)


def _pack(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Write an .npz whose bytes depend on the arrays alone: `np.savez` would write the time of day into it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in sorted(arrays):
            file = io.BytesIO()
            np.lib.format.write_array(file, np.asarray(arrays[name]), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            archive.writestr(info, file.getvalue(), zipfile.ZIP_DEFLATED, 9)
    return out.getvalue()


def _unpack(data: bytes) -> State:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(info.file_size for info in archive.infolist()) > LARGEST:
                raise BadReferenceError(f"a reference holds at most {LARGEST} bytes")
            return {info.filename.removesuffix(".npy"): _array(archive, info) for info in archive.infolist()}
    except (zipfile.BadZipFile, OSError, EOFError, KeyError, ValueError, SyntaxError, NotImplementedError,
            RuntimeError, MemoryError, UnicodeError, TypeError, zipfile.LargeZipFile, zlib.error) as error:  # fmt: skip
        # All that zipfile, zlib and numpy raise on damaged input.
        raise BadReferenceError(f"this is no reference: {error}") from error


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as file:
        data = file.read(LARGEST + 1)
    array = np.asarray(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False, max_header_size=4096))
    if array.nbytes > len(data) or array.dtype.kind not in "iuf" or not np.isfinite(array.astype(np.float64)).all():
        unbounded = info.filename in ("kitnet.low.npy", "kitnet.high.npy")
        if not unbounded or array.dtype != np.float64 or np.isnan(array).any():
            raise BadReferenceError(f"{info.filename} holds what is no number")
    return array


def _head(arrays: State) -> tuple[tuple[str, ...], str, int]:
    try:
        head = json.loads(arrays["head"].astype(np.uint8).tobytes())
        names, about, rows = head["names"], head["about"], head["rows"]
        right = head["format"] == FORMAT
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise BadReferenceError("this is no reference: its head is missing or damaged") from error
    sound = isinstance(names, list) and 0 < len(names) <= MOST_NAMES and all(isinstance(name, str) for name in names)
    if not right or not sound or not isinstance(about, str) or not isinstance(rows, int):
        raise BadReferenceError(f"this is no reference of format {FORMAT}")
    return tuple(names), about, rows


def _under(prefix: str, arrays: State) -> State:
    return {name[len(prefix) + 1 :]: array for name, array in arrays.items() if name.startswith(f"{prefix}.")}


def _tail(name: str, arrays: State) -> Vector:
    scores = arrays.get(name)
    if scores is None or scores.ndim != 1 or scores.dtype != np.float64 or (np.diff(scores) < 0).any():
        raise BadReferenceError(f"{name} is missing or damaged")
    return np.array(scores)
