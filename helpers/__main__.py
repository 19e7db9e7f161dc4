"""The command line: python -m helpers report | lab | new-shop | list | exercises | slides | ..."""

import os
import sys
import threading
from collections.abc import Callable

import click

from helpers.errors import UsageError, WorkbookError
from helpers.files import near

# A grammar of web addresses that jsonschema, and with it nbformat, builds where it is installed.
# No notebook's schema asks for one: two seconds of every command.
sys.modules.setdefault("rfc3987_syntax", None)

_SHOP = click.option(
    "--shop", default="sample", show_default=True, help="A shop under data/, or its folder."
)
_MONTH = click.option("--month", default="", help="Such as 2026-06; default: the last complete.")
_SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="[NOTEBOOK.]NAME=VALUE",
    help="A parameter of a notebook (04.horizon_months=24) or of all that have it (seed=3). "
    "May be given several times.",
)
_JOBS = click.option(
    "--jobs",
    type=click.IntRange(1, 16),
    default=None,
    help="Notebooks side by side; default: 2, or 1 on a single core.",
)


class Progress:
    """Say how a run goes: plain lines, and on a terminal a last line that is written over."""

    def __init__(self, terminal: bool | None = None):
        self.terminal = sys.stdout.isatty() if terminal is None else terminal
        self.running: list[str] = []
        self.one_at_a_time = threading.Lock()

    def __call__(self, what: str, name: str, seconds: float) -> None:
        """Take note of what happened to a notebook; notebooks report from their own threads."""
        with self.one_at_a_time:
            others = [each for each in self.running if each != name]
            self.running = [*others, name] if what == "runs" else others
            self.say(self._line(what, name, seconds))

    def say(self, line: str) -> None:
        """Write a line, and below it what is running now."""
        clear, now = ("\r\x1b[K", "") if self.terminal else ("", "")
        if self.terminal and self.running:
            now = f"{'running':>10}  {', '.join(self.running)}"
        text = f"{clear}{line}\n{now}" if line else f"{clear}{now}"
        click.echo(text, nl=False, color=self.terminal)

    def _line(self, what: str, name: str, seconds: float) -> str:
        if what == "runs":
            return "" if self.terminal else f"{'started':>10}  {name}"
        time = f"  {seconds:.1f} s" if seconds else ""
        return f"{what:>10}  {name}{time}".rstrip()


class Commands(click.Group):
    """The commands; a fault that the user can mend is one line, without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command and turn known faults into one line and an exit code."""
        try:
            return super().invoke(ctx)
        except WorkbookError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            named = f" ({error.filename})" if error.filename else ""
            click.echo(f"error: {error.strerror or error}{named}", err=True)
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Six notebooks that take a shop's raw orders to a month of decisions."""


@main.command()
@_SHOP
@_MONTH
@click.option(
    "--months", default="", metavar="A..B", help="Several months in order, both included."
)
@_SET
@_JOBS
@click.option("--force", is_flag=True, help="Run everything again, whatever is kept.")
def report(shop: str, month: str, months: str, settings: tuple, jobs: int, force: bool) -> None:
    """Run the notebooks for a shop and a month, and publish the pages."""
    from helpers.runs import month as runs

    progress = Progress()
    done = _stoppable(
        lambda: runs.report(
            shop,
            month=month,
            months=months,
            settings=settings,
            jobs=jobs or 0,
            force=force,
            progress=progress,
        )
    )
    for each in done:
        for note in each.notes:
            click.echo(note)
        state = "is unchanged" if each.unchanged else "is published"
        click.echo(f"{each.shop} {each.month} {state}: {near(each.index)}")


@main.command()
@_SHOP
@_MONTH
@_SET
@click.option("--fresh", is_flag=True, help="New copies, also of notebooks changed by hand.")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.argument("options", nargs=-1, metavar="[-- JUPYTERLAB OPTIONS]")
def lab(
    shop: str, month: str, settings: tuple, fresh: bool, no_browser: bool, options: tuple
) -> None:
    """Open JupyterLab on working copies of the notebooks, for a shop and a month."""
    from helpers import workbench

    folder, notes = workbench.make_copies(shop, month=month, settings=settings, fresh=fresh)
    for note in notes:
        click.echo(note)
    click.echo(f"working copies: {near(folder)}")
    sys.exit(workbench.lab(folder, browser=not no_browser, options=options))


