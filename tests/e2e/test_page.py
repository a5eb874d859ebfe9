"""The page in a real headless Chromium: pick a slate, see projections, build lineups, download, drop a file."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from features.contests import load_contest
from tests.fixtures.serving import Published, dk_text

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
CARD = "#lineups article"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; the tests are skipped without one."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on this machine; apt-get install chromium")
    expect.set_options(timeout=90_000)  # on a new machine the first lineups wait for the optimizer to be compiled
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, api: httpx.Client, published: Published) -> Iterator[Page]:
    """The page with a slate open; afterwards nothing may have gone anywhere but to the server, or gone wrong."""
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
    yield page
    assert set(hosts) <= {"127.0.0.1", None, ""}
    assert broken == []
    page.close()


def names_of(page: Page, card: int) -> list[str]:
    """Names in one lineup."""
    return page.locator(CARD).nth(card).locator("td.name").all_inner_texts()


def build(page: Page) -> None:
    """Press the button and wait for the answer."""
    page.click("#build")
    expect(page.locator("#build")).to_be_enabled()
    expect(page.locator("#build")).to_have_text("Build lineups")


def test_projections_have_intervals_and_say_where_they_come_from(page: Page, published: Published) -> None:
    expect(page.locator("#origin")).to_be_visible()
    expect(page.locator("#origin")).to_have_text("Simulated league, not real games")
    expect(page.locator("#model")).to_contain_text(re.compile(r"simulated-projection version \d+ · data up to"))
    rows = page.locator("#players tbody tr")
    expect(rows).to_have_count(len(published.day.draftkings.players))
    assert re.search(r"\d+\.\d – \d+\.\d", rows.first.locator(".interval").inner_text())
    page.fill("#search", published.day.draftkings.players[0].name)
    expect(rows).to_have_count(1)


def test_lineups_obey_lock_and_exclude_and_download(page: Page) -> None:
    page.fill("#count", "5")
    build(page)
    expect(page.locator(CARD)).to_have_count(5)
    first = names_of(page, 0)
    assert len(first) == 8
    rows = page.locator("#players tbody tr:not(.out) td.name").all_inner_texts()
    lock, out = next(name for name in rows[20:] if name not in first), first[0]
    page.get_by_label(f"lock {lock}", exact=True).check()
    page.get_by_label(f"exclude {out}", exact=True).check()
    expect(page.locator("#chosen")).to_have_text("1 locked · 1 out")
    build(page)
    expect(page.locator(CARD)).to_have_count(5)
    expect(page.locator("#lineups tr.locked")).to_have_count(5)
    for card in range(5):
        names = names_of(page, card)
        assert lock in names and out not in names
    with page.expect_download() as waiting:
        page.click("#download")
    text = Path(waiting.value.path()).read_text()
    assert waiting.value.suggested_filename == "draftkings-nba-5-lineups.csv"
    assert text.splitlines()[0] == ",".join(load_contest("draftkings").upload_header)
    assert len(text.splitlines()) == 6 and text.count(lock) == 5
    if folder := os.environ.get("FANTASY_SCREENSHOTS"):  # docs/images is made with it
        page.set_viewport_size({"width": 1280, "height": 1320})
        page.screenshot(path=f"{folder}/page.png")


def test_clashing_rules_are_shown(page: Page) -> None:
    page.fill("#min-salary", "999000")
    build(page)
    expect(page.locator("#notice.error")).to_contain_text("salary")


def test_a_dropped_file_is_projected_and_a_bad_one_explained(page: Page, published: Published) -> None:
    slate = published.day.draftkings
    page.set_input_files("#file", {"name": "bad.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    expect(page.locator("#notice.error")).to_contain_text("columns")
    file = {"name": "DKSalaries.csv", "mimeType": "text/csv", "buffer": dk_text(slate).encode()}
    page.set_input_files("#file", file)
    expect(page.locator("#slate option:checked")).to_contain_text("your file")
    expect(page.locator("#players tbody tr")).to_have_count(len(slate.players))
    build(page)
    expect(page.locator(CARD)).to_have_count(5)


def test_a_file_can_be_dropped_with_the_mouse(page: Page, published: Published) -> None:
    transfer = page.evaluate_handle(
        """(text) => { const t = new DataTransfer(); t.items.add(new File([text], "DKSalaries.csv")); return t; }""",
        dk_text(published.day.draftkings),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("#slate option:checked")).to_contain_text("your file")


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(24):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')")
        )
    assert {"slate", "file", "day", "count", "exposure", "min-salary", "unique", "build", "search"} <= set(seen)
    page.locator("#players tbody input").first.focus()
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Space")
    expect(page.locator("#chosen")).to_have_text("1 locked")
    # The table is drawn anew; the focus stays where it was.
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label
    page.locator("#build").focus()
    page.keyboard.press("Enter")
    expect(page.locator(CARD)).to_have_count(5)


def test_a_narrow_window_needs_no_sideways_scrolling(page: Page) -> None:
    page.set_viewport_size({"width": 800, "height": 900})
    build(page)
    expect(page.locator(CARD)).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 800
    expect(page.locator("#players .interval").first).to_be_visible()
    if folder := os.environ.get("FANTASY_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/page-narrow.png", full_page=True)


def test_the_api_page_lists_every_route_without_the_internet(page: Page, api: httpx.Client) -> None:
    page.goto(f"{api.base_url}/docs")
    expect(page.locator(".route h3", has_text="/v1/compare")).to_be_visible()
    listed = page.locator(".route h3 b").count()
    assert listed == sum(len(methods) for methods in api.get("/openapi.json").json()["paths"].values())
