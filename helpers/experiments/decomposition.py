"""Did they buy more often, or bigger baskets? A spend lift in parts that add up."""

from collections.abc import Mapping

import numpy as np

from helpers.experiments.effects import Effect, covariance, interval, mean, variance


def spend_parts(
    control: Mapping, treated: Mapping, *, spend: str = "revenue", buyers: str = "converted",
    level: float = 0.95,
) -> dict[str, Effect]:  # fmt: skip
    """Split the difference in spend per customer into conversion and basket.

    conversion = (share buying, treated - control) x spend per buyer of the control;
    basket = share buying of the treated x (spend per buyer, treated - control);
    the two add up to the difference, to the last digit. Only buyers spend, so the sum of spend x
    buyer is the sum of spend. Standard errors by the delta method over both arms. The basket
    part compares different buyers: those the campaign brought may buy smaller baskets. All parts
    are missing where an arm has no buyer: there is no basket to compare.
    Returns conversion, basket and total.
    """
    y0, y1 = mean(control, spend), mean(treated, spend)
    shares = [mean(arm, buyers) for arm in (control, treated)]
    p0, p1 = (np.where(share > 0, share, np.nan) for share in shares)
    v = [_variances(arm, spend, buyers) for arm in (control, treated)]
    # conversion = p1 y0 / p0 - y0; basket = y1 - p1 y0 / p0.
    slopes = {
        "conversion": ((p1 / p0 - 1, -p1 * y0 / p0**2), (np.zeros_like(y1), y0 / p0)),
        "basket": ((-p1 / p0, p1 * y0 / p0**2), (np.ones_like(y1), -y0 / p0)),
        "total": ((-np.ones_like(y0), np.zeros_like(y0)), (np.ones_like(y1), np.zeros_like(y1))),
    }
    values = {"conversion": (p1 - p0) * y0 / p0, "basket": y1 - p1 * y0 / p0, "total": y1 - y0}
    parts = {}
    for name, sides in slopes.items():
        spread = sum(
            a**2 * vy + 2 * a * b * vyp + b**2 * vp
            for (a, b), (vy, vyp, vp) in zip(sides, v, strict=True)
        )
        value = np.where(np.isnan(p0 + p1), np.nan, values[name])
        parts[name] = interval(value, np.sqrt(np.maximum(spread, 0)), level=level)
    return parts


def _variances(arm: Mapping, spend: str, buyers: str) -> tuple[object, object, object]:
    """Variances and covariance of the two means of an arm."""
    n = np.asarray(arm["n"], dtype=float)
    whole = {f"{spend}_{buyers}": arm[spend], f"{buyers}_squares": arm[buyers], **arm}
    return (
        variance(whole, spend) / n,
        covariance(whole, spend, buyers) / n,
        variance(whole, buyers) / n,
    )
