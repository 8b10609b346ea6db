"""Zeek's history of a connection (base/protocols/conn): a letter for each first thing that a side did.

    S a SYN          D payload        T bytes, SYN or FIN sent again      ^ (at the beginning) the first packet
    H a SYN with ACK F a FIN          W a window of nothing                 came from the responder
    A a bare ACK     R an RST         Q SYN with FIN or RST    I FIN with RST

Capitals are the originator's. T and W stand again at the 10th, 100th ... time. Of UDP there is D alone. Not followed:
C (checksums; network cards fill them in after a capture saw them) and G (gaps). Two words hold 12 letters each, 5 bits
a letter, the latest lowest; more letters than 24 are left out.
"""

from typing import Final

from sensors.packets.columns import Row
from sensors.packets.jit import kernel

LETTERS: Final = "SHADFRTWQI"
S, H, A, D, F, R, T, W, Q, I = range(len(LETTERS))  # noqa: E741  # Zeek's own letters
FLIPPED: Final = 2 * len(LETTERS) + 1

_FULL: Final = 55  # bits below the twelfth letter


@kernel
def write(node: Row, code: int) -> None:
    """Add a letter: 1 + twice its place in `LETTERS`, one more for the responder's; or `FLIPPED`."""
    if node["history"] >> _FULL == 0:
        node["history"] = (node["history"] << 5) | code
    elif node["history_more"] >> _FULL == 0:
        node["history_more"] = (node["history_more"] << 5) | code


@kernel
def did(node: Row, side: Row, letter: int, is_resp: int) -> None:
    """Note that a side did something, where it is the first time."""
    if side["letters"] & (1 << letter) == 0:
        side["letters"] |= 1 << letter
        write(node, 1 + 2 * letter + is_resp)


@kernel
def did_again(node: Row, times: int, letter: int, is_resp: int) -> None:
    """Note that a side did something for the `times`-th time, where that is a power of ten."""
    while times % 10 == 0 and times > 0:
        times //= 10
    if times == 1:
        write(node, 1 + 2 * letter + is_resp)


def text(history: int, more: int) -> str:
    """Return the history as Zeek writes it."""
    return "".join(_letter(word >> shift & 31) for word in (history, more) for shift in range(55, -1, -5))


def _letter(code: int) -> str:
    if code == 0 or code > FLIPPED:
        return ""
    if code == FLIPPED:
        return "^"
    letter = LETTERS[(code - 1) // 2]
    return letter.lower() if (code - 1) % 2 else letter