@main.command("new-shop")
@click.argument("name")
@click.option("--orders", multiple=True, required=True, metavar="FILE", help='A file or "*.csv".')
@click.option("--preset", default="", help="A known export; none: do not look for one.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="COLUMN=SOURCE",
    help='The source of a column: customer_id="Client no"; repeated for one column: joined.',
)
@click.option("--currency", default="", help="ISO 4217 code; never assumed.")
@click.option("--time-zone", default="", help="IANA name, such as Europe/Berlin; never assumed.")
@click.option("--date-format", multiple=True, metavar="[TABLE=]FORM", help="Such as %d.%m.%Y.")
@click.option("--decimal", multiple=True, metavar="[TABLE=]SIGN", help="The decimal sign: . or ,")
@click.option("--encoding", default="", help="Such as cp1252; default: found by itself.")
@click.option(
    "--also", multiple=True, metavar="PRESET=FILE", help="Another export that a preset knows."
)
@click.option(
    "--table", "tables", multiple=True, metavar="TABLE=FILE", help="Another table's file."
)
@click.option("--vat", default="", help="Where a preset asks: net, or the rate costs hold (0.20).")
@click.option("--force", is_flag=True, help="Replace an existing shop.toml.")
def new_shop(**given) -> None:
    """Look at an export, and write the shop.toml of a new shop."""
    from helpers import newshop

    def ask(question: str, check: Callable[[str], str]) -> str:
        def checked(answer: str) -> str:
            try:
                return check(answer.strip())
            except WorkbookError as error:
                raise click.BadParameter(str(error)) from None

        return click.prompt(question, value_proc=checked)

    request = newshop.Request(**given)
    newshop.new_shop(request, say=click.echo, ask=ask if sys.stdin.isatty() else None)


@main.command("list")
@_SHOP
@_MONTH
@click.option("--purpose", default="", help="Of the consent, such as email_marketing.")
@click.option("--value", is_flag=True, help="Instead: what every customer has been worth.")
@click.option(
    "--forecast",
    "name",
    default="",
    metavar="LIST",
    help="Of those with this consent: wake-up, loyalty or next-order.",
)
@click.option("--out", default="", help="Another file; default: lists/ in the shop's folder.")
def list_customers(shop: str, month: str, purpose: str, value: bool, name: str, out: str) -> None:
    """Write the customers who may be written to, by their consent at a month's end.

    With --forecast: of these, who is falling silent, fit for the loyalty program, or due to order.
    With --value: what every customer has been worth, for the shop's own books.
    """
    from helpers.privacy import lists

    if value == bool(purpose) or (value and name):
        raise UsageError(
            "Give either --purpose, such as email_marketing (with --forecast, if you like), or "
            "--value."
        )
    if value:
        done = lists.write_value_list(shop, month=month, out=out)
    elif name:
        done = lists.write_forecast_list(shop, name=name, month=month, purpose=purpose, out=out)
    else:
        done = lists.write_list(shop, month=month, purpose=purpose, out=out)
    click.echo(done.sentence())
    click.echo(near(done.path))


@main.command("forecast-summary")
@click.argument("file")
@click.option("--unit", required=True, help="Of recency and T: days, weeks, months or years.")
@click.option("--horizon", default=12.0, show_default=True, help="Months of 365.25/12 days.")
@click.option("--margin", default=1.0, show_default=True, help="Contribution margin, a share.")
@click.option("--serve", default=0.0, show_default=True, help="Cost to serve an order, money.")
@click.option("--discount", default=0.1, show_default=True, help="Annual effective rate, a share.")
@click.option("--model", default="BG/NBD", show_default=True, help="A purchase model.")
@click.option("--out", default="", help="Write the score of every row there, as CSV.")
def forecast_summary(file: str, unit: str, out: str, **terms: object) -> None:
    """Forecast from a summary by lifetimes or pymc-marketing in place of orders.

    FILE has frequency, recency, T and monetary_value, one row per customer, as CSV.
    """
    from helpers import summary_forecast

    for line in summary_forecast.run(file, unit=unit, out=out, **terms):
        click.echo(line)


