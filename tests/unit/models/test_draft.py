"""From projections to lineups: who may be picked, and which wishes about players make sense."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from features.contests import check_lineup, load_contest
from features.errors import InvalidInput
from features.slate import Slate, SlateGame, SlatePlayer
from models.lineups.draft import candidates, draft
from models.lineups.rules import LineupRules
from models.projection.slate import SCHEMA, SlateProjections

CONTEST = load_contest("draftkings")
POSITIONS = ("PG", "SG", "SF", "PF", "C")


def player(number: int) -> SlatePlayer:
    """Twenty players of four teams in two games, positions in turn."""
    teams = ("AAA", "BBB", "CCC", "DDD")
    team = number % 4
    return SlatePlayer(
        str(number), f"P{number}", (POSITIONS[number % 5],), 4000 + 100 * number, teams[team], teams[team ^ 1],
        team % 2 == 0, 20.0, upload_name=f"P{number} ({number})",
    )  # fmt: skip


@pytest.fixture
def slate() -> Slate:
    games = (SlateGame("BBB", "AAA", None), SlateGame("DDD", "CCC", None))
    return Slate("s", "draftkings", "nba", "classic", None, games, tuple(player(n) for n in range(20)))


@pytest.fixture
def projections(slate: Slate) -> SlateProjections:
    rows = [
        {"site_id": p.site_id, "name": p.name, "team": p.team, "positions": list(p.positions), "salary": p.salary_usd,
         "player_id": None, "mean": 0.0 if p.site_id == "19" else 20.0 + int(p.site_id), "q10": 5.0, "q50": 20.0,
         "q90": 40.0, "p_play": 1.0, "basis": "champion"}
        for p in slate.players
    ]  # fmt: skip
    return SlateProjections(pl.DataFrame(rows, schema=SCHEMA), "m", "1", False, None, ())


def test_who_projects_nothing_is_no_candidate(slate: Slate, projections: SlateProjections) -> None:
    pool = candidates(slate, projections.frame, CONTEST)
    assert {c.id for c in pool} == {str(n) for n in range(19)}
    assert {c.game for c in pool} == {"BBB@AAA", "DDD@CCC"}


def test_lineups_are_legal_and_wishes_are_honoured(slate: Slate, projections: SlateProjections) -> None:
    rules = LineupRules(n=3, locked=frozenset({"0"}), excluded=frozenset({"18"}))
    result = draft(slate, projections, CONTEST, rules)
    assert len(result.lineups) == 3
    for lineup in result.lineups:
        chosen = {p.id for p in lineup.players}
        assert check_lineup(lineup, slate, CONTEST) == ()
        assert "0" in chosen and "18" not in chosen


def test_excluding_who_cannot_be_picked_is_fine(slate: Slate, projections: SlateProjections) -> None:
    plain = draft(slate, projections, CONTEST, LineupRules())
    assert draft(slate, projections, CONTEST, LineupRules(excluded=frozenset({"19"}))).lineups == plain.lineups


@pytest.mark.parametrize(("field", "who", "words"), [
    ("locked", "19", "P19.*projects 0"), ("locked", "99", "locked '99' is not on slate"),
    ("excluded", "99", "excluded '99' is not on slate"),
])  # fmt: skip
def test_wishes_that_make_no_sense_are_named(
    slate: Slate, projections: SlateProjections, field: str, who: str, words: str
) -> None:
    with pytest.raises(InvalidInput, match=words):
        draft(slate, projections, CONTEST, replace(LineupRules(), **{field: frozenset({who})}))
