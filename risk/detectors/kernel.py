"""Compiled kernels of the detectors that walk row by row: half-space trees, RS-Hash, autoencoders, isolation trees.

Each does what its original does, one row after the other in the same order of operations; docs/risk.md says how closely
they agree. No kernel allocates per row or uses fast-math, so equal input gives equal bytes on one family of CPUs.
Any: numba gives the types.
"""

from typing import Any

import numpy as np
from numba import njit

MIX_A, MIX_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
R27, R30, R31 = np.uint64(27), np.uint64(30), np.uint64(31)
LN2 = 0.6931471805599453
SEED = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True)
def trees_score(rows: Any, feature: Any, threshold: Any, mass: Any, least: Any, out: Any) -> None:
    """Add up mass * 2^depth on each row's path through each tree, down to a node with less than `least`."""
    inner = feature.shape[1]
    for i in range(rows.shape[0]):
        for tree in range(feature.shape[0]):
            node, weight = 0, 1.0
            while True:
                held = mass[tree, node]
                out[i] += held * weight
                if held < least or node >= inner:
                    break
                node = 2 * node + (1 if rows[i, feature[tree, node]] < threshold[tree, node] else 2)
                weight *= 2.0


@njit(cache=True)
def trees_learn(rows: Any, feature: Any, threshold: Any, mass: Any, latest: Any, count: Any, window: Any) -> Any:
    """Count each row on its path; after each `window` rows the latest counts become the reference."""
    inner = feature.shape[1]
    for i in range(rows.shape[0]):
        for tree in range(feature.shape[0]):
            node = 0
            latest[tree, node] += 1
            while node < inner:
                node = 2 * node + (1 if rows[i, feature[tree, node]] < threshold[tree, node] else 2)
                latest[tree, node] += 1
        count += 1
        if count == window:
            mass[:] = latest
            latest[:] = 0
            count = 0
    return count


@njit(cache=True)
def _cell(row: Any, part: Any, sizes: Any, used: Any, shifts: Any, dims: Any) -> Any:
    """Return the hash of the grid cell of a row in one part of the ensemble (Sathe, Aggarwal 2016, equation 2)."""
    key = np.uint64(part + 1) * SEED
    for place in range(used[part]):
        cell = np.int64(np.floor((row[dims[part, place]] + shifts[part, place]) / sizes[part]))
        key = (key ^ np.uint64(cell)) * MIX_A
        key = (key ^ (key >> R27)) * MIX_B
        key ^= key >> R31
    return key


@njit(cache=True)
def hash_score(rows: Any, sizes: Any, used: Any, shifts: Any, dims: Any, counts: Any, stamps: Any, now: Any,
               decay: Any, out: Any) -> None:  # fmt: skip
    """Return minus the mean of log2(1 + decayed count) of each row's cells; the smallest of the hashed counts."""
    depth, width = counts.shape
    for i in range(rows.shape[0]):
        total = 0.0
        for part in range(sizes.size):
            key = _cell(rows[i], part, sizes, used, shifts, dims)
            least = np.inf
            for line in range(depth):
                slot = np.int64(key % np.uint64(width))
                key = (key ^ (key >> R30)) * MIX_A
                held = counts[line, slot] * np.exp(-LN2 * decay * (now - stamps[line, slot]))
                least = min(least, held)
            total += np.log2(1.0 + least)
        out[i] = -total / sizes.size


@njit(cache=True)
def hash_learn(rows: Any, sizes: Any, used: Any, shifts: Any, dims: Any, counts: Any, stamps: Any, now: Any,
               decay: Any) -> None:  # fmt: skip
    """Count each row's cells, each count decaying with the number of rows since."""
    depth, width = counts.shape
    for i in range(rows.shape[0]):
        for part in range(sizes.size):
            key = _cell(rows[i], part, sizes, used, shifts, dims)
            for line in range(depth):
                slot = np.int64(key % np.uint64(width))
                key = (key ^ (key >> R30)) * MIX_A
                counts[line, slot] = counts[line, slot] * np.exp(-LN2 * decay * (now - stamps[line, slot])) + 1.0
                stamps[line, slot] = now
        now += 1


@njit(cache=True)
def _pass(values: Any, visible: Any, hidden: Any, weights: Any, hidden_bias: Any, visible_bias: Any, code: Any,
          off: Any) -> Any:  # fmt: skip
    """Run one autoencoder: fill `code` and `off` (input minus reconstruction); return the root mean square."""
    for h in range(hidden):
        total = hidden_bias[h]
        for v in range(visible):
            total += values[v] * weights[v, h]
        code[h] = 1.0 / (1.0 + np.exp(-total))
    squares = 0.0
    for v in range(visible):
        total = visible_bias[v]
        for h in range(hidden):
            total += code[h] * weights[v, h]
        off[v] = values[v] - 1.0 / (1.0 + np.exp(-total))
        squares += off[v] * off[v]
    return np.sqrt(squares / visible)


