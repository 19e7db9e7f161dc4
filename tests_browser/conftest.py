"""A headless Chromium of this machine, and what its pages are watched for."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    sync_playwright,
)

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = {"narrow": 390, "wide": 1280}
SCHEMES = ("light", "dark")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


@dataclass
class Watched:
    """A page, the requests it made and what it complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> "Watched":
        """Note every request and every complaint from now on."""
        self.page.on("request", self._requested)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return self

    def _requested(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


def opened(browser: Browser, path: Path, *, width: str = "wide", scheme: str = "light") -> Watched:
    """Open a page, as wide as a phone or a desk, in light or dark."""
    context = browser.new_context(
        viewport={"width": WIDTHS[width], "height": 900}, color_scheme=scheme
    )
    watched = Watched(context.new_page()).listen()
    watched.page.goto(path.as_uri())
    return watched


def faults(page: Page) -> list[str]:
    """List what axe-core finds wrong with a page: the rule, and where."""
    found = Axe().run(page, options={"runOnly": RULES})
    return [
        f"{fault['id']}: {node['target']} {node.get('failureSummary', '')[:200]}"
        for fault in found.response["violations"]
        for node in fault["nodes"][:3]
    ]


def outside(watched: Watched) -> list[str]:
    """List the requests that left the machine."""
    return [url for url in watched.requests if not url.startswith(("file:", "data:"))]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Start the browser; where there is none the tests fail, and say what to install."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.fail(
            f"No browser on the path ({', '.join(_NAMES)}). Debian: apt-get install chromium; "
            "or name one in the environment variable CHROMIUM.",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        # without a sandbox only where this runs as root, as in a container
        started = playwright.chromium.launch(
            executable_path=found, chromium_sandbox=os.geteuid() != 0
        )
        yield started
        started.close()
