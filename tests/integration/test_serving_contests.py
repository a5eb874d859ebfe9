"""Contests through the API: the rules known, and a simulation that tells of its progress, one at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from features.contests import check_lineup, known_contests, load_contest
from features.slate import Slate
from models.lineups.problem import lineup_from_json
from tests.fixtures.serving import Published, eventually, is_problem

SMALL = {"entries": 5, "scenarios": 400, "field_size": 300, "candidates": 60}
#: Long enough to be met while it runs.
LONG = {"entries": 150, "scenarios": 20_000, "field_size": 50_000, "candidates": 5_000}


@pytest.fixture
def slate(published: Published) -> Slate:
    """The DraftKings slate of the day."""
    return published.day.draftkings


@contextmanager
def following(api: httpx.Client, slate: Slate, **asked: Any) -> Iterator[Iterator[dict[str, Any]]]:
    """The lines of a simulation; leaving the block hangs up."""
    body = {"slate_id": slate.slate_id, **asked}
    with (
        httpx.Client(base_url=api.base_url, timeout=300) as own,
        own.stream("POST", "/v1/contests/simulate", json=body) as reply,
    ):
        if reply.status_code != 200:
            reply.read()
        assert reply.status_code == 200, reply.text
        yield (json.loads(line) for line in reply.iter_lines())


def simulated(api: httpx.Client, slate: Slate, **asked: Any) -> list[dict[str, Any]]:
    """Every line of a simulation."""
    with following(api, slate, **asked) as lines:
        return list(lines)


def test_every_contest_is_listed(api: httpx.Client) -> None:
    listed = api.get("/v1/contests").json()["contests"]
    assert [(each["site"], each["sport"], each["mode"]) for each in listed] == list(known_contests())
    nba = next(
        each for each in listed if (each["site"], each["sport"], each["mode"]) == ("draftkings", "nba", "classic")
    )
    assert [slot["name"] for slot in nba["slots"]] == ["PG", "SG", "SF", "PF", "C", "G", "F", "UTIL"]
    assert nba["salary_cap"] == 50_000 and nba["source"].startswith("http")


def test_a_simulation_tells_its_progress_and_what_lineups_win(api: httpx.Client, slate: Slate) -> None:
    lines = simulated(api, slate, **SMALL, rules={"max_exposure": 0.8}, seed=3)
    *progress, result = lines
    assert {line["event"] for line in progress} == {"progress"}
    assert all(0 <= line["done"] <= line["total"] for line in progress)
    stages = list(dict.fromkeys(line["stage"] for line in progress))
    assert {"scenarios", "field", "candidates", "choose"} <= set(stages)
    assert result["event"] == "result", result
    contest = load_contest("draftkings")
    assert len(result["lineups"]) == len(result["table"]) == 5
    for each in result["lineups"]:
        plain = [{k: v for k, v in p.items() if k not in ("q10", "q90")} for p in each["players"]]
        assert check_lineup(lineup_from_json({**each, "players": plain}), slate, contest) == ()
    assert all(each["count"] <= 4 for each in result["players"])
    for row in result["table"]:
        assert 0 <= row["win"] <= row["top1"] <= row["cash"] <= 1
    for key in ("roi", "p_profit", "p_any_first", "p_any_top10", "cash"):
        assert key in result["portfolio"] and key in result["baseline"]
    assert result["contest"]["field_size"] == 300
    assert sum(each["projected"] for each in result["ownership"]) == pytest.approx(8, abs=0.05)
    upload = api.get(f"/v1/lineups/{result['id']}/upload.csv")
    assert len(upload.text.splitlines()) == 6
    again = simulated(api, slate, **SMALL, rules={"max_exposure": 0.8}, seed=3)[-1]
    assert again["table"] == result["table"]


def test_lineups_built_before_are_valued_as_they_are(
    api: httpx.Client, slate: Slate, published: Published
) -> None:
    made = api.post("/v1/lineups", json={"slate_id": slate.slate_id, "n": 3}).json()
    payouts = {"tiers": [[1, 1, 500.0], [2, 50, 10.0]], "field_size": 300, "entry_fee_usd": 4.0}
    result = simulated(api, slate, **SMALL, lineups_id=made["id"], payouts=payouts)[-1]
    assert result["event"] == "result", result
    ids = [{p["id"] for p in each["players"]} for each in made["lineups"]]
    assert [{p["id"] for p in each["players"]} for each in result["lineups"]] == ids
    assert result["id"] is None
    assert result["contest"]["first_prize_usd"] == 500
    other = published.day.slates[1]
    wrong = {"slate_id": other.slate_id, **SMALL, "lineups_id": made["id"]}
    assert is_problem(api.post("/v1/contests/simulate", json=wrong), 422, "lineups_id")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"scenarios": 10}, ("scenarios", "100")),
        ({"scenarios": 10**9}, ("scenarios",)),
        ({"field_size": 10**9}, ("field_size",)),
        ({"candidates": 10**9}, ("candidates",)),
        ({"candidates": 10_000, "scenarios": 20_000}, ("candidates", "scenarios", "100,000,000")),
        ({"entries": 151}, ("entries", "150")),
        ({"entries": 20, "field_size": 10}, ("field_size",)),
        ({"objective": "luck"}, ("objective", "luck")),
        ({"payouts": "all"}, ("payouts", "all")),
        ({"payouts": {"tiers": [[2, 3, 1.0]], "field_size": 10, "entry_fee_usd": 1}}, ("payouts", "2-3")),
        ({"payouts": {"tiers": [[1, 3, -1.0]], "field_size": 10, "entry_fee_usd": 1}}, ("payouts",)),
        ({"lineups_id": "x"}, ("lineups_id",)),
        ({"rules": {"stack": []}}, ("stack",)),
        ({"unknown": 1}, ("unknown",)),
    ],
)
def test_a_wrong_field_is_named(api: httpx.Client, slate: Slate, asked: Any, words: tuple[str, ...]) -> None:
    reply = api.post("/v1/contests/simulate", json={"slate_id": slate.slate_id, **asked})
    assert is_problem(reply, 422, *words)


def test_what_is_not_known_is_404(api: httpx.Client, slate: Slate) -> None:
    assert is_problem(api.post("/v1/contests/simulate", json={"slate_id": "nothing"}), 404, "nothing")
    nobody = "00000000-0000-0000-0000-000000000000"
    reply = api.post("/v1/contests/simulate", json={"slate_id": slate.slate_id, "lineups_id": nobody})
    assert is_problem(reply, 404, nobody)


def test_rules_that_clash_end_the_stream_with_an_error(api: httpx.Client, slate: Slate) -> None:
    dear = sorted((p for p in slate.players if not p.injury_status), key=lambda p: -p.salary_usd)[:7]
    last = simulated(api, slate, **SMALL, rules={"locked": [p.site_id for p in dear]})[-1]
    assert (last["event"], last["error"]) == ("error", "Infeasible")
    assert last["rules"]


def test_one_at_a_time_and_it_stops_when_the_client_hangs_up(api: httpx.Client, slate: Slate) -> None:
    def stopped() -> float:
        name = 'fantasy_requests_stopped_total{route="/v1/contests/simulate"}'
        lines = api.get("/metrics").text.splitlines()
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)

    before = stopped()
    with following(api, slate, **LONG) as lines:
        assert next(lines)["event"] == "progress"
        busy = api.post("/v1/contests/simulate", json={"slate_id": slate.slate_id, **SMALL})
        assert is_problem(busy, 503, "Busy")
        assert busy.json()["retryable"] and busy.headers["retry-after"]
        assert api.get("/health").status_code == 200
    eventually(lambda: stopped() > before, 120)

    def accepted() -> bool:
        body = {"slate_id": slate.slate_id, **SMALL}
        return api.post("/v1/contests/simulate", json=body).status_code == 200

    eventually(accepted, 60)
