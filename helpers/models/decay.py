"""The integral behind Pareto/NBD: two survivals that decay together, over the time of leaving.

    I(from, to) = integral of ((alpha + from) / (alpha + u))^A ((beta + from) / (beta + u))^S
                  / (beta + u) du

Positive everywhere, so nothing cancels; by Gauss and Legendre in the logarithm of time, over as
much of it as carries weight.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from helpers.models.likelihood import distinct, dot
from helpers.models.states import States

_FADED = 40.0  # what has decayed by e^40 no longer counts among double-precision numbers
_ROWS = 20_000  # integrals done at once, which bounds the memory


def _rule(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(size)
    return (1 + nodes) / 2, weights / 2


_FINEST, _FINE, _COARSE = _rule(64), _rule(28), _rule(5)


@dataclass(frozen=True)
class Decay:
    """Exponents A (an array) and S of the two survivals, with their scales alpha and beta."""

    A: np.ndarray
    alpha: float
    S: np.ndarray | float
    beta: float


def _nodes(decay: Decay, start: np.ndarray, end: np.ndarray, rule: tuple) -> tuple:
    """Weights of the rule's nodes along a new last axis, and how far both scales have grown there.

    Returns weight, time since ``start``, and logarithms of the growth of alpha + u and beta + u.
    """
    at_a, at_b = decay.alpha + start, decay.beta + start
    short = np.minimum(at_a, at_b)
    with np.errstate(over="ignore"):
        reach = np.minimum(
            at_a * np.expm1(_FADED / decay.A), at_b * np.expm1(_FADED / (decay.S + 1))
        )
    gap = end - start  # where none fades out within it, its nodes are the same for every A
    gap = gap if (reach >= gap).all() else np.minimum(gap, reach)
    span = np.log1p(gap / short)[..., None]
    v = span * rule[0]
    gone = short[..., None] * np.expm1(v)
    grown_a = np.log1p(gone / at_a[..., None])
    grown_b = np.log1p(gone / at_b[..., None])
    exponent = np.asarray(decay.A)[..., None] * grown_a
    exponent += (np.asarray(decay.S)[..., None] + 1) * grown_b
    weight = np.exp(v - exponent) * rule[1] * (span * (short / at_b)[..., None])
    return weight, gone, grown_a, grown_b


def decay_integral(decay: Decay, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The integral from ``start`` to ``end`` (which may be infinite), elementwise."""
    arrays = np.broadcast_arrays(decay.A, decay.S, start, end)
    A, S, start, end = (np.asarray(v, dtype=float).ravel() for v in arrays)
    value = np.empty(len(A))
    for low in range(0, len(A), _ROWS):
        rows = slice(low, low + _ROWS)
        part = Decay(A[rows], decay.alpha, S[rows], decay.beta)
        value[rows] = _nodes(part, start[rows], end[rows], _FINEST)[0].sum(axis=-1)
    return value.reshape(arrays[0].shape)


# --- with derivatives, for the likelihood --------------------------------------------------------

Sums = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
Integrals = Callable[..., tuple[np.ndarray, Sums]]


def decay_integrals(states: States, scale: float) -> Integrals:
    """Prepare the integrals from recency to T of all states, in time divided by ``scale``.

    Returns a function of (r, alpha, s, beta), with A = r + x and S = s, that gives of each state
    how far both survivals have decayed by T and the integral, and a function that sums over states
    with given weights 1, ln(alpha + u), A / (alpha + u), ln(beta + u) and 1 / (beta + u): first at
    u = T, decayed so far, then integrated. That is all a gradient needs.

    Where times are whole days and states many, the integrals of all of them are differences
    between two cells of a table by frequency and day, summed up once for everyone.
    """
    x, size = states.frequency, len(states)
    times, position = distinct(np.concatenate([states.recency, states.T]), states.days_per_unit)
    ux, ix = np.unique(x, return_inverse=True)
    days = np.diff(times) * states.days_per_unit
    whole = len(days) > 0 and np.abs(days - 1).max() < 1e-9
    # by day, nobody who is merged by day buys faster than the coarse rule can follow
    slow = (x <= 1.5 * states.recency * states.days_per_unit).all()
    if whole and slow and size * len(_FINE[0]) > 2 * len(ux) * len(times) * len(_COARSE[0]):
        cells = ix * len(times) + position[:size], ix * len(times) + position[size:]
        return _from_table(ux, times / scale, *cells)
    return _one_by_one(x, states.recency / scale, states.T / scale)


