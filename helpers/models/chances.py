"""What customers may do by chance: possible futures of a portfolio, by step and group.

Parameters are drawn from their near-normal logarithms, each customer's rate, end and spend from its
posterior given them (conjugate, so no Markov chains), and the season from its own error.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from helpers.models import btyd, gamma_gamma
from helpers.models.forecast import Models, has_spend
from helpers.models.portfolio import Portfolio
from helpers.models.season import Season
from helpers.models.states import States


@dataclass(frozen=True)
class People:
    """Customers one by one: purchase and spend history, group; and by group, how many each is.

    ``row``: the state that each customer has, in the book.
    """

    row: np.ndarray
    at: States
    spend_frequency: np.ndarray
    total_spend: np.ndarray
    group: np.ndarray
    weight: np.ndarray


def people_of(
    book: Portfolio, spend_states: pd.DataFrame, limit: int, rng: np.random.Generator
) -> People:
    """Unfold the states into customers; above ``limit`` take an even sample within each group."""
    n, rows, weight = book.at.n, [], []
    share = min(1.0, limit / n.sum())
    for code in range(book.size):
        members = np.flatnonzero(book.group == code)
        customers = int(n[members].sum())
        # a small group is simulated whole: its own noise cannot be read off a handful
        size = min(customers, max(int(share * customers), min(limit, 500)))
        start = 0.5 if size == customers else rng.random()
        places = (np.arange(size) + start) * (customers / size)
        found = np.searchsorted(np.cumsum(n[members]), places, side="right")
        rows.append(members[np.minimum(found, len(members) - 1)])
        weight.append(customers / size)
    row = np.concatenate(rows)
    at = _each(book.at, row)
    if has_spend(book.states):
        own = book.states.iloc[row]
        # of customers who share a state only the sum is known: each has the mean
        spend = own["spend_frequency"].to_numpy(), (own["total_spend"] / own["n"]).to_numpy(float)
    else:
        spend = _deal_spend(at.frequency, spend_states, rng)
    return People(row, at, *spend, group=book.group[row], weight=np.array(weight))


def _each(at: States, row: np.ndarray) -> States:
    """Give the states of single customers."""
    return States(at.frequency[row], at.recency[row], at.T[row], days_per_unit=at.days_per_unit)


def _deal_spend(
    frequency: np.ndarray, spend_states: pd.DataFrame, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give each customer the spend history of someone with the same frequency.

    Summaries do not say whose spend is whose; within a frequency the models take purchase timing
    and spend as independent, so histories are shuffled and dealt, each once where counts agree.
    """
    row = np.repeat(np.arange(len(spend_states)), spend_states["n"].to_numpy(int))
    known = spend_states["frequency"].to_numpy()[row]
    shuffled = np.lexsort((rng.random(len(row)), known))
    row, known = row[shuffled], known[shuffled]
    first = np.searchsorted(known, frequency, side="left")
    size = np.searchsorted(known, frequency, side="right") - first
    order = np.argsort(frequency, kind="stable")
    ranked = frequency[order]
    rank = np.empty(len(order), dtype=int)
    rank[order] = np.arange(len(order)) - np.searchsorted(ranked, ranked, side="left")
    has = (size > 0) & (frequency > 0)
    dealt = row[np.where(has, first + rank % np.maximum(size, 1), 0)] if len(row) else rank * 0
    total = spend_states["total_spend"].to_numpy(float)
    return np.where(has, frequency, 0), np.where(has, total[dealt], 0.0)


def _simulate(
    book: Portfolio, people: People, models: Models, rng: np.random.Generator
) -> np.ndarray:
    """One possible future: orders and revenue by step and group, (2, steps, groups)."""
    edges = models.clock.ahead(book.edges)
    drawn = btyd.simulate_purchases(models.purchase, people.at, edges[-1], rng)
    buyers, owner = np.unique(drawn.row, return_inverse=True)
    rate = gamma_gamma.draw_spend_rates(
        models.spend, people.spend_frequency[buyers], people.total_spend[buyers], rng
    )
    revenue = rng.standard_gamma(models.spend.p, len(owner)) / rate[owner]
    steps = len(edges) - 1
    step = np.clip(np.searchsorted(edges, drawn.time, side="right") - 1, 0, steps - 1)
    cell = step * book.size + people.group[drawn.row]
    measures = (np.ones(len(owner)), revenue)
    sums = [np.bincount(cell, measure, steps * book.size) for measure in measures]
    return np.array(sums).reshape(2, steps, book.size)


def each_draw(
    book: Portfolio, people: People, models: Models, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Possible futures of all customers, each under its own parameters and season.

    Another season moves both the past as the model's clock counts it and the horizon.
    """
    found, seasons = [], _seasons(models, draws, rng)
    for move, season in zip(models.moves(draws, rng), seasons, strict=True):
        moved = replace(models.moved(move), season=season)
        if season is not None:
            people = replace(people, at=_each(book.seen_by(moved.clock), people.row))
        found.append(_simulate(book, people, moved, rng))
    return np.array(found)


def _seasons(models: Models, draws: int, rng: np.random.Generator) -> list[Season | None]:
    """Plausible seasons given the data, or none at all."""
    if models.season is None:
        return [None] * draws
    return [models.season.shifted(move) for move in models.season.log_draws(draws, rng)]


def scaled(
    book: Portfolio, people: People, models: Models, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Possible futures of all customers from a sample: (draws, 2, steps, groups).

    Parameters move the expectation of everyone together (first order in the logarithms), and so
    does the season; what the customers of the sample do by chance is independent, so it grows with
    the square root of n.
    """
    moves = models.moves(draws, rng)
    unit = np.eye(moves.shape[1]) * 1e-3
    floor = 1e-300  # a group that nobody is in expects nothing, whatever the parameters
    logs = [
        [np.log(np.maximum(book.expected(models.moved(e)), floor)) for e in (up, -up)]
        for up in unit
    ]
    slopes = np.array([(up - down) / 2e-3 for up, down in logs])
    drift = np.exp(np.einsum("dp,pmsg->dmsg", moves, slopes))
    if models.season is not None:
        plain = np.diff(models.clock.ahead(book.edges))
        for row, season in enumerate(_seasons(models, draws, rng)):
            ahead = replace(models, season=season).clock.ahead(book.edges)
            drift[row] *= (np.diff(ahead) / plain)[None, :, None]
    expected = book.expected(models) * drift
    drawn = np.array([_simulate(book, people, models, rng) for _ in range(draws)])
    noise = drawn - drawn.mean(axis=0)
    return expected + noise * np.sqrt(people.weight)
