"""The CDNOW data that come with the package lifetimes, read without importing it."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.models import btyd

START, CUTOFF, END = (pd.Timestamp(d) for d in ("1997-01-01", "1997-09-30", "1998-06-30"))


def cdnow_file(name: str) -> Path:
    """A data file of the package lifetimes, found without importing the package."""
    spec = importlib.util.find_spec("lifetimes")
    path = Path(spec.origin).parent / "datasets" / name if spec else None
    if path is None or not path.exists():
        pytest.fail(f"lifetimes/datasets/{name} is missing: pip install lifetimes==0.11.3")
    return path


def cdnow_days() -> pd.DataFrame:
    """Purchase days of the 1/10 sample: id, day, spend, first_day."""
    columns = ["master_id", "id", "day", "cds", "spend"]
    lines = pd.read_csv(
        cdnow_file("CDNOW_sample.txt"), sep=r"\s+", names=columns, dtype={"day": str}
    )
    lines["day"] = pd.to_datetime(lines["day"], format="%Y%m%d")
    days = lines.groupby(["id", "day"], as_index=False)["spend"].sum()
    return days.assign(first_day=days.groupby("id")["day"].transform("min"))


def cdnow_histories(days: pd.DataFrame, until: pd.Timestamp) -> pd.DataFrame:
    """x, t_x and T in whole days of the customers seen by ``until``."""
    by = days[days["day"] <= until].groupby("id")["day"].agg(["min", "max", "size"])
    t_x, T = (by["max"] - by["min"]).dt.days, (until - by["min"]).dt.days
    return pd.DataFrame({"x": by["size"] - 1, "t_x": t_x, "T": T})


def in_weeks(histories: pd.DataFrame) -> btyd.States:
    """The same as states in weeks."""
    return btyd.States(histories["x"], histories["t_x"] / 7, histories["T"] / 7)


def made(model: str, *parameters: float, days_per_unit: float = 7.0) -> btyd.PurchaseFit:
    """A model with given parameters, as if fitted without error."""
    kind = btyd.MODELS[model]
    size = len(parameters)
    return kind(
        **dict(zip(kind.names, parameters, strict=True)), days_per_unit=days_per_unit,
        log_likelihood=0.0, covariance=np.zeros((size, size)), n=1.0, gradient_norm=0.0,
    )  # fmt: skip
