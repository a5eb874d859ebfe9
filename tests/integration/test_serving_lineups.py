"""The lineup routes with every rule, entries files, late swap, and clients that hang up; on real servers."""

from __future__ import annotations

import csv
import io
import json
import socket
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from features.contests import check_lineup, load_contest
from features.slate import Slate
from models.lineups.problem import lineup_from_json
from tests.fixtures.serving import Published, dk_entries, eventually, is_problem

DK = load_contest("draftkings")


@pytest.fixture
def slate(published: Published) -> Slate:
    """The DraftKings slate of the day."""
    return published.day.draftkings


@pytest.fixture
def pool(api: httpx.Client, slate: Slate) -> list[dict[str, Any]]:
    """Its players as projected, best first."""
    return list(api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()["players"])


def built(api: httpx.Client, slate: Slate, **asked: Any) -> dict[str, Any]:
    """What POST /v1/lineups answers."""
    reply = api.post("/v1/lineups", json={"slate_id": slate.slate_id, **asked})
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    plain = [
        {**each, "players": [{k: v for k, v in p.items() if k not in ("q10", "q90")} for p in each["players"]]}
        for each in body["lineups"]
    ]
    assert [check_lineup(lineup_from_json(each), slate, DK) for each in plain] == [()] * len(plain)
    return body


def holds(lineup: dict[str, Any]) -> set[str]:
    """Ids of a lineup's players."""
    return {player["id"] for player in lineup["players"]}


def test_groups_stacks_and_conditions_hold(api: httpx.Client, slate: Slate, pool: list[dict[str, Any]]) -> None:
    group = [player["id"] for player in pool[:6]]
    first, second, third = (player["id"] for player in pool[6:9])
    rules = {
        "n": 8,
        "max_per_team": 4,
        "groups": [{"name": "stars", "players": group, "at_least": 2, "at_most": 2}],
        "stacks": [{"size": 3, "bring_back": 1}],
        "conditions": [{"when": [first], "then": [second, third], "at_least": 1}],
    }
    for lineup in built(api, slate, rules=rules)["lineups"]:
        ids = holds(lineup)
        assert len(ids & set(group)) == 2
        assert first not in ids or ids & {second, third}
        teams = Counter(player["team"] for player in lineup["players"])
        against = {p.team: p.opponent for p in slate.players}
        assert any(count >= 3 and teams[against[team]] >= 1 for team, count in teams.items())
        assert max(teams.values()) <= 4


def test_exposures_are_met_counted_and_certified(
    api: httpx.Client, slate: Slate, pool: list[dict[str, Any]]
) -> None:
    least, most = pool[40]["id"], pool[0]["id"]
    rules = {
        "n": 20,
        "max_exposure": 0.6,
        "player_min_exposure": {least: 0.25},
        "player_max_exposure": {most: 0.2},
        "team_exposures": [{"team": pool[0]["team"], "players": 1, "max_exposure": 0.5}],
    }
    body = built(api, slate, rules=rules)
    used = Counter(site_id for lineup in body["lineups"] for site_id in holds(lineup))
    assert used[least] >= 5 and used[most] <= 4 and max(used.values()) <= 12
    assert {each["id"]: each["count"] for each in body["players"]} == used
    assert [each["count"] for each in body["players"]] == sorted(used.values(), reverse=True)
    assert all(each["share"] == pytest.approx(each["count"] / 20) for each in body["players"])
    assert body["exposures"]
    for rule in body["exposures"]:
        assert rule["least"] <= rule["count"] <= rule["most"], rule
    total = sum(lineup["projection"] for lineup in body["lineups"])
    assert body["bound"] >= total - 1e-6
    assert 0 <= body["gap"] < 0.05


def test_own_projections_decide(api: httpx.Client, slate: Slate, pool: list[dict[str, Any]]) -> None:
    worst = [player["id"] for player in pool if player["mean"] > 0][-1]
    own: dict[str, Any] = {player["id"]: player["mean"] for player in pool}
    own[worst] = {"mean": 500, "floor": 400, "ceiling": 600, "ownership": 0.01}
    body = built(api, slate, projections=own, n=2)
    for lineup in body["lineups"]:
        mine = next(player for player in lineup["players"] if player["id"] == worst)
        assert (mine["projection"], mine["q10"], mine["q90"]) == (500, 400, 600)
    assert body["model"]["name"] == "your projections"
    # Nothing of it stays behind for others.
    after = api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()["players"]
    assert [p["mean"] for p in after] == [p["mean"] for p in pool]


