"""What the lineup routes keep and read: answers of any size at once, slates that change, a player's own files."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from features.slate import Slate
from features.sources.payouts import preset_payouts
from features.stores.lineups import load_lineups
from features.stores.slates import load_slate, save_slate, slate_stamp
from serving.app import create_app
from serving.heap import settle
from serving.routes.lineups import Lineups
from tests.fixtures.serving import Published, dk_entries, eventually, is_problem, ready, serving


@pytest.fixture
def slate(published: Published) -> Slate:
    """The DraftKings slate of the day."""
    return published.day.draftkings


def csv_file(text: str, name: str = "mine.csv") -> dict[str, tuple[str, bytes, str]]:
    """A file to upload."""
    return {"file": (name, text.encode(), "text/csv")}


def test_every_answer_is_what_the_document_says_to_the_last_field(api: httpx.Client, slate: Slate) -> None:
    for n in (1, 150):
        reply = api.post(
            "/v1/lineups", json={"slate_id": slate.slate_id, "n": n, "max_exposure": 1.0 if n == 1 else 0.5}
        )
        assert reply.headers["content-type"] == "application/json"
        answer = Lineups.model_validate_json(reply.content)
        assert len(answer.lineups) == n
        assert answer.model_dump(mode="json") == reply.json()


def test_lineups_are_kept_before_they_are_answered(api: httpx.Client, slate: Slate, published: Published) -> None:
    rules = {
        "n": 150,
        "max_exposure": 0.5,
        "groups": [{"name": "ones", "players": [slate.players[0].site_id], "at_most": 1}],
    }
    with serving(published.settings) as replica:
        eventually(lambda: ready(replica))
        body = api.post("/v1/lineups", json={"slate_id": slate.slate_id, "rules": rules}).json()
        # Another process has them at once.
        upload = replica.get(f"/v1/lineups/{body['id']}/upload.csv")
        assert upload.status_code == 200 and len(upload.text.splitlines()) == 151
        template = dk_entries([(str(at), [""] * 8) for at in range(1, 4)], slate)
        filled = replica.post(f"/v1/lineups/{body['id']}/entries.csv", files=csv_file(template, "DKEntries.csv"))
        assert filled.status_code == 200
    names = [player["name"] for player in body["lineups"][0]["players"]]
    assert all(name in filled.text.splitlines()[1] for name in names)
    slate_id, kept = load_lineups(published.database, body["id"])
    assert slate_id == slate.slate_id
    for stored, answered in zip(kept, body["lineups"], strict=True):
        players = [{k: v for k, v in p.items() if k not in ("q10", "q90")} for p in answered["players"]]
        assert stored["players"] == players
        assert {k: stored[k] for k in ("salary", "projection", "bound")} == {
            k: answered[k] for k in ("salary", "projection", "bound")
        }


def test_a_slate_written_anew_is_seen_by_the_next_question(
    api: httpx.Client, slate: Slate, published: Published
) -> None:
    def out() -> set[str]:
        found = api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()["players"]
        return {player["id"] for player in found if player["basis"] == "out"}

    before, stamp = out(), slate_stamp(published.database, slate.slate_id)
    assert slate_stamp(published.database, slate.slate_id) == stamp
    body = api.post("/v1/lineups", json={"slate_id": slate.slate_id}).json()
    star = body["lineups"][0]["players"][0]["id"]
    stored = load_slate(published.database, slate.slate_id)
    hurt = tuple(replace(p, injury_status="OUT") if p.site_id == star else p for p in stored.slate.players)
    try:
        save_slate(published.database, replace(stored.slate, players=hurt), stored.league)
        assert slate_stamp(published.database, slate.slate_id) != stamp
        assert out() == before | {star}
        again = api.post("/v1/lineups", json={"slate_id": slate.slate_id}).json()
        assert star not in {player["id"] for player in again["lineups"][0]["players"]}
    finally:
        save_slate(published.database, stored.slate, stored.league)
    assert out() == before
    assert api.post("/v1/lineups", json={"slate_id": slate.slate_id}).json()["lineups"] == body["lineups"]


def test_own_projections_are_read_from_a_file_and_decide(api: httpx.Client, slate: Slate) -> None:
    worst = min(slate.players, key=lambda p: p.average_points)
    lines = ["Name,Team,Fpts,Floor,Ceiling,Own%"]
    lines += [
        f"{p.name},{p.team},{p.average_points:.2f},,,{at % 30}"
        for at, p in enumerate(slate.players[:-3])
        if p != worst
    ]
    lines.append(f"{worst.name},{worst.team},500,400,600,1")
    asked = {"slate_id": slate.slate_id}
    reply = api.post("/v1/projections/file", data=asked, files=csv_file("\n".join(lines)))
    assert reply.status_code == 200, reply.text
    read = reply.json()
    assert read["projections"][worst.site_id] == {
        "mean": 500.0,
        "floor": 400.0,
        "ceiling": 600.0,
        "ownership": 0.01,
    }
    assert read["unnamed"] == len(slate.players) - len(read["projections"]) > 0
    body = api.post("/v1/lineups", json={**asked, "projections": read["projections"]}).json()
    assert worst.site_id in {player["id"] for player in body["lineups"][0]["players"]}
    assert body["model"]["name"] == "your projections"
    for text, words in (("a,b\n1,2\n", ("columns",)), (f"Name,Fpts\n{worst.name},x\n", ("row 2", "points", "x")),
                        (f"Name,Fpts\n{worst.name},99999\n", (worst.site_id, "mean", "99999"))):  # fmt: skip
        assert is_problem(api.post("/v1/projections/file", data=asked, files=csv_file(text)), 422, *words)
    unknown = api.post("/v1/projections/file", data={"slate_id": "nothing"}, files=csv_file("Name,Fpts\nA,1\n"))
    assert is_problem(unknown, 404, "nothing")


def test_a_payout_table_is_read_from_a_file(api: httpx.Client) -> None:
    text = "Place,Payout,Field Size,Entry Fee\n1,$500.00,300,$4.00\n2-50,$10.00,300,$4.00\n"
    read = api.post("/v1/contests/payouts", files=csv_file(text)).json()
    assert read == {
        "payouts": {"tiers": [[1, 1, 500.0], [2, 50, 10.0]], "field_size": 300, "entry_fee_usd": 4.0},
        "pool_usd": 990.0, "paid_places": 50, "problems": [],
    }  # fmt: skip
    rich = text.replace("$500.00", "$5,000.00").replace("1,$5,000.00", '1,"$5,000.00"')
    assert "exceed the fees" in api.post("/v1/contests/payouts", files=csv_file(rich)).json()["problems"][0]
    gap = text.replace("2-50", "3-50")
    assert is_problem(api.post("/v1/contests/payouts", files=csv_file(gap)), 422, "row 3", "3-50")
    free = text.replace("$4.00", "$0.00")
    assert is_problem(api.post("/v1/contests/payouts", files=csv_file(free)), 422, "entry_fee_usd")
    assert preset_payouts("gpp", field_size=300).paid_places == 75


def test_a_locked_player_the_slate_lacks_keeps_his_seat_in_the_api_too(api: httpx.Client, slate: Slate) -> None:
    asked = {"slate_id": slate.slate_id}
    lineup = api.post("/v1/lineups", json=asked).json()["lineups"][0]
    cell = {player.site_id: player.upload_name for player in slate.players}
    cells = [cell[player["id"]] for player in lineup["players"]]
    cells[0] = "Gone Guy (987654) (LOCKED)"
    open_ = [player["id"] for player in lineup["players"][1:]]
    assert slate.lock is not None
    now = (slate.lock - timedelta(hours=1)).isoformat()
    form: dict[str, Any] = {**asked, "now": now, "out": [open_[0]]}
    file = dk_entries([("7", cells)], slate)
    reply = api.post("/v1/lineups/late-swap", data=form, files=csv_file(file, "DKEntries.csv"))
    assert reply.status_code == 200, reply.text
    body = reply.json()
    (entry,) = body["entries"]
    assert entry["status"] == "swapped", entry["reason"]
    assert entry["lineup"]["players"][0]["id"] == "987654" and entry["lineup"]["players"][0]["q90"] == 0
    assert open_[0] not in {player["id"] for player in entry["lineup"]["players"]}
    assert "Gone Guy (987654) (LOCKED)" in body["file"] and any("Gone Guy" in text for text in body["warnings"])


def test_what_lives_as_long_as_the_process_is_not_collected(published: Published) -> None:
    app = create_app(published.settings)

    async def live() -> None:
        async with app.router.lifespan_context(app):
            await asyncio.to_thread(settle, app)

    try:
        asyncio.run(live())
        assert gc.get_freeze_count() > 100_000
    finally:
        gc.unfreeze()
