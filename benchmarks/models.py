"""What purchase and spend models cost against lifetimes, and how often their intervals hold.

Speed: a million customers are drawn from the models themselves and compressed to states; each side
fits the same states in a process of its own, ours and that of lifetimes in turn, and both optima
are shown. lifetimes lives in an environment of its own, made at first use. Intervals: shops of
fresh customers of a known truth are drawn, fitted, and the 95% intervals of parameters counted.

    python benchmarks/models.py --customers 1000000 --shops 2000
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import click
import numpy as np

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "models.md"
_PEER = ("lifetimes==0.11.3", "setuptools<81", "click")
_TRUTHS = {
    "BG/NBD": {"r": 0.6, "alpha": 8.0, "a": 1.2, "b": 4.0},
    "MBG/NBD": {"r": 0.8, "alpha": 8.0, "a": 1.2, "b": 4.0},
    "Pareto/NBD": {"r": 0.8, "alpha": 8.0, "s": 0.8, "beta": 20.0},
    "NBD": {"r": 0.6, "alpha": 20.0},
}
_SPEND = {"p": 6.0, "q": 3.7, "gamma": 15.0}


def made(model: str, days_per_unit: float = 7.0):
    """A model with the parameters of the truth, as if fitted without error."""
    from helpers.models import btyd
    from helpers.models.gamma_gamma import GammaGammaFit

    names = _SPEND if model == "Gamma-Gamma" else _TRUTHS[model]
    size = len(names)
    errors = {
        "log_likelihood": 0.0, "covariance": np.zeros((size, size)), "n": 1.0, "gradient_norm": 0.0
    }  # fmt: skip
    if model == "Gamma-Gamma":
        return GammaGammaFit(**names, **errors)
    return btyd.MODELS[model](**names, **errors, days_per_unit=days_per_unit)


# --- speed ---------------------------------------------------------------------------------------


def draw(customers: int, folder: Path) -> None:
    """Write distinct states of so many customers of two years, merged by day, and their spend."""
    from helpers.models import btyd

    rng = np.random.default_rng(20260630)
    T = rng.integers(1, 731, customers)
    truth = replace(made("BG/NBD"), alpha=56.0, days_per_unit=1.0)
    new = np.zeros(customers)
    drawn = btyd.simulate_purchases(truth, btyd.States(new, new, new), 731.0, rng)
    day = np.ceil(drawn.time).astype(int)
    seen = day <= T[drawn.row]
    row, day = np.unique(np.column_stack([drawn.row[seen], day[seen]]), axis=0).T
    x = np.bincount(row, minlength=customers)
    recency = np.zeros(customers, dtype=int)
    np.maximum.at(recency, row, day)
    states, n = np.unique(np.column_stack([x, recency, T]), axis=0, return_counts=True)
    p, q, gamma = _SPEND.values()
    spend_x = x[x > 0]
    spend = rng.standard_gamma(p * spend_x) / (rng.standard_gamma(q, len(spend_x)) / gamma)
    spend = np.maximum(np.round(spend, 2), 0.01)
    np.savez(folder / "states.npz", x=states[:, 0], t_x=states[:, 1], T=states[:, 2], n=n,
             spend_x=spend_x, spend=spend)  # fmt: skip


def ours(model: str, data: dict) -> dict:
    """Fit one model as the workbook does: seconds, parameters in days."""
    from helpers.models import btyd, gamma_gamma

    start = time.process_time()
    if model == "Gamma-Gamma":
        fit = gamma_gamma.fit_gamma_gamma(data["spend_x"], data["spend"])
        return {"seconds": time.process_time() - start, "parameters": fit.parameters.tolist()}
    states = btyd.States(data["x"], data["t_x"], data["T"], data["n"], days_per_unit=1.0)
    fit = btyd.fit(states, model)
    return {"seconds": time.process_time() - start, "parameters": fit.parameters.tolist()}


def peers(model: str, data: dict) -> dict:
    """Fit one model with lifetimes: seconds, parameters in days."""
    import warnings

    warnings.filterwarnings("ignore")
    import lifetimes

    x, t_x, T, n = (np.asarray(data[name], dtype=float) for name in ("x", "t_x", "T", "n"))
    start = time.process_time()
    if model == "Gamma-Gamma":
        fitter = lifetimes.GammaGammaFitter()
        fitter.fit(data["spend_x"].astype(float), data["spend"] / data["spend_x"])
    else:
        fitter = {
            "BG/NBD": lifetimes.BetaGeoFitter,
            "MBG/NBD": lifetimes.ModifiedBetaGeoFitter,
            "Pareto/NBD": lifetimes.ParetoNBDFitter,
        }[model]()
        fitter.fit(x, t_x, T, weights=n)
    seconds = time.process_time() - start
    return {"seconds": seconds, "parameters": [float(v) for v in fitter.params_]}


def predictive(data: dict) -> dict:
    """Time both fits, and the predictive interval of the total of the coming year."""
    import pandas as pd

    from helpers.models import forecast, futures
    from helpers.models.terms import Terms

    as_of = pd.Timestamp("2026-06-30")
    first = as_of - pd.to_timedelta(data["T"], "D")
    states = pd.DataFrame(
        {
            "frequency": data["x"], "first_day": first, "n": data["n"],
            "last_day": first + pd.to_timedelta(data["t_x"], "D"),
        }
    )  # fmt: skip
    spend = pd.DataFrame({"frequency": data["spend_x"], "total_spend": data["spend"], "n": 1})
    start = time.process_time()
    models = forecast.fit_models(states, spend, as_of)
    fitted = time.process_time()
    total = futures.clv_forecast(states, spend, models, Terms()).totals.iloc[-1]
    done = time.process_time()
    width = (total["clv_high"] - total["clv_low"]) / total["clv"]
    return {"seconds": done - fitted, "fit": fitted - start, "width": width}


def environment(folder: Path) -> Path:
    """Give the Python of an environment that holds lifetimes, made at first use."""
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *_PEER], check=True)
    return python


def measured(python: Path | str, side: str, model: str, folder: Path) -> dict:
    """Run one side in a process of its own, on one thread."""
    command = [str(python), __file__, "--side", side, "--model", model, "--folder", str(folder)]
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    return json.loads(done.stdout.splitlines()[-1])


def speed(sizes: dict[str, int], runs: int, peer: Path, scratch: Path) -> list[str]:
    """Compare both sides, in turn: lines of the table."""
    lines = []
    for model, customers in sizes.items():
        folder = scratch / str(customers)
        if not folder.exists():
            folder.mkdir()
            draw(customers, folder)
        found = {"ours": [], "peers": []}
        for _ in range(runs if model != "Pareto/NBD" else 1):
            found["ours"].append(measured(sys.executable, "ours", model, folder))
            found["peers"].append(measured(peer, "peers", model, folder))
        seconds = {k: statistics.median(each["seconds"] for each in v) for k, v in found.items()}
        here, there = (np.array(found[k][-1]["parameters"]) for k in ("ours", "peers"))
        apart = float(np.abs(here / there - 1).max())
        lines.append(
            f"| {model} | {customers:,} | {seconds['ours']:.2f} | {seconds['peers']:.1f} | "
            f"{seconds['peers'] / seconds['ours']:.0f} | "
            f"{', '.join(f'{v:.5g}' for v in here)} | {apart:.0e} |"
        )
        click.echo(lines[-1])
    return lines


# --- intervals -----------------------------------------------------------------------------------


def coverage(model: str, shops: int, size: int, seed: int) -> list[str]:
    """Fit so many shops of one truth and count what 95% intervals hold: lines of the table."""
    from helpers.errors import DataError
    from helpers.models import btyd, gamma_gamma

    truth = made(model)
    low, high, refused = [], [], 0
    for shop in range(shops):
        rng = np.random.default_rng([seed, shop])
        try:
            if model == "Gamma-Gamma":
                x = rng.geometric(0.4, size)
                rate = rng.standard_gamma(truth.q, size) / truth.gamma
                fit = gamma_gamma.fit_gamma_gamma(x, rng.standard_gamma(truth.p * x) / rate)
            else:
                fit = btyd.fit(btyd.simulate_states(truth, rng.uniform(26, 104, size), rng), model)
        except DataError:
            refused += 1
            continue
        bounds = fit.interval(0.95)
        low.append(bounds[:, 0])
        high.append(bounds[:, 1])
    below, above = np.array(high) < truth.parameters, np.array(low) > truth.parameters
    lines = []
    for i, name in enumerate(truth.names):
        held = 1 - below[:, i].mean() - above[:, i].mean()
        lines.append(
            f"| {model} | {shops:,} | {size:,} | {name} | {truth.parameters[i]:g} | {held:.1%} "
            f"| {below[:, i].mean():.1%} | {above[:, i].mean():.1%} | {refused} |"
        )
        click.echo(lines[-1])
    return lines


# --- the page ------------------------------------------------------------------------------------


@click.command()
@click.option("--customers", default=1_000_000, show_default=True)
@click.option("--slow", default=0, help="Customers for Pareto/NBD, if fewer: the peer's slowest.")
@click.option("--runs", default=3, show_default=True, help="Of each side; Pareto/NBD once.")
@click.option("--shops", default=2000, show_default=True)
@click.option("--size", default=2000, show_default=True, help="Customers of a shop.")
@click.option("--seed", default=20260630, show_default=True)
@click.option("--models", default=",".join((*_TRUTHS, "Gamma-Gamma")), show_default=True)
@click.option("--part", type=click.Choice(["all", "speed", "intervals"]), default="all")
@click.option("--environment", "place", default="work/lifetimes", show_default=True)
@click.option("--side", type=click.Choice(["ours", "peers", "predictive"]), hidden=True)
@click.option("--model", default="", hidden=True)
@click.option("--folder", default="", hidden=True)
def main(
    customers, slow, runs, shops, size, seed, models, part, place, side, model, folder
) -> None:
    """Time the models against lifetimes, and count what their intervals hold."""
    if side:
        data = dict(np.load(Path(folder) / "states.npz"))
        found = predictive(data) if side == "predictive" else _SIDES[side](model, data)
        click.echo(json.dumps(found))
        return
    found = {}
    if part != "intervals":
        peer = environment(_ROOT / place)
        sizes = {name: customers for name in models.split(",") if name != "NBD"}
        if "Pareto/NBD" in sizes:
            sizes["Pareto/NBD"] = slow or customers
        with tempfile.TemporaryDirectory() as scratch:
            lines = speed(sizes, runs, peer, Path(scratch))
            total = measured(sys.executable, "predictive", "", Path(scratch) / str(customers))
        found["Speed"] = (speed_section, lines, total, customers, runs)
    if part != "speed":
        lines = [line for name in models.split(",") for line in coverage(name, shops, size, seed)]
        found["Intervals"] = (interval_section, lines, seed)
    parts = sections()  # read late: another run may have written its own lines meanwhile
    for name, (write, lines, *rest) in found.items():
        parts[name] = write([*others(parts.get(name, ""), models), *lines], *rest)
    _TARGET.parent.mkdir(parents=True, exist_ok=True)
    page = ["# What the models cost, and what their intervals hold", "Made by `make bench-models`."]
    page += [f"## {name}\n\n{text}" for name, text in parts.items()]
    _TARGET.write_text("\n\n".join(page) + "\n", encoding="utf-8")


_SIDES = {"ours": ours, "peers": peers}


def sections() -> dict[str, str]:
    """Give the sections of the page as it stands, so that one can be made anew."""
    text = _TARGET.read_text(encoding="utf-8") if _TARGET.is_file() else ""
    return dict(part.strip().split("\n\n", 1) for part in text.split("\n## ")[1:])


def others(section: str, models: str) -> list[str]:
    """Give a section's lines on models that are not measured anew."""
    left = {*_TRUTHS, "Gamma-Gamma"} - set(models.split(","))
    return [x for x in section.splitlines() if x.split(" | ")[0].removeprefix("| ") in left]


