"""The command line and the page as a user meets them."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.fixtures.command_line import Answer, Fantasy
from tests.fixtures.serving import Published

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh home, with no service to be had and none to be started."""
    folder = tmp_path / "home"
    monkeypatch.setenv("FANTASY_HOME", str(folder))
    monkeypatch.setenv("FANTASY_EMBEDDED", "false")
    for name in ("FANTASY_DATA", "FANTASY_PARAMS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "DATABASE_URL": "postgresql+psycopg://postgres@127.0.0.1:1/fantasy",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
        "PREFECT_API_URL": "http://127.0.0.1:1/api",
    }.items():
        monkeypatch.setenv(f"FANTASY_{name}", value)
    return folder


@pytest.fixture
def fantasy(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Fantasy]:
    """Run `fantasy WORDS` through its own entry point; any exception but SystemExit is the traceback users see."""
    from flows.cli import main

    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    terminate = signal.getsignal(signal.SIGTERM)

    def run(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["fantasy", *map(str, words)])
        capsys.readouterr()
        code: Any = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        said = capsys.readouterr()
        return Answer(int(code or 0), said.out, said.err)

    yield run
    signal.signal(signal.SIGTERM, terminate)
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; the tests are skipped without one."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine; apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    from tests.fixtures.page import FLAGS

    expect.set_options(timeout=90_000)  # on a new machine the first lineups wait for the optimizer to be compiled
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, api: httpx.Client, published: Published) -> Iterator[Page]:
    """The page with a slate open; afterwards nothing may have gone anywhere but to the server, or gone wrong."""
    from playwright.sync_api import expect

    page = browser.new_page(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    hosts: list[str | None] = []
    broken: list[str] = []
    page.on("request", lambda request: hosts.append(urlsplit(request.url).hostname))
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.goto(str(api.base_url))
    page.select_option("#slate", published.day.draftkings.slate_id)
    expect(page.locator("#players-title")).to_have_text(
        f"Projections · {len(published.day.draftkings.players)} players"
    )
    expect(page.locator("#build")).to_be_enabled()
    yield page
    assert set(hosts) <= {"127.0.0.1", None, ""}
    assert broken == []
    page.close()
