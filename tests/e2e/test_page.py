"""The page in a real headless Chromium.

Pick or drop a slate, see projections, set rules, build, export, fill entries, swap late, simulate a contest.
"""

from __future__ import annotations

import json
import os
import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from features.contests import load_contest
from tests.fixtures.page import CARD, add_rule, build, names_of, pick, shown, taken
from tests.fixtures.serving import HEADER, Published, dk_entries, dk_text


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
    before = page.locator("#tabs").bounding_box()
    build(page)
    expect(page.locator(CARD)).to_have_count(5)
    assert page.locator("#tabs").bounding_box() == before, "the page jumped"
    expect(page.locator("#certificate")).to_contain_text("5 of 5 proven best")
    first = names_of(page, 0)
    assert len(first) == 8
    page.click("#tab-players")
    rows = page.locator("#players tbody tr:not(.out) td.name").all_inner_texts()
    lock, out = next(name for name in rows[20:] if name not in first), first[0]
    page.get_by_label(f"lock {lock}", exact=True).check()
    page.get_by_label(f"exclude {out}", exact=True).check()
    expect(page.locator("#chosen")).to_have_text("1 locked · 1 out")
    build(page)
    expect(page.locator("#lineups tr.locked")).to_have_count(5)
    for card in range(5):
        names = names_of(page, card)
        assert lock in names and out not in names
    file, text = taken(page, "#download")
    assert file.suggested_filename == "draftkings-nba-5-lineups.csv"
    assert text.splitlines()[0] == ",".join(load_contest("draftkings").upload_header)
    assert len(text.splitlines()) == 6 and text.count(lock) == 5
    found = json.loads(taken(page, "#download-json")[1])
    assert len(found["lineups"]) == 5 and found["model"]["name"] == "simulated-projection"
    if os.environ.get("FANTASY_SCREENSHOTS"):
        page.set_viewport_size({"width": 1280, "height": 1320})
    shown(page, "page")


def test_rules_are_kept_and_their_exposures_shown(page: Page) -> None:
    page.fill("#count", "10")
    page.fill("#exposure", "60")
    page.fill("#unique", "2")
    names = page.locator("#players tbody tr:not(.out) td.name").all_inner_texts()
    stack = add_rule(page, "Team stack")
    stack.get_by_label("Players of one team").fill("3")
    stack.get_by_label("Bring back", exact=True).fill("1")
    group = add_rule(page, "Group")
    group.get_by_label("How many").select_option("exactly")
    pick(group, "Players", names[0], names[1])
    mine = add_rule(page, "Player exposure")
    pick(mine, "Players", names[30])
    mine.get_by_label("Min %").fill("30")
    expect(page.locator("#more-count")).to_have_text("· 3 rules")
    shown(page, "page-rules")
    build(page)
    expect(page.locator(CARD)).to_have_count(10)
    for card in range(10):
        assert len({names[0], names[1]} & set(names_of(page, card))) == 1
    rows = page.locator("#exposure-table tbody tr")
    used = {row.locator("td").first.inner_text(): row.locator("td").nth(1).inner_text() for row in rows.all()}
    assert int(used[names[30]]) >= 3
    assert int(used[names[0]]) + int(used[names[1]]) == 10
    expect(page.locator("#certificate")).to_contain_text("no other set totals more than")
    assert page.locator("#exposure-table tr.rule").count() >= 1
    # A rule taken away no longer counts.
    for _ in range(3):
        page.get_by_label(re.compile("^remove (Team stack|Group|Player exposure)$")).first.click()
    expect(page.locator("#more-count")).to_have_text("")


def test_clashing_and_impossible_rules_are_explained(page: Page) -> None:
    page.fill("#min-salary", "999000")
    build(page)
    expect(page.locator("#notice")).to_contain_text("salary")
    page.get_by_label("close message").click()
    expect(page.locator("#notice")).to_be_hidden()
    page.fill("#min-salary", "0")
    page.fill("#count", "500")
    build(page)
    expect(page.locator("#notice")).to_contain_text("Lineups")
    page.fill("#count", "2")
    add_rule(page, "Group")
    build(page)
    expect(page.locator("#notice")).to_contain_text("choose at least one player")


