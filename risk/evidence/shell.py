"""A shell over the network, by its form: short commands one way, more text the other, a protocol nobody knows (T1059).

Guarantees: only conversations of a protocol that wasn't recognised, on a port without a name, count, and only if they
go to and fro. In a reverse shell the inside host calls out and is sent commands; in a bind shell somebody sends them
to a high port. Both are weak alone. Payloads aren't read; an encrypted shell that pads its messages goes by unseen.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from risk.behaviours import Behaviour, FlowRule, Reason, Weight
from risk.inside import is_inside
from risk.windows import FlowView
from sensors.values import Entity, FlowEvent, Service

TCP = 6
TURNS, LASTS_S = 6, 3.0
SHORT, MOST = 48.0, 200_000
FAVOURED = (1234, 1337, 4242, 4443, 4444, 4445, 4446, 5554, 6666, 6667, 7777, 8888, 9001, 9999, 31337)
"""Ports that shells of tutorials and toolkits are born with."""

Column = NDArray[np.float32]


def _talk(view: FlowView, asks: str, answers: str) -> Column:
    """Return how much a flow looks like commands from `asks` and their output from `answers`."""
    rows = view.rows
    known = np.isin(rows["resp_port"], FAVOURED)
    talk = (rows["proto"] == TCP) & (rows["event"] & FlowEvent.END != 0) & (rows["service"] == Service.UNKNOWN)
    talk &= (rows["resp_port"] >= 1024) & (view.feature("duration") >= LASTS_S)
    talk &= (rows["orig_packets"] >= TURNS) & (rows["resp_packets"] >= TURNS) & (rows["orig_bytes"] < MOST)
    talk &= (rows["resp_bytes"] < MOST) & (rows[f"{asks}_bytes"] > 0)
    talk &= rows[f"{asks}_bytes"] / np.maximum(rows[f"{asks}_packets"], 1) <= SHORT
    talk &= rows[f"{answers}_bytes"] >= 3 * rows[f"{asks}_bytes"]
    return np.where(talk, np.where(known, 4.0, 1.0), 0).astype(np.float32)


def _reverse(view: FlowView) -> Column:
    rows = view.rows
    talk = _talk(view, "resp", "orig")
    return talk if not talk.any() else np.where(is_inside(rows["orig_hi"], rows["orig_lo"]), talk, 0)


def _bound(view: FlowView) -> Column:
    talk = _talk(view, "orig", "resp")
    return np.where(np.isin(view.rows["resp_port"], FAVOURED), talk, 0).astype(np.float32)


def _says(what: str) -> Callable[[FlowView, int], Sequence[str | Entity]]:
    def words(view: FlowView, row: int) -> Sequence[str | Entity]:
        record = view.rows[row]
        sizes = f": {int(record['orig_bytes'])} bytes there, {int(record['resp_bytes'])} back, port "
        return view.orig(row), what, view.resp(row), sizes, str(int(record["resp_port"]))

    return words


BEHAVIOUR = Behaviour(
    "shell",
    "Shells over the network",
    (
        FlowRule(
            Reason(
                "shell.reverse", "T1059", Weight(0.25, 0.1, 0.45), 3600, 1e-3,
                "a chat, a game or a remote desk with a protocol of its own",
            ),
            _reverse,
            (("duration", 1), ("bytes_ratio", 0.5)),
            _says(" called out and was sent short commands that it answered at length, by "),
        ),
        FlowRule(
            Reason("shell.bound", "T1059", Weight(0.3, 0.1, 0.5), 3600, 1e-3, "a console that its owner opened"),
            _bound,
            (("duration", 1), ("bytes_ratio", 0.1)),
            _says(" sent short commands and got long answers from "),
        ),
    ),
)  # fmt: skip