def test_leverage_takes_owned_players_out(api: httpx.Client, slate: Slate, pool: list[dict[str, Any]]) -> None:
    plain = holds(built(api, slate)["lineups"][0])
    own = {
        player["id"]: {"mean": player["mean"], "ownership": 0.9 if player["id"] in plain else 0.01}
        for player in pool
    }
    rules = {"objective": {"leverage": 60.0}}
    moved = holds(built(api, slate, projections=own, rules=rules)["lineups"][0])
    assert not moved & plain
    capped = {"ownership": {"max_total": 1.0}}
    held = holds(built(api, slate, projections=own, rules=capped)["lineups"][0])
    assert len(held & plain) <= 1


def test_objectives_and_randomness(api: httpx.Client, slate: Slate) -> None:
    mean = built(api, slate)["lineups"][0]
    ceiling = built(api, slate, rules={"objective": {"measure": "ceiling"}})["lineups"][0]
    assert sum(p["q90"] for p in ceiling["players"]) >= sum(p["q90"] for p in mean["players"]) - 1e-3
    drawn = {"n": 10, "objective": {"randomness": 0.8, "seed": 7}}
    first, again = (built(api, slate, rules=drawn)["lineups"] for _ in range(2))
    assert [holds(lineup) for lineup in first] == [holds(lineup) for lineup in again]
    fixed = built(api, slate, n=10)["lineups"]
    assert [holds(lineup) for lineup in first] != [holds(lineup) for lineup in fixed]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"rules": {"n": 151}}, ("rules.n", "150")),
        ({"rules": {"stack": []}}, ("stack",)),
        ({"rules": {"stacks": [{"size": "x"}]}}, ("stacks", "size")),
        ({"rules": {"groups": [{"name": "g", "players": ["nobody"], "at_least": 1}]}}, ("nobody",)),
        ({"rules": {"team_exposures": [{"team": "XYZ", "max_exposure": 0.5}]}}, ("XYZ",)),
        ({"rules": {"player_max_exposure": {"nobody": 0.5}}}, ("nobody",)),
        ({"rules": {"objective": {"randomness": 2}}}, ("randomness", "2")),
        ({"rules": 5}, ("rules",)),
        ({"lokced": []}, ("lokced",)),
        ({"projections": {"nobody": 5}}, ("projections", "nobody")),
        ({"projections": {"1": "x"}}, ("projections",)),
    ],
)
def test_a_wrong_field_is_named(api: httpx.Client, slate: Slate, asked: Any, words: tuple[str, ...]) -> None:
    reply = api.post("/v1/lineups", json={"slate_id": slate.slate_id, **asked})
    assert is_problem(reply, 422, *words)


def test_numbers_json_cannot_hold_are_refused(api: httpx.Client, slate: Slate) -> None:
    for field in ('"rules": {"max_exposure": NaN}', '"projections": {"1": Infinity}', '"max_exposure": NaN'):
        content = f'{{"slate_id": "{slate.slate_id}", {field}}}'
        reply = api.post("/v1/lineups", content=content, headers={"content-type": "application/json"})
        assert is_problem(reply, 422)


def test_exposures_that_cannot_be_met_clash(api: httpx.Client, slate: Slate, pool: list[dict[str, Any]]) -> None:
    who = pool[0]["id"]
    rules = {"n": 10, "player_min_exposure": {who: 0.9}, "player_max_exposure": {who: 0.5}}
    reply = api.post("/v1/lineups", json={"slate_id": slate.slate_id, "rules": rules})
    assert is_problem(reply, 422, who)


def test_fewer_than_asked_is_said(api: httpx.Client, slate: Slate, pool: list[dict[str, Any]]) -> None:
    best = built(api, slate)["lineups"][0]
    kept = sorted(holds(best))[:7]
    body = built(api, slate, n=150, locked=kept, rules={"max_salary_usd": best["salary"]})
    assert 1 <= len(body["lineups"]) < 150
    assert any("150 lineups were asked for" in warning for warning in body["warnings"])


def test_an_entries_file_is_filled_in_place(api: httpx.Client, slate: Slate) -> None:
    body = built(api, slate, n=3)
    template = dk_entries([(str(n), [""] * 8) for n in range(101, 106)], slate)
    reply = api.post(
        f"/v1/lineups/{body['id']}/entries.csv", files={"file": ("DKEntries.csv", template.encode(), "text/csv")}
    )
    assert reply.status_code == 200, reply.text
    assert 'filename="DKEntries.csv"' in reply.headers["content-disposition"]
    before, after = (list(csv.reader(io.StringIO(text))) for text in (template, reply.text))
    for number, (old, new) in enumerate(zip(before, after, strict=True)):
        assert (old[:4], old[12:]) == (new[:4], new[12:])
        if 1 <= number <= 3:
            ids = {cell.split("(")[1].rstrip(")") for cell in new[4:12]}
            assert ids == holds(body["lineups"][number - 1])
        else:
            assert old == new
    wrong = api.post(f"/v1/lineups/{body['id']}/entries.csv", files={"file": ("x.csv", b"a,b\n1,2\n", "text/csv")})
    assert is_problem(wrong, 422, "SalaryFileError")