def speed_section(lines: list[str], total: dict, customers: int, runs: int) -> str:
    """Say what fits cost: the table, and the predictive interval of the total."""
    return "\n".join(
        [
            "States and spend of simulated customers over two years by day, distinct states with "
            "their count; processor seconds of a fit without imports (one thread, both sides in "
            f"turn, median of {runs}; Pareto/NBD once); {_PEER[0]}. `apart` is the largest "
            "difference of a parameter, as a share.\n",
            "| model | customers | seconds | lifetimes | times as fast | parameters | apart |",
            "|---|---:|---:|---:|---:|---|---:|",
            *lines,
            f"\nThe predictive interval of the next twelve months' value of all {customers:,} "
            f"customers took {total['seconds']:.1f} s, {total['seconds'] / total['fit']:.0f} times "
            f"the {total['fit']:.2f} s of fitting purchases and spend, states made from dates "
            f"included; it is {total['width']:.1%} of the total wide.",
        ]
    )


def interval_section(lines: list[str], seed: int) -> str:
    """Say how often intervals of parameters hold the truth."""
    return "\n".join(
        [
            "Simulated shops of fresh customers, each watched for 26 to 104 weeks, "
            f"seed {seed}. Of a 95% interval, 93 to 97% should hold the truth; `too low` and `too "
            "high` say on which side the others lay, `refused` how many shops of a model could not "
            "be fitted.\n",
            "| model | shops | customers | parameter | truth | held the truth | too low | too high "
            "| refused |",
            "|---|---:|---:|---|---:|---:|---:|---:|---:|",
            *lines,
        ]
    )


if __name__ == "__main__":
    main()
