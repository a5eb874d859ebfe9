"""Lineups in any order, what of them is known live, and their best swap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from features.contests import load_contest
from features.errors import InvalidInput
from features.slate import Slate, SlateGame, SlatePlayer
from features.stores.slates import StoredSlate
from features.stream.connections import Servers
from features.stream.deltas import Change
from models.errors import Cancelled
from models.projection.slate import SCHEMA, SlateProjections
from serving.live.live_lineups import Followed, seated
from serving.live.seen import Seen
from serving.live.standing import SlateNow, best_swap, lineup_topic
from serving.live.swaps import Swaps
from serving.predictor import Projected

TIP = datetime(2026, 3, 1, 0, 30, tzinfo=UTC)
TEAMS = ("AAA", "BBB", "CCC", "DDD")
POSITIONS = (("PG",), ("SG",), ("SF",), ("PF",), ("C",), ("PG", "SG"), ("SF", "PF"), ("C",))


class StreamSays:
    """What `Seen` would know: fields by topic and writer, the share of each game left."""

    def __init__(self, share_left: float = 0.5) -> None:
        self.told: dict[tuple[str, str], dict[str, Any]] = {}
        self.left = share_left

    def of(self, topic: str, writer: str) -> dict[str, Any]:
        """As `Seen.of`."""
        return self.told.get((topic, writer), {})

    def share_left(self, game_id: str) -> float:
        """As `Seen.share_left`."""
        return self.left


def made_slate() -> Slate:
    """Two games of eight players a side; the last game's home side is cheapest."""
    players = []
    for t, team in enumerate(TEAMS):
        opponent = TEAMS[t ^ 1]
        for n, positions in enumerate(POSITIONS):
            at = 8 * t + n
            players.append(
                SlatePlayer(
                    str(at), f"Player {at}", positions, 5000, team, opponent, t % 2 == 1, 20.0, "", 1000 + at
                )
            )
    games = (SlateGame("AAA", "BBB", TIP), SlateGame("CCC", "DDD", TIP + timedelta(hours=2)))
    return Slate("dk-2", "draftkings", "nba", "classic", TIP, games, tuple(players))


def standing_of(begun: frozenset[str], means: dict[str, float] | None = None) -> SlateNow:
    """The slate with every projection 20 + id / 10, or `means`."""
    slate = made_slate()
    rows = [
        {"site_id": p.site_id, "name": p.name, "team": p.team, "positions": list(p.positions), "salary": p.salary_usd,
         "player_id": p.player_id, "mean": (means or {}).get(p.site_id, 20 + int(p.site_id) / 10), "q10": 10.0,
         "q50": 20.0, "q90": 30.0, "p_play": 1.0, "basis": "champion"}
        for p in slate.players
    ]  # fmt: skip
    frame = pl.DataFrame(rows, schema=SCHEMA)
    projections = SlateProjections(frame, "nba-projection", "3", False, None, ())
    projected = Projected(StoredSlate("nba", slate), projections, (), None, "question", {}, 0.0)
    listed = {player.site_id: player for player in slate.players}
    live = {game: game.lower() for game in begun}
    known = dict(frame.select("site_id", "mean").iter_rows())
    return SlateNow(projected, load_contest("draftkings"), begun, live, listed, known)


#: PG SG SF PF C G F UTIL of both games.
LINEUP = ("0", "1", "2", "3", "4", "21", "22", "23")


def test_any_order_that_fits_is_seated_and_others_are_named() -> None:
    slate, contest = made_slate(), load_contest("draftkings")
    for given in (LINEUP, LINEUP[::-1], LINEUP[4:] + LINEUP[:4]):
        ids = seated(given, slate, contest)
        assert set(ids) == set(LINEUP)
        listed = {player.site_id: player for player in slate.players}
        assert all(slot.accepts(listed[i].positions) for slot, i in zip(contest.slots, ids, strict=True))
    for wrong, words in (
        ((*LINEUP[:-1], "99"), "'99'"),
        (LINEUP[:-1], "7 players"),
        ((*LINEUP[:-1], "0"), "Player 0"),
        (("4", "12", "20", "28", "7", "15", "23", "31"), "cannot fill slot"),
    ):
        with pytest.raises(InvalidInput, match=words):
            seated(wrong, slate, contest)


