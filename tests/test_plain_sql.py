"""Every summary of whole shops is what SQL written apart from it says, to the last row and cent."""

import pandas as pd
import pytest

from benchmarks import plain_sql
from helpers import summaries
from helpers.study import open_study

SHOPS = {
    "sample": {"split": "2025-06-30", "until": "2026-05-31"},
    "cdnow": {"split": "1997-09-30", "until": "1998-05-31"},
}
OTHERS = {"dimension": "first_category", "window": 90}


@pytest.fixture(scope="module", params=SHOPS)
def shop(request):
    month = {"sample": "2026-06", "cdnow": "1998-06"}[request.param]
    return open_study(request.param, month), {**OTHERS, **SHOPS[request.param]}


@pytest.mark.parametrize("name", plain_sql.NAMES)
def test_the_same_rows(name, shop):
    study, every = shop
    options = {
        option: every[option] for option in summaries.SUMMARIES[name].options if option != "as_of"
    }
    own = summaries.engine_table(study, name, **options)
    found = study.con.con.sql(plain_sql.offered(study, name, options)).df()
    expected = study.con.execute(own)
    assert set(found) == set(expected)
    # CDNOW has neither products nor refunds.
    assert len(found) == len(expected) > (0 if study.shop.name == "sample" else -1)
    names = list(own.columns)
    one, other = (_plain(frame[names]).sort_values(names, ignore_index=True)
                  for frame in (expected, found))  # fmt: skip
    for column, kind in own.schema().items():
        pd.testing.assert_series_equal(
            one[column], other[column], check_dtype=False, check_exact=not kind.is_floating(),
            rtol=1e-9, atol=0,
        )  # fmt: skip


def _plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Give numbers, days and words in one type each."""
    found = {}
    for name, values in frame.items():
        if str(values.dtype).startswith("datetime"):
            found[name] = values.astype("datetime64[us]")
        elif values.dtype.kind in "iufb":
            found[name] = values.astype("float64")
        elif len(values.dropna()) and not isinstance(values.dropna().iloc[0], str):
            is_day = hasattr(values.dropna().iloc[0], "year")
            found[name] = (
                pd.to_datetime(values).astype("datetime64[us]")
                if is_day
                else pd.to_numeric(values).astype("float64")
            )
        else:
            found[name] = values.astype("object").where(values.notna(), None)
    return pd.DataFrame(found)
