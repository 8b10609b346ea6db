"""Keep a continuing attack from being told again with each of its packets.

A crossing of (entity, behaviour) passes when it is new, when it is a quarter stronger than when it last passed, or
when that was a quiet time ago. The state is a table of fixed size; what it forgets is told once more.
"""

import numpy as np
from numpy.typing import NDArray

from risk.windows import kernel


class Throttle:
    """Which crossings were told, and how strong they were."""

    def __init__(self, slots: int = 1 << 16) -> None:
        self._table = kernel.make_table(slots, 1)

    def admit(
        self, stamps: NDArray[np.int64], keys: NDArray[np.uint64], code: int, strengths: NDArray[np.float32],
        quiet_s: int,
    ) -> NDArray[np.intp]:  # fmt: skip
        """Return the indices of rows to tell. A strength below 1 is no crossing; `code` numbers the behaviour."""
        out = np.zeros(len(strengths), np.bool_)
        kernel.admit(
            np.ascontiguousarray(stamps), keys, np.uint64(code), np.ascontiguousarray(strengths, np.float32),
            self._table, quiet_s * kernel.SECOND, out,
        )  # fmt: skip
        return np.flatnonzero(out)