def swap(api: httpx.Client, slate: Slate, file: str, now: datetime, form: dict[str, Any]) -> httpx.Response:
    """Upload an entries file to be swapped at `now`."""
    data = {"slate_id": slate.slate_id, "now": now.isoformat()} | form
    return api.post(
        "/v1/lineups/late-swap", data=data, files={"file": ("DKEntries.csv", file.encode(), "text/csv")}
    )


def test_late_swap_keeps_what_has_started_and_replaces_who_is_out(api: httpx.Client, slate: Slate) -> None:
    lineups = built(api, slate, n=5, max_exposure=0.8)["lineups"]
    cells = {player.site_id: player.upload_name for player in slate.players}
    rows = [(str(n), [cells[p["id"]] for p in each["players"]]) for n, each in enumerate(lineups, start=1)]
    tips = sorted({game.tip for game in slate.games if game.tip is not None})
    now = tips[len(tips) // 2] + timedelta(minutes=1)
    begun = {
        team for game in slate.games if game.tip and game.tip <= now for team in (game.away_team, game.home_team)
    }
    team = {player.site_id: player.team for player in slate.players}
    # Nobody can be in two slots: an entry no swap can mend.
    twice = next(player.upload_name for player in slate.players if player.team in begun)
    rows.append(("6", [f"{twice} (LOCKED)", f"{twice} (LOCKED)", *[""] * 6]))
    file = dk_entries(rows, slate)
    open_ = Counter(site_id for each in lineups for site_id in holds(each) if team[site_id] not in begun)
    gone = open_.most_common(1)[0][0]
    reply = swap(api, slate, file, now, {"out": [gone]})
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert [entry["entry_id"] for entry in body["entries"]] == ["1", "2", "3", "4", "5", "6"]
    assert body["entries"][5]["status"] == "unswappable" and body["entries"][5]["reason"]
    assert body["swapped"] + body["kept"] + body["unswappable"] == 6
    assert body["swapped"] >= 1
    back = list(csv.reader(io.StringIO(body["file"])))
    sent = list(csv.reader(io.StringIO(file)))
    for entry, old, new in zip(body["entries"], sent[1:7], back[1:7], strict=True):
        if entry["lineup"] is None:
            assert old == new
            continue
        ids, was = ([cell.split("(")[1].rstrip(")") for cell in row[4:12]] for row in (new, old))
        assert gone not in ids
        assert [i for i in was if team[i] in begun] == [i for i in ids if team[i] in begun]
        assert set(ids) == holds(entry["lineup"])
        if entry["status"] == "kept":
            assert ids == was
    assert any(moved["out"] == gone for entry in body["entries"] for moved in entry["replaced"])


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"now": "yesterday"}, ("now",)),
        ({"now": "2023-12-14T01:00:00"}, ("now",)),
        ({"out": ["nobody"]}, ("out", "nobody")),
        ({"mode": "all"}, ("mode", "all")),
        ({"rules": "{"}, ("rules", "JSON")),
        ({"rules": '{"nn": 1}'}, ("nn",)),
        ({"projections": '{"1": "x"}'}, ("projections",)),
        ({"projections": "[]"}, ("projections",)),
        ({"slate_id": "nothing"}, ("nothing",)),
    ],
)
def test_a_wrong_swap_is_refused_by_name(
    api: httpx.Client, slate: Slate, form: dict[str, Any], words: tuple[str, ...]
) -> None:
    assert slate.lock is not None
    reply = swap(api, slate, dk_entries([("1", [""] * 8)], slate), slate.lock, form)
    assert is_problem(reply, 404 if "slate_id" in form else 422, *words)


def stopped(api: httpx.Client, route: str) -> float:
    """How often work of a route was stopped because its client hung up."""
    name = f'fantasy_requests_stopped_total{{route="{route}"}}'
    lines = api.get("/metrics").text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def test_the_optimizer_stops_when_the_client_hangs_up(api: httpx.Client, slate: Slate) -> None:
    before = stopped(api, "/v1/lineups")
    rules = {"n": 150, "min_unique": 3, "stacks": [{"size": 3}], "objective": {"randomness": 1.0}}
    content = json.dumps({"slate_id": slate.slate_id, "rules": rules}).encode()
    head = ["POST /v1/lineups HTTP/1.1", "host: x", "content-type: application/json",
            f"content-length: {len(content)}"]  # fmt: skip
    with socket.create_connection((api.base_url.host, api.base_url.port or 80)) as line:
        line.sendall("\r\n".join([*head, "", ""]).encode() + content)
    eventually(lambda: stopped(api, "/v1/lineups") > before, 30)
    assert api.get("/health").status_code == 200
