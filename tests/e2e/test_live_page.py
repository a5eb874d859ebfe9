"""The live page in a real headless Chromium, in front of a replayed day of the simulated league."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.fixtures.live_page import LiveLine, live_page, points_of
from tests.fixtures.page import shown

#: Games replayed, all at once.
GAMES = 4
#: Pieces of the first half; the next is sent when the model has answered about the one before.
STEPS = 5
#: For a picture the curve is to be a curve.
PARTS = 12 if os.environ.get("FANTASY_SCREENSHOTS") else 1
MORE_POINTS = """(before) => [...document.querySelectorAll("#curve polyline")]
    .reduce((sum, line) => sum + line.points.numberOfItems, 0) > before"""
NO_SOCKETS = "window.WebSocket = class extends WebSocket { constructor() { super('ws://127.0.0.1:1/'); } };"


@pytest.fixture(scope="module")
def page(browser: Browser, live_server: httpx.Client) -> Iterator[Page]:
    """One page for the module, opened before anything was played: the tests go on where the one before ended."""
    with live_page(browser, live_server) as page:
        yield page


def card(page: Page, game_id: str):  # type: ignore[no-untyped-def]
    """A game's card."""
    return page.locator(f"[data-game='{game_id}']")


def test_before_the_first_play_the_page_waits(page: Page) -> None:
    expect(page.locator("#connection")).to_have_text("connected")
    expect(page.locator("#games-title")).to_have_text("No game in progress")
    expect(page.locator("#origin")).to_be_visible()
    expect(page.locator("#model")).to_contain_text(re.compile(r"simulated-live_win version \d+"))
    expect(page.locator("#game")).to_be_hidden()


def test_lineups_are_followed(page: Page, live_server: httpx.Client, line: LiveLine) -> None:
    expect(page.locator("#mine-said")).to_have_text("no lineup followed yet")
    slate_id = page.locator("#mine-slate option", has_text="draftkings").first.get_attribute("value")
    built = live_server.post("/v1/lineups", json={"slate_id": slate_id, "n": 2}).json()
    page.select_option("#mine-slate", slate_id)
    page.fill("#mine-ids", "nobody, here")
    page.click("#mine-follow")
    expect(page.locator("#mine-said")).to_contain_text("'nobody' is not on slate")
    page.fill("#mine-ids", "\n".join(", ".join(p["id"] for p in each["players"]) for each in built["lineups"]))
    page.click("#mine-follow")
    expect(page.locator("#mine-lineups .mine")).to_have_count(2)
    first = page.locator("#mine-lineups .mine").first
    assert first.locator("td.name").all_inner_texts() == [p["name"] for p in built["lineups"][0]["players"]]
    expect(first.locator("td.state", has_text="open")).to_have_count(8)
    expect(page.locator("#connection")).to_contain_text(re.compile("connected|resumed"))


def test_scores_lines_and_curves_move(page: Page, line: LiveLine) -> None:
    infos = line.day.recording.games[:GAMES]
    for step in range(1, STEPS + 1):
        before = points_of(page)
        for part in range(PARTS):
            line.play(GAMES, 0.5 * (step - 1 + (part + 1) / PARTS) / STEPS)
            page.wait_for_timeout(100 * (PARTS > 1))
        page.wait_for_function(MORE_POINTS, arg=before, timeout=90_000)
    for info in infos:
        expect(card(page, info.game_id).locator(".clock")).to_contain_text(re.compile(r"Q\d \d+:\d\d"))
    assert page.locator("#lines tr[data-player]").count() > 10
    expect(page.locator("#games-title")).to_have_text(f"{GAMES} of {GAMES} games in progress")
    expect(card(page, infos[0].game_id)).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#game-model")).to_contain_text(re.compile(r"simulated-live_win version \d+"))
    expect(page.locator("#lines tr[data-player] .over").first).to_contain_text(re.compile(r"\d+ % of \d+\.\d"))


def test_what_if_is_answered(page: Page) -> None:
    home = page.locator("#game-title").inner_text().split(" · ")[0].split()[-1]
    page.fill("#what-if-lead", "40")
    page.fill("#what-if-left", "1")
    expect(page.locator("#what-if-answer")).to_contain_text(re.compile(rf"{home} (99|100) % · {home} by"))
    expect(page.locator("#what-if-said")).to_contain_text(
        re.compile(r"(simulated-live_win|baseline-brownian) version \d+ · .*answered (in this page )?in")
    )
    shown(page, "live")
    page.fill("#what-if-left", "99")
    expect(page.locator("#what-if-said")).to_contain_text("from 0 to 48")


