"""Roster rules as data, and the check of a lineup that shares nothing with the solver."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from features.contests import Contest, check_lineup, known_contests, load_contest
from features.contests.loader import RULES, parse_contest
from features.errors import UnknownContest
from features.slate import Slate, SlatePlayer


@dataclass(frozen=True)
class Pick:
    id: str
    slot: str


@dataclass(frozen=True)
class Picks:
    players: tuple[Pick, ...]


def player(site_id: str, position: str, salary: int, team: str, opponent: str) -> SlatePlayer:
    return SlatePlayer(site_id, f"P {site_id}", tuple(position.split("/")), salary, team, opponent, True, 20.0)


def slate_for(contest: Contest, salary: int) -> tuple[Slate, Picks]:
    """One player per slot, from two games and four teams, and the lineup of all of them."""
    teams = [("AAA", "BBB"), ("BBB", "AAA"), ("CCC", "DDD"), ("DDD", "CCC")]
    players = tuple(
        player(str(i), sorted(slot.positions)[0], salary, *teams[i % 4]) for i, slot in enumerate(contest.slots)
    )
    slate = Slate("s", contest.site, contest.sport, contest.mode, None, (), players)
    return slate, Picks(tuple(Pick(str(i), slot.name) for i, slot in enumerate(contest.slots)))


def changed(slate: Slate, index: int, **fields: object) -> Slate:
    players = list(slate.players)
    players[index] = replace(players[index], **fields)  # type: ignore[arg-type]
    return replace(slate, players=tuple(players))


def test_published_rules() -> None:
    dk, fd, yahoo = (load_contest(site) for site in ("draftkings", "fanduel", "yahoo"))
    assert [s.name for s in dk.slots] == ["PG", "SG", "SF", "PF", "C", "G", "F", "UTIL"]
    assert (dk.salary_cap_usd, dk.min_games, dk.min_teams, dk.max_per_team) == (50_000, 2, 2, 8)
    assert [s.name for s in fd.slots] == ["PG", "PG", "SG", "SG", "SF", "SF", "PF", "PF", "C"]
    assert (fd.salary_cap_usd, fd.max_per_team, fd.min_teams) == (60_000, 4, 3)
    assert [s.name for s in yahoo.slots] == ["PG", "SG", "G", "SF", "PF", "F", "C", "UTIL"]
    assert (yahoo.salary_cap_usd, yahoo.max_per_team, yahoo.min_teams) == (200, 6, 3)
    for contest in (dk, fd, yahoo):
        assert contest.source.startswith("https://")
        assert contest.positions == {"PG", "SG", "SF", "PF", "C"}
        assert contest.lineup_size == len(contest.upload_header)


def test_every_rule_file_loads_and_is_named_after_its_contest() -> None:
    assert len(known_contests()) >= 44
    for key in known_contests():
        contest = load_contest(*key)
        assert (contest.site, contest.sport, contest.mode) == key
        assert contest.source.startswith("https://")


def test_unknown_contest_lists_those_that_exist() -> None:
    with pytest.raises(UnknownContest, match="draftkings nba classic"):
        load_contest("draftkings", "curling")
    with pytest.raises(UnknownContest):
        load_contest("../../etc", "passwd", "x")


@pytest.mark.parametrize("field", ["salary_cap_usd", "slots", "source", "upload", "site"])
def test_incomplete_rules_name_the_field(field: str) -> None:
    rules = tomllib.loads((RULES / "draftkings_nba_classic.toml").read_text())
    del rules[field]
    with pytest.raises(UnknownContest, match=field):
        parse_contest(rules)


def test_another_sport_is_one_more_file() -> None:
    golf = """
    source = "https://example.org/golf"
    site = "draftkings"
    sport = "pga"
    mode = "classic"
    salary_cap_usd = 50000
    salary_step_usd = 100
    slots = [{ name = "G", positions = ["G"] }, { name = "G", positions = ["G"] }]
    upload = { header = ["G", "G"], cell = "id", max_lineups = 150 }
    """
    contest = parse_contest(tomllib.loads(golf))
    assert (contest.max_per_team, contest.min_teams, contest.min_games) == (2, 1, 1)
    with pytest.raises(UnknownContest, match="header"):
        parse_contest(tomllib.loads(golf.replace('["G", "G"]', '["G"]')))


@pytest.mark.parametrize("site", ["draftkings", "fanduel", "yahoo"])
def test_a_legal_lineup_has_no_problems(site: str) -> None:
    contest = load_contest(site)
    slate, lineup = slate_for(contest, contest.salary_cap_usd // contest.lineup_size)
    assert check_lineup(lineup, slate, contest) == ()
    shuffled = Picks(tuple(reversed(lineup.players)))
    assert check_lineup(shuffled, slate, contest) == ()


@pytest.mark.parametrize("site", ["draftkings", "fanduel", "yahoo"])
def test_every_rule_is_checked(site: str) -> None:
    contest = load_contest(site)
    slate, lineup = slate_for(contest, contest.salary_cap_usd // contest.lineup_size)

    def problem(lineup: Picks = lineup, slate: Slate = slate) -> str:
        return "; ".join(check_lineup(lineup, slate, contest))

    first, *rest = lineup.players
    assert "above the cap" in problem(slate=changed(slate, 0, salary_usd=contest.salary_cap_usd))
    assert "cannot fill slot PG" in problem(slate=changed(slate, 0, positions=("C",)))
    assert problem(slate=changed(slate, 0, positions=("C", "PG"))) == ""
    assert "used 2 times" in problem(Picks((first, *rest[:-1], Pick(first.id, rest[-1].slot))))
    assert "missing" in problem(Picks(tuple(rest)))
    assert "extra" in problem(Picks((*lineup.players, Pick("0", "PG"))))
    assert "not on slate" in problem(Picks((Pick("nobody", first.slot), *rest)))
    one_game = replace(
        slate,
        players=tuple(replace(p, team=("AAA", "BBB")[i % 2], opponent=("BBB", "AAA")[i % 2])
                      for i, p in enumerate(slate.players)),
    )  # fmt: skip
    expected = "1 games" if site == "draftkings" else "2 teams"
    assert expected in problem(slate=one_game)
    one_team = replace(slate, players=tuple(replace(p, team="AAA", opponent="BBB") for p in slate.players))
    assert "teams" in problem(slate=one_team)
    if site != "draftkings":
        assert "at most" in problem(slate=one_team)


def test_one_person_under_two_ids_is_one_person() -> None:
    contest = load_contest("draftkings")
    slate, lineup = slate_for(contest, 5000)
    twice = changed(slate, 4, name=slate.players[0].name, team=slate.players[0].team)
    assert "used 2 times" in "; ".join(check_lineup(lineup, twice, contest))


def test_rules_ship_beside_the_module() -> None:
    assert {path.suffix for path in Path(RULES).iterdir() if path.is_file()} == {".py", ".toml"}