def test_a_dropped_file_is_projected_and_a_bad_one_explained(page: Page, published: Published) -> None:
    slate = published.day.draftkings
    page.set_input_files("#file", {"name": "bad.csv", "mimeType": "text/csv", "buffer": b"a,b\n1,2\n"})
    expect(page.locator("#notice")).to_contain_text("columns")
    file = {"name": "DKSalaries.csv", "mimeType": "text/csv", "buffer": dk_text(slate).encode()}
    page.set_input_files("#file", file)
    expect(page.locator("#slate option:checked")).to_contain_text("your file")
    expect(page.locator("#players tbody tr")).to_have_count(len(slate.players))
    expect(page.locator("#notice")).to_be_hidden()
    build(page)
    expect(page.locator(CARD)).to_have_count(5)


def test_a_file_can_be_dropped_with_the_mouse(page: Page, published: Published) -> None:
    transfer = page.evaluate_handle(
        """(text) => { const t = new DataTransfer(); t.items.add(new File([text], "DKSalaries.csv")); return t; }""",
        dk_text(published.day.draftkings),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": transfer})
    expect(page.locator("#slate option:checked")).to_contain_text("your file")


def test_a_file_of_another_sport_and_mode_is_built(page: Page) -> None:
    page.set_input_files(
        "#file", {"name": "DKSalaries.csv", "mimeType": "text/csv", "buffer": showdown().encode()}
    )
    expect(page.locator("#slate option:checked")).to_contain_text("NFL showdown")
    expect(page.locator("#players tbody tr")).to_have_count(24)
    page.get_by_label(re.compile(r"^lock Ann Able0 CPT ")).check()
    build(page)
    expect(page.locator(CARD)).to_have_count(5)
    assert [card.locator("td.slot").first.inner_text() for card in page.locator(CARD).all()] == ["CPT"] * 5
    assert all(names_of(page, card)[0] == "Ann Able0" for card in range(5))
    assert all(len(set(names_of(page, card))) == 6 for card in range(5))


def test_entries_are_filled_and_swapped_late(page: Page, published: Published) -> None:
    slate = published.day.draftkings
    page.fill("#count", "3")
    build(page)
    expect(page.locator(CARD)).to_have_count(3)
    held = names_of(page, 0)
    page.click("#tab-entries")
    template = dk_entries([(str(n), [""] * 8) for n in (11, 12, 13)], slate)
    page.set_input_files(
        "#entries-file", {"name": "DKEntries.csv", "mimeType": "text/csv", "buffer": template.encode()}
    )
    page.click("#fill")
    expect(page.locator("#swap-title")).to_have_text("DKEntries.csv filled with your lineups")
    file, filled = taken(page, "#entries-download")
    assert file.suggested_filename == "DKEntries.csv"
    assert all(name in filled.splitlines()[1] for name in held)
    page.click("#tab-players")
    page.get_by_label(f"exclude {held[0]}", exact=True).check()
    page.click("#tab-entries")
    page.set_input_files(
        "#entries-file", {"name": "DKEntries.csv", "mimeType": "text/csv", "buffer": filled.encode()}
    )
    assert slate.lock is not None
    moment = page.evaluate(
        """(text) => {
            const d = new Date(text);
            return new Date(d - d.getTimezoneOffset() * 6e4).toISOString().slice(0, 16);
        }""",
        slate.lock.isoformat(),
    )
    page.fill("#now", moment)
    page.click("#swap")
    expect(page.locator("#swap-title")).to_contain_text("swapped")
    rows = page.locator("#swaps tbody tr")
    expect(rows).to_have_count(3)
    shown(page, "page-swap")
    swapped = taken(page, "#entries-download")[1]
    started = {team for game in slate.games if game.tip == slate.lock for team in (game.away_team, game.home_team)}
    gone = next(player for player in slate.players if player.name == held[0])
    if gone.team in started:
        assert gone.name in swapped.splitlines()[1]
    else:
        assert gone.name not in "".join(swapped.splitlines()[1:4])
        expect(rows.first).to_contain_text(f"{gone.name} →")


def test_a_contest_is_simulated_with_progress(page: Page) -> None:
    page.click("#tab-contest")
    page.evaluate(
        """() => {
            const stage = document.getElementById("stage");
            window.seen = [];
            new MutationObserver(() => window.seen.push(stage.textContent)).observe(stage, { childList: true });
        }"""
    )
    for name, value in {"entries": 5, "field-size": 300, "scenarios": 400, "candidates": 60}.items():
        page.fill(f"#{name}", str(value))
    page.click("#simulate")
    expect(page.locator("#stage")).to_have_text("done")
    assert any("candidates" in text for text in page.evaluate("window.seen"))
    rows = page.locator("#portfolio tbody tr")
    assert rows.locator("td.name").all_inner_texts() == ["These lineups", "By projection alone"]
    for title in ("Return", "P(a first place)", "Cashing"):
        expect(page.locator("#portfolio th", has_text=title)).to_be_visible()
    expect(page.locator("#chances tbody tr")).to_have_count(5)
    expect(page.locator("#chances th", has_text="Top 1 %")).to_be_visible()
    assert page.locator("#ownership tbody tr").count() > 50
    shown(page, "page-contest")
    _, text = taken(page, "#simulation-csv")
    assert len(text.splitlines()) == 6


def test_a_simulation_can_be_stopped(page: Page) -> None:
    page.click("#tab-contest")
    for name, value in {"entries": 150, "field-size": 50000, "scenarios": 20000, "candidates": 5000}.items():
        page.fill(f"#{name}", str(value))
    page.click("#simulate")
    expect(page.locator("#simulate")).to_have_text("Stop")
    expect(page.locator("#stage")).not_to_have_text("your rules above hold here too")
    page.click("#simulate")
    expect(page.locator("#stage")).to_have_text("stopped")
    expect(page.locator("#simulate")).to_have_text("Simulate contest")


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(30):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')")
        )
    wanted = {"slate", "file", "day", "count", "exposure", "min-salary", "unique", "max-per-team", "measure",
              "randomness", "leverage", "build", "tab-players", "search"}  # fmt: skip
    assert wanted <= set(seen)
    page.locator("#players tbody input").first.focus()
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    page.keyboard.press("Space")
    expect(page.locator("#chosen")).to_have_text("1 locked")
    # The table is drawn anew; the focus stays where it was.
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == label
    page.locator("#tab-players").focus()
    for pane in ("lineups", "contest", "entries", "players"):
        page.keyboard.press("ArrowRight")
        expect(page.locator(f"#pane-{pane}")).to_be_visible()
        expect(page.locator(f"#tab-{pane}")).to_be_focused()
    page.locator("#more summary").focus()
    page.keyboard.press("Enter")
    page.select_option("#kind", label="Group")
    page.locator("#add").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    first = page.locator("#players tbody td.name").first.inner_text()
    page.keyboard.type(first.lower()[:-1])
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text(f"{first} ×")
    page.locator("#build").focus()
    page.keyboard.press("Enter")
    expect(page.locator(CARD)).to_have_count(5)


