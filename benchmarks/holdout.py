"""Every model and naive rule on real customers whom it had not seen: the tables of holdout.md.

CDNOW and The Complete Journey come with packages that are installed for examples; Online Retail II
has to be given as a folder with its two sheets as Parquet or CSV. Money is revenue, since none of
the three knows a cost.

    python benchmarks/holdout.py --retail /path/to/online_retail_ii
"""

import tempfile
from pathlib import Path

import click

from helpers import summaries
from helpers.chapters import backtest_tables
from helpers.measures import metrics
from helpers.models.backtest import BackTest
from helpers.models.terms import Horizon
from helpers.study import open_study

_ROOT = Path(__file__).resolve().parent.parent
_TARGET = _ROOT / "reports" / "benchmarks" / "holdout.md"
_TOML = 'preset = "online_retail_ii"\n\n[tables.orders]\nfiles = "year_*"\n'
_SHOPS = (("cdnow", "1998-06"), ("complete_journey", "2017-12"))


def retail_shop(folder: str, place: Path) -> str:
    """Write the shop.toml of Online Retail II beside links to its files; give the shop's folder."""
    shop = place / "online_retail_ii"
    shop.mkdir()
    for path in sorted(Path(folder).resolve().iterdir()):
        if path.suffix in (".parquet", ".csv"):
            (shop / path.name).symlink_to(path)
    (shop / "shop.toml").write_text(_TOML, encoding="utf-8")
    return str(shop)


def tried(shop: str, month: str) -> tuple[str, str, BackTest]:
    """Back-test a shop at the end of a month: its title, what the periods are, and the result."""
    study = open_study(shop, month)
    states, periods = (summaries.load(study, n) for n in ("customer_states", "periods"))
    check = backtest_tables.load_backtest(study, states, Horizon(12), metrics.money_basis(periods))
    return study.title, f"{study.month}, {int(states['n'].sum()):,} customers", check


def section(title: str, about: str, check: BackTest) -> str:
    """Write one shop's table, the choice and its regret."""
    if check.reason:
        return f"## {title}\n\n{about}. {check.reason}\n"
    parts = [f"## {title}\n\n{about}; held out {check.horizon_days} days from each of:\n"]
    for row in backtest_tables.origins(check).itertuples():
        parts.append(
            f"- {row.held_out_after:%Y-%m-%d}: {row.customers:,} customers, {row.orders:,.0f} "
            "orders "
            f"(said {row.orders_said:,.0f}), revenue {row.money:,.0f} (said {row.money_said:,.0f})"
        )
    for measure, name in (("money", "Revenue"), ("orders", "Orders")):
        parts.append(
            f"\n{name}, all periods together:\n\n| rule | kind | forecast | actual | bias | mean "
            "error "
            "of total | MAE | RMSE | MSLE | Gini | decile error |\n"
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        )
        for row in backtest_tables.rule_scores(check, measure).itertuples():
            parts.append(
                f"| {row.rule} | {row.kind} | {row.forecast:,.0f} | {row.actual:,.0f} | "
                f"{row.bias:+.1%} "
                f"| {row.total_error:.1%} | {row.mae:.3f} | {row.rmse:.3f} | {row.msle:.4f} "
                f"| {row.gini:.3f} | {row.decile_error:.1%} |"
            )
    said = (backtest_tables.choice_sentence, backtest_tables.coverage_sentence,
            backtest_tables.left_out_sentence)  # fmt: skip
    return "\n".join(parts) + "\n\n" + "\n\n".join(say(check) for say in said) + "\n"


@click.command()
@click.option("--retail", default="", help="Folder with Online Retail II; without it, two shops.")
@click.option("--write/--no-write", default=True, help="Write the page under reports/benchmarks.")
def main(retail: str, write: bool) -> None:
    """Say how every rule does on months that it had not seen, on three public shops."""
    with tempfile.TemporaryDirectory() as place:
        shops = [*_SHOPS, *([(retail_shop(retail, Path(place)), "2011-11")] if retail else [])]
        parts = [section(*tried(shop, month)) for shop, month in shops]
    text = (
        "# Forecasts held against months they had not seen\n\n"
        "Three public shops, revenue, since none knows a cost. Up to three days of the past, "
        "each with "
        "as much held out as the horizon of twelve months allows (at most half of the history). "
        "Choice: nearest customer by customer (root mean square error of money), and among those "
        "within 2% nearest in total. Made by `make bench-holdout`.\n\n" + "\n".join(parts)
    )
    click.echo(text)
    if write:
        _TARGET.parent.mkdir(parents=True, exist_ok=True)
        _TARGET.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
