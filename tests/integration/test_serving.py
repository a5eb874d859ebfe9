"""The API against real Redis, PostgreSQL and MLflow: what it answers and what it refuses."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import func, select

from features.contests import check_lineup, load_contest
from features.slate import Slate
from features.sources.upload import read_upload
from features.stores.online import OnlineStore
from features.stores.schema import PredictionServed
from features.stores.slates import StoredSlate
from models.bundle import load_bundle
from models.lineups.problem import lineup_from_json
from models.win_probability.slate import slate_game_rows
from serving.app import WEB
from serving.champion import FAMILIES, Champions
from serving.predictor import SlatePredictor
from tests.fixtures.relay import relayed
from tests.fixtures.serving import (
    HEADER,
    Published,
    dk_text,
    eventually,
    is_problem,
    publish_features,
    ready,
    serving,
)


@pytest.fixture
def slate(published: Published) -> Slate:
    """The DraftKings slate of the day."""
    return published.day.draftkings


def upload(api: httpx.Client, content: bytes | str, name: str = "DKSalaries.csv", **form: str) -> httpx.Response:
    """Post a salary file."""
    data = content.encode() if isinstance(content, str) else content
    return api.post("/v1/slates", files={"file": (name, data, "text/csv")}, data=form)


def test_projections_are_the_champions(api: httpx.Client, published: Published, slate: Slate) -> None:
    body = api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()
    expected = published.means(load_bundle(published.bundles["projection"]), slate)
    assert {p["id"]: p["mean"] for p in body["players"]} == expected
    assert body["model"]["name"] == "simulated-projection"
    assert body["source"] == "simulated"
    assert not body["fallback"]
    assert body["tier"] == "regional"
    assert body["data_timestamp"].startswith(published.day.data_timestamp.strftime("%Y-%m-%dT%H:%M"))
    means = [p["mean"] for p in body["players"]]
    assert means == sorted(means, reverse=True)
    champion = [p for p in body["players"] if p["basis"] == "champion"]
    assert len(champion) > 150
    assert all(p["q10"] <= p["q50"] <= p["q90"] for p in body["players"])
    assert [p["basis"] for p in body["players"] if p["p_play"] == 0] == ["out"] * sum(
        p.injury_status == "O" for p in slate.players
    )


def test_equal_questions_are_computed_once(api: httpx.Client, slate: Slate) -> None:
    def computed() -> float:
        lines = api.get("/metrics").text.splitlines()
        name = 'fantasy_inference_seconds_count{family="projection"}'
        return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)

    first = api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()
    before = computed()
    again = [api.get("/v1/projections", params={"slate_id": slate.slate_id}).json() for _ in range(3)]
    assert computed() == before
    assert all(reply["players"] == first["players"] for reply in again)


def test_predictions_are_recorded_once(api: httpx.Client, published: Published, slate: Slate) -> None:
    body = api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()
    api.get("/v1/projections", params={"slate_id": slate.slate_id})
    winners = api.post("/v1/predictions/macro", json={"slate_id": slate.slate_id}).json()
    ids = [p["prediction_id"] for p in [*body["players"], *winners["games"]]]

    def recorded() -> list[PredictionServed]:
        with published.database.session() as session:
            query = select(PredictionServed).where(PredictionServed.prediction_id.in_(ids))
            return list(session.scalars(query))

    eventually(lambda: len(recorded()) == len(ids), 20)
    rows = {str(row.prediction_id): row for row in recorded()}
    best = body["players"][0]
    row = rows[best["prediction_id"]]
    assert (row.mean, row.player_id, row.asked_at) == (best["mean"], best["player_id"], "pregame")
    assert row.quantiles == {name: best[name] for name in ("q10", "q50", "q90")}
    assert (row.model_version, row.target) == (body["model"]["version"], "fantasy_points_draftkings")
    assert row.view_versions and row.latency_ms is not None
    game = winners["games"][0]
    assert rows[game["prediction_id"]].probability == pytest.approx(game["home_win_probability"], abs=1e-4)
    with published.database.session() as session:
        count = select(func.count()).where(
            PredictionServed.slate_id == slate.slate_id, PredictionServed.model_version == row.model_version
        )
        assert session.scalar(count) is not None


@pytest.mark.parametrize("n", [1, 20, 150])
def test_lineups_are_legal_and_distinct(api: httpx.Client, slate: Slate, n: int) -> None:
    reply = api.post("/v1/lineups", json={"slate_id": slate.slate_id, "n": n, "min_unique": 1})
    assert reply.status_code == 200, reply.text
    body = reply.json()
    contest = load_contest("draftkings")
    plain = [
        {**each, "players": [{k: v for k, v in p.items() if k not in ("q10", "q90")} for p in each["players"]]}
        for each in body["lineups"]
    ]
    assert [check_lineup(lineup_from_json(each), slate, contest) for each in plain] == [()] * n
    assert len({frozenset(p["id"] for p in each["players"]) for each in plain}) == n
    scores = [each["projection"] for each in plain]
    assert scores == sorted(scores, reverse=True)
    assert all(p["q10"] <= p["projection"] + 1e-6 for each in body["lineups"] for p in each["players"])


@pytest.mark.parametrize("place", [0, 1, 2])
def test_every_site_gets_its_own_upload_file(api: httpx.Client, published: Published, place: int) -> None:
    slate = published.day.slates[place]
    contest = load_contest(slate.site)
    built = api.post("/v1/lineups", json={"slate_id": slate.slate_id, "n": 3}).json()
    reply = api.get(f"/v1/lineups/{built['id']}/upload.csv")
    assert reply.headers["content-type"].startswith("text/csv")
    assert "attachment" in reply.headers["content-disposition"]
    assert reply.text.splitlines()[0] == ",".join(contest.upload_header)
    back = read_upload(reply.content, slate, contest)
    chosen = [sorted(p["id"] for p in lineup["players"]) for lineup in built["lineups"]]
    assert [sorted(p.id for p in lineup.players) for lineup in back] == chosen


def test_locks_exclusions_and_exposure_hold(api: httpx.Client, slate: Slate) -> None:
    free = api.post("/v1/lineups", json={"slate_id": slate.slate_id}).json()["lineups"][0]["players"]
    out = free[0]["id"]
    ruled_out = next(p.site_id for p in slate.players if p.injury_status == "O")
    pool = api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()["players"]
    lock = next(p["id"] for p in reversed(pool) if p["mean"] > 0 and p["id"] not in {x["id"] for x in free})
    asked = {
        "slate_id": slate.slate_id,
        "n": 6,
        "max_exposure": 0.5,
        "locked": [lock],
        "excluded": [out, ruled_out],
    }
    built = api.post("/v1/lineups", json=asked).json()["lineups"]
    teams = [{p["id"] for p in lineup["players"]} for lineup in built]
    assert all(lock in team and out not in team for team in teams)
    used = [sum(site_id in team for team in teams) for site_id in set.union(*teams) - {lock}]
    assert max(used) <= 3


def test_what_cannot_be_built_names_the_rules(api: httpx.Client, slate: Slate) -> None:
    dear = sorted(slate.players, key=lambda p: -p.salary_usd)
    playing = [p.site_id for p in dear if not p.injury_status][:7]
    reply = api.post("/v1/lineups", json={"slate_id": slate.slate_id, "locked": playing})
    assert is_problem(reply, 422, "Infeasible")
    assert reply.json()["rules"]
    out = next(p for p in slate.players if p.injury_status == "O")
    locked = {"slate_id": slate.slate_id, "locked": [out.site_id]}
    assert is_problem(api.post("/v1/lineups", json=locked), 422, out.name, "ruled out")
    for field in ("locked", "excluded"):
        reply = api.post("/v1/lineups", json={"slate_id": slate.slate_id, field: ["nobody"]})
        assert is_problem(reply, 422, field, "nobody")


def test_compare_says_whom_to_start(api: httpx.Client, slate: Slate) -> None:
    pool = api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()["players"]
    best, middle = pool[0], pool[len(pool) // 2]
    asked = {"slate_id": slate.slate_id, "player": [middle["name"].upper(), best["id"]]}
    body = api.get("/v1/compare", params=asked).json()
    assert body["start"]["id"] == best["id"]
    assert body["confidence"] > 0.7
    assert not body["abstained"]
    close = api.get("/v1/compare", params={"slate_id": slate.slate_id, "player": [pool[0]["id"], pool[1]["id"]]})
    assert 0.3 < close.json()["confidence"] < 0.75
    for players in (["nobody", best["id"]], [best["id"], best["name"]]):
        reply = api.get("/v1/compare", params={"slate_id": slate.slate_id, "player": players})
        assert is_problem(reply, 422, "player")


def test_players_are_found_by_name_and_team(api: httpx.Client, slate: Slate) -> None:
    wanted = slate.players[3]
    found = api.get("/v1/players", params={"slate_id": slate.slate_id, "search": wanted.name[2:].upper()}).json()
    assert wanted.site_id in [p["id"] for p in found["players"]]
    team = api.get("/v1/players", params={"slate_id": slate.slate_id, "search": wanted.team.lower()}).json()
    assert {p["team"] for p in team["players"]} == {wanted.team}
    assert len(team["players"]) == sum(p.team == wanted.team for p in slate.players)


def test_winners_abstain_below_the_gate(api: httpx.Client, published: Published, slate: Slate) -> None:
    body = api.post("/v1/predictions/macro", json={"slate_id": slate.slate_id}).json()
    assert body["model"]["name"] == "simulated-win_probability"
    assert {(g["away_team"], g["home_team"]) for g in body["games"]} == {
        (g.away_team, g.home_team) for g in slate.games
    }
    model = load_bundle(published.bundles["win_probability"])
    rows = model.predict(slate_game_rows(slate, published.day.views))
    expected = dict(rows.select("home_team", "home_win_probability").iter_rows())
    assert {g["home_team"]: g["home_win_probability"] for g in body["games"]} == pytest.approx(expected, abs=1e-4)
    for game in body["games"]:
        likelier = game["home_team"] if game["home_win_probability"] >= 0.5 else game["away_team"]
        assert game["confidence"] == pytest.approx(
            max(game["home_win_probability"], 1 - game["home_win_probability"]), abs=2e-4
        )
        assert game["abstained"] == (game["confidence"] < body["gate"])
        assert (game["winner"], game["fallback_winner"]) == (
            (None, game["home_team"]) if game["abstained"] else (likelier, None)
        )


def test_models_and_metrics_name_what_serves(api: httpx.Client, published: Published) -> None:
    models = {m["name"]: m for m in api.get("/v1/models").json()["models"]}
    assert set(models) == {f"{league}-{f}" for league in ("nba", "simulated") for f in FAMILIES}
    assert (models["nba-shot"]["status"], models["nba-shot"]["error"]) == ("no champion yet", None)
    served = models["simulated-projection"]
    assert (
        served["status"] == "serving"
        and served["version"]
        and served["error"] is None
        and served["device"] == "cpu"
    )
    assert served["trained_through"] < published.day.data_timestamp.date().isoformat()
    text = api.get("/metrics").text
    assert f'fantasy_champion_version{{model="simulated-projection"}} {float(served["version"])}' in text
    assert 'fantasy_http_requests_total{method="GET",route="/v1/models",status="200"}' in text
    assert "fantasy_ready{" in text


def test_an_uploaded_file_is_matched_and_projected(api: httpx.Client, slate: Slate) -> None:
    reply = upload(api, dk_text(slate))
    assert reply.status_code == 201, reply.text
    made = reply.json()
    assert (made["site"], made["players"], made["league"]) == ("draftkings", len(slate.players), "simulated")
    body = api.get("/v1/projections", params={"slate_id": made["id"]}).json()
    own = {p["id"]: p["mean"] for p in body["players"] if p["basis"] == "champion"}
    assert len(own) > 150
    built = api.post("/v1/lineups", json={"slate_id": made["id"], "n": 2}).json()
    assert len(built["lineups"]) == 2
    assert made["id"] in [s["id"] for s in api.get("/v1/slates").json()["slates"]]


def test_a_changed_injury_mark_is_another_question(api: httpx.Client, slate: Slate) -> None:
    star = max(slate.players, key=lambda p: (not p.injury_status) * p.salary_usd)
    first = upload(api, dk_text(slate)).json()
    before = api.get("/v1/projections", params={"slate_id": first["id"]}).json()["players"]
    marked = dk_text(slate).replace(f",{star.name},", f",{star.name} (OUT),")
    second = upload(api, marked).json()
    assert second["id"] == first["id"]
    after = api.get("/v1/projections", params={"slate_id": second["id"]}).json()["players"]
    assert next(p for p in before if p["id"] == star.site_id)["basis"] == "champion"
    assert next(p for p in after if p["id"] == star.site_id)["basis"] == "out"


def test_a_past_slate_is_marked(api: httpx.Client, slate: Slate) -> None:
    assert slate.lock is not None
    day = slate.lock - timedelta(hours=5)
    past = day - timedelta(days=20)
    made = upload(api, dk_text(slate).replace(day.strftime("%m/%d/%Y"), past.strftime("%m/%d/%Y"))).json()
    body = api.get("/v1/projections", params={"slate_id": made["id"]}).json()
    assert any("before the newest data" in warning for warning in body["warnings"])
    winners = api.post("/v1/predictions/macro", json={"slate_id": made["id"]}).json()
    assert any("before the newest data" in warning for warning in winners["warnings"])
    today = api.get("/v1/projections", params={"slate_id": slate.slate_id}).json()
    assert not any("before the newest data" in warning for warning in today["warnings"])


def test_a_file_of_strangers_falls_back_and_says_so(api: httpx.Client) -> None:
    teams = [("BOS", "NYK"), ("DEN", "LAL")]
    rows = [HEADER]
    for n in range(40):
        away, home = teams[n % 2]
        team, slot = (away, home)[n // 2 % 2], ("PG", "SG", "SF", "PF", "C")[n % 5]
        rows.append(
            f"{slot},X{n} Stranger{n} ({n}),X{n} Stranger{n},{n},{slot}/UTIL,{4000 + 50 * n},"
            f"{away}@{home} 12/30/2024 07:00PM ET,{team},{20 + n / 10}"
        )
    made = upload(api, "\n".join(rows)).json()
    assert made["league"] == "nba"
    body = api.get("/v1/projections", params={"slate_id": made["id"]}).json()
    assert body["fallback"]
    assert {p["basis"] for p in body["players"]} == {"file_average"}
    assert body["warnings"]
    assert api.post("/v1/lineups", json={"slate_id": made["id"], "n": 1}).json()["fallback"]
    reply = api.post("/v1/predictions/macro", json={"slate_id": made["id"]})
    assert is_problem(reply, 404, "NotMaterialized", "nba")


async def test_while_no_winner_model_is_champion_elo_answers_and_that_is_said(published: Published) -> None:
    unasked = Champions(published.settings, published.registry)
    predictor = SlatePredictor(unasked, OnlineStore(published.settings.redis_url))
    slate = published.day.draftkings
    winners = await predictor.winners(StoredSlate("simulated", slate))
    predictor.close()
    assert winners.fallback
    assert winners.model_name == "baseline-elo"
    assert any("Elo" in warning for warning in winners.warnings)
    rows = slate_game_rows(slate, published.day.views)
    assert winners.games["home_win_probability"].to_list() == pytest.approx(
        rows["elo_home_win"].to_list(), abs=1e-6
    )


BAD_FILES = {
    "empty": (b"", "empty"),
    "binary": (b"PK\x03\x04" + bytes(200), "Excel"),
    "not utf-8": (b"\x81\x8d\x8f\x90" * 50, ""),
    "header only": (HEADER.encode(), "empty"),
    "unknown columns": (b"a,b,c\n1,2,3\n", ""),
    "html": (b"<html><body>please log in</body></html>", ""),
    "negative salary": (
        f"{HEADER}\nPG,A B (1),A B,1,PG/UTIL,-5000,BOS@NYK 12/30/2024 07:00PM ET,BOS,20".encode(),
        "-5000",
    ),
    "missing salary": (
        f"{HEADER}\nPG,A B (1),A B,1,PG/UTIL,,BOS@NYK 12/30/2024 07:00PM ET,BOS,20".encode(),
        "salary",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files_are_refused_with_a_reason(api: httpx.Client, case: str) -> None:
    content, word = BAD_FILES[case]
    reply = upload(api, content)
    assert is_problem(reply, 422, word)
    assert reply.json()["error"] == "SalaryFileError"
    assert not reply.json()["retryable"]


def test_truncated_duplicate_and_huge_files_are_refused(api: httpx.Client, slate: Slate) -> None:
    before = api.get("/v1/slates").json()
    whole = dk_text(slate)
    cut = whole[: whole.rindex("@")]
    assert is_problem(upload(api, cut), 422, "SalaryFileError")
    doubled = whole + whole.splitlines()[-1]
    assert is_problem(upload(api, doubled), 422, "duplicate")
    assert is_problem(upload(api, whole.encode() + b"x" * 20_000_000), 413, "UploadTooLarge", "10,000,000")
    assert api.get("/v1/slates").json() == before


def test_bad_requests_are_typed(api: httpx.Client, slate: Slate) -> None:
    known, as_json = slate.slate_id, {"content-type": "application/json"}
    assert is_problem(api.get("/v1/projections"), 422, "slate_id", "required")
    assert is_problem(api.get("/v1/projections", params={"slate_id": "nothing"}), 404, "nothing", "/v1/slates")
    assert is_problem(api.get("/v1/projections", params={"slate_id": "a\0b"}), 422, "slate_id")
    assert is_problem(api.post("/v1/lineups", json={"slate_id": known, "n": 151}), 422, "n is 151", "150")
    assert is_problem(api.post("/v1/lineups", json={"slate_id": known, "max_exposure": 0}), 422, "max_exposure")
    assert is_problem(api.post("/v1/lineups", json={"slate_id": known, "min_unique": 9}), 422, "min_unique")
    assert is_problem(api.post("/v1/lineups", content=b"{", headers=as_json), 422, "JSON")
    assert is_problem(api.post("/v1/lineups", content=b"{"), 422, "dictionary")
    surrogate = b'{"slate_id": "x", "n": "\\ud800"}'
    assert is_problem(api.post("/v1/lineups", content=surrogate, headers=as_json), 422, "n is")
    assert is_problem(api.get("/v1/lineups/1234/upload.csv"), 422, "request_id", "1234")
    unknown = "/v1/lineups/00000000-0000-0000-0000-000000000000/upload.csv"
    assert is_problem(api.get(unknown), 404, "POST /v1/lineups")
    assert is_problem(api.get("/v1/nothing"), 404, "/v1/nothing")
    wrong = api.put("/v1/slates")
    assert is_problem(wrong, 405, "PUT")
    assert wrong.headers["allow"]
    assert is_problem(api.post("/v1/slates", data={"day": "2024-01-01"}), 422, "file")
    assert is_problem(upload(api, "x", day="yesterday"), 422, "day")


def test_only_real_endpoints_are_listed(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()
    assert {(path, method) for path, methods in document["paths"].items() for method in methods} == {
        ("/health", "get"),
        ("/ready", "get"),
        ("/metrics", "get"),
        ("/v1/slates", "get"),
        ("/v1/slates", "post"),
        ("/v1/projections", "get"),
        ("/v1/players", "get"),
        ("/v1/compare", "get"),
        ("/v1/predictions/macro", "post"),
        ("/v1/predictions/game", "post"),
        ("/v1/predictions/micro", "post"),
        ("/v1/accuracy", "get"),
        ("/v1/lineups", "post"),
        ("/v1/lineups/{request_id}/upload.csv", "get"),
        ("/v1/lineups/{request_id}/entries.csv", "post"),
        ("/v1/lineups/late-swap", "post"),
        ("/v1/contests", "get"),
        ("/v1/contests/simulate", "post"),
        ("/v1/contests/payouts", "post"),
        ("/v1/projections/file", "post"),
        ("/v1/models", "get"),
        ("/v1/models/live_win/what_if", "get"),
        ("/v1/models/live_win/onnx", "get"),
        ("/v1/live/games", "get"),
        ("/v1/live/games/{game_id}/curve", "get"),
        ("/v1/live/token", "post"),
        ("/v1/live/events", "get"),
        ("/v1/live/status", "get"),
        ("/v1/live/lineups", "post"),
        ("/v1/live/lineups/entries", "post"),
        ("/v1/ask", "post"),
        ("/v1/jobs/{job_id}", "get"),
        ("/v1/jobs/{job_id}", "delete"),
    }
    assert "HTTPValidationError" not in document["components"]["schemas"]
    for page in ("/", "/live", "/docs", *(f"/web/{path.name}" for path in WEB.iterdir() if path.is_file())):
        reply = api.get(page)
        assert reply.status_code == 200
        assert "://" not in reply.text.replace("http://www.w3.org", "")


def test_health_answers_while_projections_take_long(published: Published) -> None:
    with relayed(published.settings.redis_url) as (redis,):
        settings = published.settings.model_copy(update={"redis_url": redis.url.replace("/5", "/6")})
        publish_features(published, settings.redis_url)
        with serving(settings) as client:
            eventually(lambda: ready(client))
            redis.delay_s = 0.1
            slow, status = [], []

            def ask() -> None:
                started = time.monotonic()
                slate_id = published.day.draftkings.slate_id
                url = f"{client.base_url}/v1/projections"
                status.append(httpx.get(url, params={"slate_id": slate_id}, timeout=60).status_code)
                slow.append(time.monotonic() - started)

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            taken = []
            while any(thread.is_alive() for thread in threads):
                started = time.monotonic()
                assert client.get("/health").status_code == 200
                taken.append(time.monotonic() - started)
                time.sleep(0.01)
            assert status == [200] * 4
            assert min(slow) > 1.0
            assert len(taken) > 20
            # The loop is never held for the length of a projection.
            assert sorted(taken)[int(0.99 * len(taken)) - 1] < min(slow) / 4
            assert f"fantasy_inference_threads {settings.torch_threads}.0" in client.get("/metrics").text
            assert settings.torch_threads == 1