@main.command()
@click.option("--shop", required=True, help="A shop under data/, or its folder.")
@click.option("--ids", "ids_file", required=True, help="A file of customer ids, one a line.")
def forget(shop: str, ids_file: str) -> None:
    """Take customers out of a shop's files, caches, lists and pages, for good."""
    from helpers.privacy import forget as forgetting

    for line in forgetting.forget(shop, ids_file).lines():
        click.echo(line)


@main.command()
@click.option(
    "--out", default="", metavar="FOLDER", help="Another folder; default: work/exercises."
)
@click.option("--fresh", is_flag=True, help="New copies, also of exercises that were worked on.")
@click.option("--lab", "open_lab", is_flag=True, help="Open JupyterLab on them.")
@click.option("--store", is_flag=True, help="Instead: run the solved ones and store their outputs.")
def exercises(out: str, fresh: bool, open_lab: bool, store: bool) -> None:
    """Write the student edition of the exercises: answers taken out, checks left in."""
    from pathlib import Path

    from helpers.training import editions

    if store:
        changed = editions.store()
        click.echo(f"stored: {', '.join(changed)}" if changed else "nothing changed")
        return
    folder, notes = editions.write_students(Path(out) if out else None, fresh=fresh)
    for note in notes:
        click.echo(note)
    click.echo(f"exercises: {near(folder)}")
    if open_lab:
        from helpers import workbench

        sys.exit(workbench.lab(folder))


@main.command()
@click.option(
    "--shop", default="", help="Of a shop's published month; default: the committed ones."
)
@click.option("--month", default="", help="Such as 2026-06; default: the last published.")
@click.option("--out", default="", metavar="FOLDER", help="Default: work/slides.")
@click.option("--path", default="", metavar="FILE", help="Default: notebooks/webinar.toml.")
def slides(shop: str, month: str, out: str, path: str) -> None:
    """Write slides of the notebooks and exercises, and the webinar, as pages that work offline."""
    from pathlib import Path

    from helpers.training import decks

    given = {"path": Path(path)} if path else {}
    folder, made = decks.write_decks(Path(out) if out else None, shop=shop, month=month, **given)
    for deck in made:
        marked = f", {deck.minutes} min of the webinar" if deck.minutes else ""
        click.echo(f"{len(deck.slides):>10} slides  {deck.name}{marked}")
    click.echo(f"slides: {near(folder / 'webinar.html')}")


@main.command()
@_JOBS
@click.argument("notebooks", nargs=-1)
def refresh(notebooks: tuple[str, ...], jobs: int) -> None:
    """Run committed notebooks (03 05; default: all) again and store their outputs."""
    from helpers import workbench

    changed = _stoppable(lambda: workbench.refresh(notebooks, jobs=jobs or 0, progress=Progress()))
    click.echo(f"stored: {', '.join(changed)}" if changed else "nothing changed")


@main.command()
@_JOBS
@click.argument("notebooks", nargs=-1)
def check(notebooks: tuple[str, ...], jobs: int) -> None:
    """Run committed notebooks and compare; exit 1 if a stored output is not true."""
    from helpers import workbench

    found = _stoppable(lambda: workbench.check(notebooks, jobs=jobs or 0, progress=Progress()))
    for line in found:
        click.echo(line)
    if found:
        raise WorkbookError("stored outputs differ; run: python -m helpers refresh")
    click.echo("the committed notebooks are true")


def _stoppable(work: Callable[[], list]) -> list:
    """Do the work; on Ctrl-C stop at once. Kernels end with this process, locks are let go."""
    try:
        return work()
    except KeyboardInterrupt:
        click.echo("\nstopped; nothing half is published, the same command goes on", err=True)
        sys.stdout.flush()
        os._exit(130)


if __name__ == "__main__":
    main(prog_name="python -m helpers")
