"""Keep a continuing attack from being told again with each of its packets.

A crossing of (entity, behaviour) passes when it is new, when its strength has doubled since it last passed, or when it
last passed `QUIET_S` ago. The state is a table of fixed size; what it forgets is told once more.
"""

import numpy as np
from numpy.typing import NDArray

from risk.windows import kernel

QUIET_S = 120


class Throttle:
    """Which crossings were told, and how strong they were."""

    def __init__(self, slots: int = 1 << 16) -> None:
        self._table = kernel.make_table(slots, 1)

    def admit(
        self, stamps: NDArray[np.int64], keys: NDArray[np.uint64], code: int, strengths: NDArray[np.float32]
    ) -> NDArray[np.intp]:
        """Return the indices of rows to tell. A strength below 1 is no crossing; `code` numbers the behaviour."""
        out = np.zeros(len(strengths), np.bool_)
        kernel.admit(
            np.ascontiguousarray(stamps), keys, np.uint64(code), np.ascontiguousarray(strengths, np.float32),
            self._table, QUIET_S * kernel.SECOND, out,
        )  # fmt: skip
        return np.flatnonzero(out)