def test_points_are_the_streams_and_the_rest_is_the_models() -> None:
    followed, stream = Followed("l1", "nba", "dk-2", LINEUP), StreamSays(0.5)
    now = standing_of(frozenset({"AAA@BBB"}))
    game = "aaa@bbb"
    line: dict[str, Any] = {"game_id": game, "fantasy_points": {"draftkings": 12.25}}
    expected = {"draftkings": {"mean": 31.4, "q10": 1.0, "q50": 2.0, "q90": 3.0}}
    stream.told[("player:1000", "state")] = line
    stream.told[("player:1000", "model")] = {"game_id": game, "appeared": True, "expected": expected}
    stream.told[("player:1001", "model")] = {"game_id": game, "appeared": False, "expected": expected}
    stream.told[("player:1002", "state")] = line
    stream.told[("player:1003", "state")] = line | {"game_id": "last week's"}
    whole = lineup_topic(followed, now, stream, None)  # type: ignore[arg-type]
    told = {player["id"]: player for player in whole["players"]}
    assert [player["slot"] for player in whole["players"]] == ["PG", "SG", "SF", "PF", "C", "G", "F", "UTIL"]
    assert {i for i, player in told.items() if player["locked"]} == {"0", "1", "2", "3", "4"}
    assert (told["0"]["points"], told["0"]["projected"]) == (12.25, 31.4)
    assert (told["1"]["points"], told["1"]["projected"]) == (0, pytest.approx(20.1 * 0.5, abs=0.01))
    assert (told["2"]["points"], told["2"]["projected"]) == (12.25, pytest.approx(12.25 + 20.2 / 2, abs=0.01))
    assert (told["3"]["points"], told["3"]["projected"]) == (0, pytest.approx(20.3 / 2, abs=0.01))
    assert (told["21"]["points"], told["21"]["projected"]) == (0, 22.1)
    assert whole["points"] == 24.5
    assert whole["projected"] == pytest.approx(sum(player["projected"] for player in told.values()), abs=0.01)
    stream.left = 0.0
    stream.told[(f"game:{game}", "state")] = {"status": "final"}
    over = lineup_topic(followed, now, stream, None)  # type: ignore[arg-type]
    ended = {player["id"]: (player["points"], player["projected"]) for player in over["players"]}
    assert ended["0"] == (12.25, 12.25) and ended["1"] == (0, 0) and ended["21"] == (0, 22.1)


def test_the_best_swap_leaves_locked_players_and_games_alone() -> None:
    followed, stream = Followed("l1", "nba", "dk-2", LINEUP), StreamSays()
    means = {"21": 0.0, "15": 90.0, "13": 80.0}
    now = standing_of(frozenset({"AAA@BBB"}), means)
    swap = best_swap(followed, now, stream, lambda: False)  # type: ignore[arg-type]
    assert swap is not None and swap["gain"] > 20
    assert set(LINEUP[:5]) <= set(swap["players"])
    bought = {each["in"] for each in swap["swaps"]}
    assert "21" in {each["out"] for each in swap["swaps"]} and all(int(each) >= 16 for each in bought)
    best = (*LINEUP[:5], "29", "30", "31")
    again = best_swap(Followed("l1", "nba", "dk-2", best), now, stream, lambda: False)  # type: ignore[arg-type]
    assert again is None
    over = standing_of(frozenset({"AAA@BBB", "CCC@DDD"}), means)
    assert best_swap(followed, over, stream, lambda: False) is None  # type: ignore[arg-type]
    with pytest.raises(Cancelled):
        best_swap(followed, now, stream, lambda: True)  # type: ignore[arg-type]


def test_a_stale_search_is_given_up_and_a_question_is_asked_once() -> None:
    followed, stream = Followed("l1", "nba", "dk-2", LINEUP), StreamSays()
    found: list[str] = []
    swaps = Swaps(stream, found.append)  # type: ignore[arg-type]
    first = standing_of(frozenset({"AAA@BBB"}), {"21": 0.0})
    second = standing_of(frozenset({"AAA@BBB", "CCC@DDD"}))
    assert first.question != second.question
    assert swaps.ask(followed, first) is None and swaps.ask(followed, first) is None
    assert swaps.ask(followed, second) is None
    swaps.search(followed, first)
    assert (swaps.searched, swaps.cancelled, found) == (0, 1, [])
    swaps.search(followed, second)
    assert (swaps.searched, found) == (1, ["l1"]) and swaps.ask(followed, second) is None
    assert swaps.ask(followed, first) is None
    swaps.search(followed, first)
    answer = swaps.ask(followed, first)
    assert answer is not None and answer["gain"] > 0
    swaps.forget("l1")
    assert swaps.ask(followed, first) is None


def test_a_change_is_merged_by_writer_and_null_removes() -> None:
    seen = Seen(Servers("redis://127.0.0.1:1/0"), "nba")  # nothing connects before it is asked
    seen.take(1, Change("game:5", "state", {"elapsed_s": 720.0, "status": "live", "seq": 4}))
    seen.take(1, Change("game:5", "model", {"at_seq": 3}))
    seen.take(1, Change("game:5", "state", {"elapsed_s": 1440.0, "seq": None}))
    assert seen.of("game:5", "state") == {"elapsed_s": 1440.0, "status": "live"}
    assert seen.of("game:5", "model") == {"at_seq": 3} and seen.partition("game:5") == 1
    assert seen.games() == ["5"] and seen.share_left("5") == 0.5
    seen.take(1, Change("game:5", "state", {"status": "final"}))
    assert seen.share_left("5") == 0.0
