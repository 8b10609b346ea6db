"""The plots of the score card, as SVG whose bytes depend on the figures alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

from bench.scorecard_metrics import Labels, Vector, curve

matplotlib.use("svg")
matplotlib.rcParams.update(
    {"svg.hashsalt": "ostiary", "svg.fonttype": "none", "font.size": 9, "figure.figsize": (7, 4)}
)

import matplotlib.pyplot as plt  # noqa: E402 - after the backend was chosen
from matplotlib.axes import Axes  # noqa: E402

Curves = Mapping[str, tuple[Labels, Vector]]
POINTS = 400
DECLARED = np.logspace(-4, -0.5, 40)


def roc(curves: Curves, file: Path) -> None:
    """Draw recall against the false-positive rate, which is what an operator pays, on a logarithmic scale."""
    figure, axes = plt.subplots()
    for name, (labels, scores) in curves.items():
        rates, recalls, _ = curve(labels, scores)
        axes.step(*_thinned(np.maximum(rates, 1e-5), recalls), where="post", label=name)
    axes.set(xscale="log", xlabel="false-positive rate", ylabel="recall", xlim=(1e-5, 1), ylim=(0, 1.02))
    _finish(axes, file, figure)


def precision_recall(curves: Curves, file: Path) -> None:
    """Draw precision against recall."""
    figure, axes = plt.subplots()
    for name, (labels, scores) in curves.items():
        _, recalls, precisions = curve(labels, scores)
        axes.step(*_thinned(recalls, precisions), where="post", label=name)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    _finish(axes, file, figure)


def over_time(lines: Mapping[str, tuple[Vector, Vector]], file: Path) -> None:
    """Draw the risk of each attacker from its first packet on."""
    figure, axes = plt.subplots()
    for name, (seconds, risks) in lines.items():
        axes.step(*_thinned(seconds, risks), where="post", label=name, linewidth=1)
    axes.axhline(0.7, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="seconds since the attacker's first packet", ylabel="risk", xlim=(0, 90), ylim=(0, 1.02))
    _finish(axes, file, figure)


def alarms(streams: Mapping[str, Vector], file: Path) -> None:
    """Draw the realised against the declared alarm rate of honest streams; on the diagonal the promise is kept."""
    figure, axes = plt.subplots()
    for name, p_values in streams.items():
        axes.plot(DECLARED, [max(float((p_values[1000:] < rate).mean()), 1e-6) for rate in DECLARED], label=name)
    axes.plot(DECLARED, DECLARED, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xscale="log", yscale="log", xlabel="declared rate", ylabel="realised rate", ylim=(1e-5, 1))
    _finish(axes, file, figure)


def _thinned(across: Vector, up: Vector) -> Sequence[Vector]:
    """Keep the ends and an even choice between: a curve of a million steps is no clearer."""
    if len(across) <= POINTS:
        return across, up
    places = np.concatenate((np.geomspace(1, len(across), POINTS // 2), np.linspace(1, len(across), POINTS // 2)))
    chosen = np.unique(places.astype(int)) - 1
    return across[chosen], up[chosen]


def _finish(axes: Axes, file: Path, figure: "matplotlib.figure.Figure") -> None:
    axes.grid(True, linewidth=0.3)
    axes.legend(fontsize=7, frameon=False)
    figure.tight_layout()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