@njit(cache=True)
def _normalise(raw: Any, low: Any, high: Any, size: Any, values: Any) -> None:
    """Put values on the range that was learnt; a constant is only shifted."""
    for v in range(size):
        span = high[v] - low[v] + 1e-16 if high[v] != low[v] else 1.0
        values[v] = (raw[v] - low[v]) / span


@njit(cache=True)
def nets_score(rows: Any, members: Any, sizes: Any, codes: Any, weights: Any, hidden_bias: Any, visible_bias: Any,
               low: Any, high: Any, out: Any) -> None:  # fmt: skip
    """Score rows by the error of an autoencoder over the errors of autoencoders (the last one is the outer)."""
    outer, wide = sizes.size - 1, weights.shape[1]
    raw, values = np.zeros(wide), np.zeros(wide)
    code, off, errors = np.zeros(wide), np.zeros(wide), np.zeros(wide)
    for i in range(rows.shape[0]):
        for net in range(outer):
            for v in range(sizes[net]):
                raw[v] = rows[i, members[net, v]]
            _normalise(raw, low[net], high[net], sizes[net], values)
            errors[net] = _pass(
                values, sizes[net], codes[net], weights[net], hidden_bias[net], visible_bias[net], code, off
            )
        _normalise(errors, low[outer], high[outer], sizes[outer], values)
        out[i] = _pass(
            values, sizes[outer], codes[outer], weights[outer], hidden_bias[outer], visible_bias[outer], code, off
        )


@njit(cache=True)
def _train(raw: Any, net: Any, sizes: Any, codes: Any, weights: Any, hidden_bias: Any, visible_bias: Any, low: Any,
           high: Any, rate: Any, values: Any, code: Any, off: Any, back: Any) -> Any:  # fmt: skip
    """Take one step of gradient descent in one autoencoder and return its error before the step."""
    size, hidden = sizes[net], codes[net]
    for v in range(size):
        low[net, v], high[net, v] = min(low[net, v], raw[v]), max(high[net, v], raw[v])
    _normalise(raw, low[net], high[net], size, values)
    error = _pass(values, size, hidden, weights[net], hidden_bias[net], visible_bias[net], code, off)
    hidden_step, visible_step = 0.0, 0.0
    for h in range(hidden):
        total = 0.0
        for v in range(size):
            total += off[v] * weights[net, v, h]
        back[h] = total * code[h] * (1.0 - code[h])
        hidden_step += back[h]
    for v in range(size):
        visible_step += off[v]
        for h in range(hidden):
            weights[net, v, h] += rate * (values[v] * back[h] + off[v] * code[h])
    # The original moves all biases of a layer by the mean gradient; so does this.
    for h in range(hidden):
        hidden_bias[net, h] += rate * hidden_step / hidden
    for v in range(size):
        visible_bias[net, v] += rate * visible_step / size
    return error


@njit(cache=True)
def nets_learn(rows: Any, members: Any, sizes: Any, codes: Any, weights: Any, hidden_bias: Any, visible_bias: Any,
               low: Any, high: Any, rate: Any) -> None:  # fmt: skip
    """Train the autoencoders by rows, one after the other, and the outer one by their errors."""
    outer, wide = sizes.size - 1, weights.shape[1]
    raw, values, back = np.zeros(wide), np.zeros(wide), np.zeros(wide)
    code, off, errors = np.zeros(wide), np.zeros(wide), np.zeros(wide)
    for i in range(rows.shape[0]):
        for net in range(outer):
            for v in range(sizes[net]):
                raw[v] = rows[i, members[net, v]]
            errors[net] = _train(
                raw, net, sizes, codes, weights, hidden_bias, visible_bias, low, high, rate, values, code, off, back
            )
        _train(
            errors, outer, sizes, codes, weights, hidden_bias, visible_bias, low, high, rate, values, code, off, back
        )


@njit(cache=True)
def forest_depth(rows: Any, roots: Any, left: Any, right: Any, feature: Any, threshold: Any, path: Any,
                 out: Any) -> None:  # fmt: skip
    """Return the mean path length of each row over isolation trees laid out in one array; `path` is that of leaves."""
    for i in range(rows.shape[0]):
        total = 0.0
        for root in roots:
            node = root
            while left[node] >= 0:
                node = left[node] if np.float32(rows[i, feature[node]]) <= threshold[node] else right[node]
            total += path[node]
        out[i] = total / roots.size