def _channels(decay: Decay, start: np.ndarray, end: np.ndarray, rule: tuple) -> np.ndarray:
    """The integral and those that its derivatives need, along a new first axis: (5, ...)."""
    weight, gone, grown_a, grown_b = _nodes(decay, start, end, rule)
    plain = weight.sum(axis=-1)
    at_a, at_b = decay.alpha + start, decay.beta + start

    def integral(of: np.ndarray) -> np.ndarray:
        return np.einsum("...k,...k->...", weight, of)

    return np.array(
        [
            plain,
            np.log(at_a) * plain + integral(grown_a),
            decay.A * integral(1 / (at_a[..., None] + gone)),
            np.log(at_b) * plain + integral(grown_b),
            integral(1 / (at_b[..., None] + gone)),
        ]
    )


def _one_by_one(x: np.ndarray, t_x: np.ndarray, T: np.ndarray) -> Integrals:
    """Integrals of each state by itself."""
    chunks = [slice(low, low + _ROWS) for low in range(0, len(x), _ROWS)]

    def integrals(r, alpha, s, beta):
        A = r + x
        found = np.concatenate(
            [_channels(Decay(A[c], alpha, s, beta), t_x[c], T[c], _FINE) for c in chunks], axis=1
        )
        grown_a, grown_b = np.log1p((T - t_x) / (alpha + t_x)), np.log1p((T - t_x) / (beta + t_x))
        stays = np.exp(-A * grown_a - s * grown_b)

        def sums(weights):
            at_T = [np.ones(len(T)), *_factors(A, alpha + T, beta + T)]
            return _totals(at_T, weights * stays), _totals(found, weights)

        return stays, found[0], sums

    return integrals


def _factors(A: np.ndarray, at_a: np.ndarray, at_b: np.ndarray) -> list[np.ndarray]:
    return [np.log(at_a), A / at_a, np.log(at_b), 1 / at_b]


def _totals(channels: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    channels = (np.broadcast_to(channel, weights.shape) for channel in channels)
    return np.array([dot(channel.ravel(), weights.ravel()) for channel in channels])


def _from_table(ux: np.ndarray, times: np.ndarray, at_t: np.ndarray, at_T: np.ndarray) -> Integrals:
    """Integrals as differences of those from two days to the last one.

    From the last day backward, what lies beyond a day is decayed to the day before and added to
    that day's own: to scale, so that nothing overflows whatever the frequency.
    """
    shape = len(ux), len(times)
    start, end = times[:-1], times[1:]
    # the first days are long against a small alpha or beta
    parts = [(slice(0, 8), _FINE), (slice(8, None), _COARSE)]

    def integrals(r, alpha, s, beta):
        A = r + ux[:, None]
        daily = np.concatenate(
            [_channels(Decay(A, alpha, s, beta), start[p], end[p], rule) for p, rule in parts],
            axis=2,
        )
        survived = -A * np.log(alpha + times) - s * np.log(beta + times)  # in logarithms
        fading = np.exp(np.diff(survived))
        table = np.zeros((len(daily), len(times), len(ux)))
        for day in range(len(start) - 1, -1, -1):
            table[:, day] = daily[:, :, day] + table[:, day + 1] * fading[:, day]
        table = table.transpose(0, 2, 1).reshape(len(daily), -1)
        survived = survived.ravel()
        stays = np.exp(survived[at_T] - survived[at_t])
        left = np.maximum(table[0][at_t] - stays * table[0][at_T], 0.0)

        def sums(weights):
            there = np.bincount(at_T, weights * stays, table.shape[1])
            since = np.bincount(at_t, weights, table.shape[1]) - there
            there = there.reshape(shape)
            factors = _factors(A, alpha + times, beta + times)
            return _totals([np.ones(shape), *factors], there), _totals(table, since)

        return stays, left, sums

    return integrals
