"""Compile a function to machine code and keep the code on disk.

A cached kernel is recompiled when its own file changes, but not when a function of another file that it calls does.
Hence the rule of this package: a kernel calls only kernels of its own module.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def kernel(function: F) -> F:
    """Return the function compiled by numba, without the interpreter lock, its code cached where a place is found.

    Without a writable folder (a read-only image without NUMBA_CACHE_DIR) it is compiled anew at each start.
    """
    try:
        compiled = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba found no folder for its cache
        compiled = numba.njit(nogil=True)(function)
    return cast(F, compiled)  # called as the function is; numba's own type hides the signature