def test_a_killed_worker_costs_nothing_and_the_end_is_the_truth(page: Page, line: LiveLine) -> None:
    infos, before = line.day.recording.games[:GAMES], points_of(page)
    line.kill_worker()
    expect(page.locator("#connection")).not_to_have_text("connected")
    line.play(GAMES, 1.0)
    expect(page.locator("#connection")).to_have_text(re.compile("^(connected|resumed)"))
    for info in infos:
        final = line.day.game(info.game_id)
        found = card(page, info.game_id)
        expect(found.locator(".clock")).to_contain_text("Final")
        expect(found.locator(".side .n")).to_have_text([str(final["away_score"]), str(final["home_score"])])
    for info in infos[:2]:
        card(page, info.game_id).click()
        same_lines(page, line, info.game_id)
    card(page, infos[0].game_id).click()
    page.wait_for_function(MORE_POINTS, arg=before, timeout=90_000)
    expect(page.locator("#games-title")).to_have_text(f"0 of {GAMES} games in progress")
    shown(page, "live-final")


def same_lines(page: Page, line: LiveLine, game_id: str) -> None:
    """Every player's line on the page is that of the true box."""
    truth = {
        player: values
        for player, values in line.day.lines(game_id).items()
        if any(float(value) for value in values)
    }
    assert len(truth) > 10
    for player, values in truth.items():
        cells = page.locator(f"tr[data-player='{player}'] td")
        for column, value in enumerate(values, start=1):
            expect(cells.nth(column)).to_have_text(value)


def test_a_lineup_counts_the_points_that_were_made(page: Page, line: LiveLine) -> None:
    names = dict(line.day.box.select("player_id", "player_name").iter_rows())
    made: dict[str, set[str]] = {}
    for info in line.day.recording.games[:GAMES]:
        for player, values in line.day.lines(info.game_id).items():
            made.setdefault(names[player], set()).add(values[-1])
    locked = page.locator("#mine-lineups tr.locked")
    assert locked.count() > 0
    for row in locked.all():
        points = made.get(row.locator("td.name").text_content() or "", {"0.0"})
        expect(row.locator("td.points")).to_have_text(re.compile("|".join(re.escape(each) for each in points)))


def test_a_reloaded_page_shows_the_same(page: Page, line: LiveLine) -> None:
    before = points_of(page)
    page.reload()
    for info in line.day.recording.games[:GAMES]:
        final = line.day.game(info.game_id)
        expect(card(page, info.game_id).locator(".side .n")).to_have_text(
            [str(final["away_score"]), str(final["home_score"])]
        )
    expect(page.locator("#mine-lineups .mine")).to_have_count(2)
    page.wait_for_function(MORE_POINTS, arg=before - 1, timeout=90_000)


def test_the_curve_is_whole_for_whoever_comes_late(
    browser: Browser, page: Page, live_server: httpx.Client, line: LiveLine
) -> None:
    before = points_of(page)
    with live_page(browser, live_server) as late:
        game_id = line.day.recording.games[0].game_id
        card(late, game_id).click()
        late.wait_for_function(MORE_POINTS, arg=before - 1, timeout=90_000)
        assert points_of(late) == before
        first = "found => found.points[0].x / found.ownerSVGElement.viewBox.baseVal.width"
        begins, ends = (
            late.locator("#curve polyline").first.evaluate(first),
            late.locator("#curve polyline").last.evaluate(
                first.replace("points[0]", "points[found.points.length - 1]")
            ),
        )
        assert begins < 0.1 and ends > 0.9


@pytest.mark.parametrize("width", [390, 800])
def test_a_narrow_window_needs_no_sideways_scrolling(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.locator("#mine-add summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    shown(page, f"live-{width}")
    page.evaluate("scrollTo(0, 0)")
    shown(page, f"live-{width}-top")
    page.locator("#mine-add summary").click()
    page.set_viewport_size({"width": 1280, "height": 1000})


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.dataset.game || document.activeElement.ariaLabel"
            )
        )
    assert {"league", "site", "players of the game"} <= set(seen)
    games = page.locator(".game-card")
    games.nth(1).focus()
    page.keyboard.press("Enter")
    expect(games.nth(1)).to_have_attribute("aria-pressed", "true")
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, a, textarea")]
            .filter((found) => !(found.labels?.length || found.ariaLabel || found.textContent.trim()))
            .map((found) => found.outerHTML)"""
    )
    assert nameless == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((found) => found.id)")
    assert len(ids) == len(set(ids))


def test_without_sockets_events_are_followed(browser: Browser, live_server: httpx.Client, line: LiveLine) -> None:
    with live_page(browser, live_server) as page:
        page.add_init_script(NO_SOCKETS)
        page.reload()
        expect(page.locator("#connection")).to_have_text("connected by event stream")
        for info in line.day.recording.games[:GAMES]:
            final = line.day.game(info.game_id)
            expect(card(page, info.game_id).locator(".side .n")).to_have_text(
                [str(final["away_score"]), str(final["home_score"])]
            )
