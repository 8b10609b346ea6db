"""Which addresses are inside: those that nobody routes over the internet."""

import numpy as np
from numpy.typing import NDArray

ULA_TOP, LINK_LOCAL_TOP = 0x7E, 0x3FA


def is_inside(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which addresses are inside: RFC 1918, 6598, 3927, 4193, 4291 (link-local) and loopback."""
    v4 = (low & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    mapped = (high == 0) & (low >> np.uint64(32) == 0xFFFF)
    top, next_byte = v4 >> 24, v4 >> 16 & 0xFF
    inside = (top == 10) | (top == 127) | ((top == 172) & (next_byte >> 4 == 1)) | ((top == 192) & (next_byte == 168))
    inside |= ((top == 169) & (next_byte == 254)) | ((top == 100) & (next_byte >> 6 == 1))
    v6 = (high >> np.uint64(57) == ULA_TOP) | (high >> np.uint64(54) == LINK_LOCAL_TOP) | ((high == 0) & (low == 1))
    return np.asarray(np.where(mapped, inside, v6), np.bool_)