def test_every_field_has_a_name(page: Page) -> None:
    for kind in page.locator("#kind option").all_text_contents():
        add_rule(page, kind)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("input, select, button, a, progress")]
            .filter((found) => !(found.labels?.length || found.ariaLabel || found.textContent.trim()))
            .map((found) => found.outerHTML)"""
    )
    assert nameless == []
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map((found) => found.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("width", [390, 800])
def test_a_narrow_window_needs_no_sideways_scrolling(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    for kind in ("Team stack", "If – then"):
        add_rule(page, kind)
    for name in ("players", "lineups", "contest", "entries"):
        page.click(f"#tab-{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    page.get_by_label("remove If – then").click()
    build(page)
    expect(page.locator(CARD)).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    expect(page.locator("#exposure-table tbody tr").first).to_be_visible()
    page.click("#tab-players")
    expect(page.locator("#players .interval").first).to_be_visible()
    shown(page, f"page-{width}")


def test_the_api_page_lists_every_route_without_the_internet(page: Page, api: httpx.Client) -> None:
    page.goto(f"{api.base_url}/docs")
    expect(page.locator(".route h3", has_text="/v1/compare")).to_be_visible()
    listed = page.locator(".route h3 b").count()
    assert listed == sum(len(methods) for methods in api.get("/openapi.json").json()["paths"].values())
    expect(page.locator(".route h3", has_text="TeamStack")).to_be_visible()


def showdown() -> str:
    """A DraftKings NFL showdown file: twelve players, each listed as captain and as flex."""
    lines = [HEADER]
    for n in range(12):
        team = ("BUF", "KC")[n % 2]
        place = ("QB", "WR", "RB", "TE", "WR", "K")[n // 2]
        for slot, extra, salary in (("CPT", 100, 1.5), ("FLEX", 200, 1.0)):
            name, site_id, cost = f"Ann Able{n}", extra + n, int((3000 + 600 * n) * salary)
            lines.append(
                f"{place},{name} ({site_id}),{name},{site_id},{slot},{cost},BUF@KC 01/26/2025 06:30PM ET,{team},"
                f"{(8 + n) * salary:.2f}"
            )
    return "\n".join(lines) + "\n"
