"""The page with a player's own files: projections that take the model's place, and a contest's payout table."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, expect

from tests.fixtures.page import CARD, build, names_of, shown, taken
from tests.fixtures.serving import Published, dk_entries


def csv_file(text: str, name: str) -> Any:
    """A file to choose."""
    return {"name": name, "mimeType": "text/csv", "buffer": text.encode()}


def test_own_projections_replace_the_models_until_they_are_dropped(page: Page, published: Published) -> None:
    slate = published.day.draftkings
    page.fill("#count", "2")
    build(page)
    expect(page.locator(CARD)).to_have_count(2)
    plain = [names_of(page, 0), names_of(page, 1)]
    everybody = {name for names in plain for name in names}
    star = next(p for p in sorted(slate.players, key=lambda p: p.salary_usd) if p.name not in everybody)
    lines = [f"{p.name},{p.team},{p.average_points:.2f}" for p in slate.players[:-2] if p is not star]
    lines += [f"{star.name},{star.team},400"]
    expect(page.locator("#own-drop")).to_be_hidden()
    page.set_input_files("#own-file", csv_file("\n".join(["Name,Team,Fpts", *lines]), "mine.csv"))
    expect(page.locator("#own-said")).to_have_text(
        f"mine.csv: {len(lines)} players; the other {len(slate.players) - len(lines)} project 0"
    )
    build(page)
    expect(page.locator(f"{CARD} td.name", has_text=star.name)).to_have_count(2)
    shown(page, "page-own-projections")
    found = json.loads(taken(page, "#download-json")[1])
    assert found["model"]["name"] == "your projections"
    assert all(
        any(p["name"] == star.name and p["projection"] == 400 for p in each["players"])
        for each in found["lineups"]
    )
    page.click("#own-drop")
    expect(page.locator("#own-said")).to_have_text("the model's projections are used")
    build(page)
    expect(page.locator(f"{CARD} td.name", has_text=star.name)).to_have_count(0)
    assert [names_of(page, 0), names_of(page, 1)] == plain


def test_a_bad_projections_file_is_explained_and_leaves_the_models(page: Page, published: Published) -> None:
    page.click("#tab-lineups")
    page.set_input_files("#own-file", csv_file("Name,Fpts\nNobody At All,10\n", "other-day.csv"))
    expect(page.locator("#notice")).to_contain_text("names no player of slate")
    expect(page.locator("#own-said")).to_have_text("the model's projections are used")
    name = published.day.draftkings.players[0].name
    page.set_input_files("#own-file", csv_file(f"Name,Fpts\n{name},\n", "empty.csv"))
    expect(page.locator("#notice")).to_contain_text("row 2")
    page.fill("#count", "1")
    build(page)
    expect(page.locator(CARD)).to_have_count(1)


def test_own_projections_hold_for_contest_and_late_swap_and_end_with_the_slate(
    page: Page, published: Published
) -> None:
    slate = published.day.draftkings
    star = min(slate.players, key=lambda p: p.average_points)
    lines = [f"{p.name},{p.team},{400 if p is star else p.average_points:.2f}" for p in slate.players]
    page.click("#tab-lineups")
    page.set_input_files("#own-file", csv_file("\n".join(["Name,Team,Fpts", *lines]), "mine.csv"))
    expect(page.locator("#own-said")).to_have_text(f"mine.csv: {len(lines)} players")
    page.click("#tab-entries")
    template = dk_entries([("1", [""] * 8)], slate)
    page.set_input_files("#entries-file", csv_file(template, "DKEntries.csv"))
    assert slate.lock is not None
    page.evaluate(
        """(text) => {
            const d = new Date(new Date(text) - 36e5);
            document.getElementById("now").value = new Date(d - d.getTimezoneOffset() * 6e4).toISOString().slice(0, 16);
        }""",
        slate.lock.isoformat(),
    )
    page.click("#swap")
    expect(page.locator("#swap-title")).to_contain_text("1 swapped")
    assert star.name in taken(page, "#entries-download")[1].splitlines()[1]
    page.select_option("#slate", published.day.slates[1].slate_id)
    expect(page.locator("#build")).to_be_enabled()
    page.click("#tab-lineups")
    expect(page.locator("#own-said")).to_have_text("the model's projections are used")


def test_a_payout_file_is_what_the_contest_pays(page: Page) -> None:
    page.click("#tab-contest")
    page.set_input_files("#payouts-file", csv_file("a,b\n1,2\n", "bad.csv"))
    expect(page.locator("#notice")).to_contain_text("no payout file")
    expect(page.locator("#payouts")).to_have_value("gpp")
    text = "Place,Payout,Field Size,Entry Fee\n1,$321.00,300,$4.00\n2-50,$10.00,300,$4.00\n"
    page.set_input_files("#payouts-file", csv_file(text, "tip-off.csv"))
    expect(page.locator("#payouts")).to_have_value("file")
    expect(page.locator("#payouts option:checked")).to_have_text("tip-off.csv")
    expect(page.locator("#payouts-said")).to_have_text("300 entries, $811 for 50 places")
    expect(page.locator("#field-size")).to_have_value("300")
    for name, value in {"entries": 5, "scenarios": 400, "candidates": 60}.items():
        page.fill(f"#{name}", str(value))
    page.click("#simulate")
    expect(page.locator("#stage")).to_have_text("done")
    shown(page, "page-payouts")
    found = json.loads(taken(page, "#simulation-json")[1])
    assert (found["contest"]["first_prize_usd"], found["contest"]["field_size"]) == (321, 300)
    # A usual structure can still be chosen.
    page.select_option("#payouts", "double_up")
    page.click("#simulate")
    expect(page.locator("#simulate")).to_have_text("Simulate contest")
    assert json.loads(taken(page, "#simulation-json")[1])["contest"]["first_prize_usd"] == 8
