"""Compile a function to machine code and keep the code on disk for as long as its sources stay the same.

numba itself looks only at the file of a function, not at those that its kernels and constants come from. Here the stamp
of a cached kernel covers its file and, through their import statements, all files of this project that it builds on.
"""

import hashlib
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, TypeVar, cast

import numba
from numba.core.caching import InTreeCacheLocator, UserProvidedCacheLocator, UserWideCacheLocator

F = TypeVar("F", bound=Callable[..., object])

_ROOT: Final = Path(__file__).resolve().parents[2]
_IMPORT: Final = re.compile(rb"^from (sensors[\w.]*) import (\([^)]*\)|[^\n#]*)", re.MULTILINE)


@cache
def _sources(path: Path) -> frozenset[Path]:
    """Return the project's files that one imports from, itself among them."""
    found = {path}
    for module, names in _IMPORT.findall(path.read_bytes()):
        base = _ROOT.joinpath(*module.decode().split("."))
        found.add(base.with_suffix(".py"))
        found.update(base / f"{name}.py" for name in re.findall(r"\w+", names.decode()))
    return frozenset(file for file in found if file.is_file())


def built_on(path: Path) -> set[Path]:
    """Return a file and all files of this project that it builds on."""
    known: set[Path] = set()
    waiting = {path}
    while waiting:
        file = waiting.pop()
        known.add(file)
        waiting |= _sources(file) - known
    return known


@cache
def _stamp(path: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(built_on(path)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


class _Stamped:
    """A place for compiled code that is fresh while everything it builds on is."""

    _py_file: str

    def get_source_stamp(self) -> str:
        return _stamp(Path(self._py_file).resolve())


class _Provided(_Stamped, UserProvidedCacheLocator):
    pass


class _InTree(_Stamped, InTreeCacheLocator):
    pass


class _UserWide(_Stamped, UserWideCacheLocator):
    pass


_PLACES: Final = ",".join(f"{__name__}.{place.__name__}" for place in (_Provided, _InTree, _UserWide))


def kernel(function: F) -> F:
    """Return the function compiled by numba, without the interpreter lock, its code cached where a place is found.

    Without a writable folder (a read-only image without NUMBA_CACHE_DIR) it is compiled anew at each start.
    """
    settings = vars(numba.config)  # what the environment variable NUMBA_CACHE_LOCATOR_CLASSES sets, for this one
    before = settings.get("CACHE_LOCATOR_CLASSES", "")
    settings["CACHE_LOCATOR_CLASSES"] = _PLACES
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = numba.njit(nogil=True)(function)
    finally:
        settings["CACHE_LOCATOR_CLASSES"] = before
    return cast(F, compiled)  # called as the function is; numba's own type hides the signature
