"""Every built-in contest: a lineup made for it is legal, uploads and reads back; every rule it has is enforced."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from features.contests import Contest, check_lineup, known_contests, load_contest
from features.contests.contest import Slot
from features.contests.table import contests_table
from features.slate import Slate, SlatePlayer
from features.sources.csv_text import read_csv_text
from features.sources.upload import find_upload_header, read_upload, upload_text

EVERY = [load_contest(*key) for key in known_contests()]
SPORTS = ("nba", "wnba", "nfl", "mlb", "nhl", "pga", "mma", "soc", "nascar", "lol", "cfb")


@dataclass(frozen=True)
class Pick:
    id: str
    slot: str


@dataclass(frozen=True)
class Picks:
    players: tuple[Pick, ...]


def named(contest: Contest) -> str:
    return contest.name


def price(contest: Contest) -> int:
    """Salary at which a full lineup costs no more than the cap."""
    if contest.salary_cap_usd is None:
        return 0
    return int(contest.salary_cap_usd / sum(slot.salary_multiplier for slot in contest.slots))


def slate_of(contest: Contest) -> tuple[Slate, Picks]:
    """One player per slot, everyone from a game of his own, and the lineup of all of them."""
    players = tuple(
        SlatePlayer(
            site_id=str(i),
            name=f"Player {i}",
            positions=(sorted(slot.positions)[0],),
            salary_usd=price(contest),
            team=f"T{i}",
            opponent=f"O{i}",
            is_home=False,
            average_points=1.0,
            upload_name=f"Player {i} ({i})",
            person=f"player {i}",
        )
        for i, slot in enumerate(contest.slots)
    )
    slate = Slate("s", contest.site, contest.sport, contest.mode, None, (), players)
    return slate, Picks(tuple(Pick(str(i), slot.name) for i, slot in enumerate(contest.slots)))


def with_teams(slate: Slate, pairs: list[tuple[str, str]]) -> Slate:
    """The slate with (team, opponent) of each player; the last pair goes to all who are left."""
    padded = pairs + [pairs[-1]] * (len(slate.players) - len(pairs))
    return replace(
        slate,
        players=tuple(
            replace(p, team=team, opponent=opponent)
            for p, (team, opponent) in zip(slate.players, padded, strict=True)
        ),
    )


def problem(lineup: Picks, slate: Slate, contest: Contest) -> str:
    return "; ".join(check_lineup(lineup, slate, contest))


def test_every_site_has_the_sports_it_offers() -> None:
    kept = {(c.site, c.sport) for c in EVERY}
    assert {sport for site, sport in kept if site == "draftkings"} >= set(SPORTS)
    assert {sport for site, sport in kept if site == "fanduel"} >= set(SPORTS) - {"soc", "lol"}
    assert {sport for site, sport in kept if site == "yahoo"} >= {"nba", "nfl", "mlb", "nhl", "pga"}
    modes = {(c.site, c.sport) for c in EVERY if c.mode == "showdown"}
    assert modes == {("draftkings", s) for s in ("nba", "wnba", "nfl", "mlb", "nhl", "cfb", "soc", "pga")}
    assert {c.sport for c in EVERY if c.mode == "single_game"} == {"nba", "nfl", "cfb", "mlb"}


@pytest.mark.parametrize("contest", EVERY, ids=named)
def test_a_lineup_made_for_it_is_legal_uploads_and_reads_back(contest: Contest) -> None:
    slate, lineup = slate_of(contest)
    assert check_lineup(lineup, slate, contest) == ()
    text = upload_text([lineup, lineup], slate, contest)
    rows = text.splitlines()
    assert rows[0].split(",") == list(contest.upload_header)
    cell = "Player 0 (0)" if contest.upload_cell == "name_and_id" else "0"
    assert rows[1].split(",")[0] == cell
    again = read_upload(text.encode(), slate, contest)
    assert [[(p.id, p.slot) for p in one.players] for one in again] == [
        [(p.id, p.slot) for p in lineup.players]
    ] * 2
    assert find_upload_header(read_csv_text(text.encode()), contest) == (0, tuple(range(contest.lineup_size)))


@pytest.mark.parametrize("contest", EVERY, ids=named)
def test_its_slots_and_cap_bind(contest: Contest) -> None:
    slate, lineup = slate_of(contest)
    first, *rest = lineup.players
    assert "missing" in problem(Picks(tuple(rest)), slate, contest)
    stranger = replace(slate, players=(replace(slate.players[0], positions=("NONE",)), *slate.players[1:]))
    assert f"cannot fill slot {first.slot}" in problem(lineup, stranger, contest)
    twice = replace(slate, players=(replace(slate.players[0], person="player 1"), *slate.players[1:]))
    assert "player 1 is used 2 times" in problem(lineup, twice, contest)
    if contest.salary_cap_usd is None:
        dear = replace(slate, players=tuple(replace(p, salary_usd=99_900) for p in slate.players))
        assert check_lineup(lineup, dear, contest) == ()
        return
    room = contest.salary_cap_usd - price(contest) * sum(s.salary_multiplier for s in contest.slots)
    over = price(contest) + int(room) + 1
    assert "above the cap" in problem(
        lineup, replace(slate, players=(replace(slate.players[0], salary_usd=over), *slate.players[1:])), contest
    )


@pytest.mark.parametrize("contest", [c for c in EVERY if c.max_per_team < c.lineup_size], ids=named)
def test_its_team_limit_binds(contest: Contest) -> None:
    slate, lineup = slate_of(contest)
    full = [("AAA", "BBB")] * contest.max_per_team
    alone = [(f"T{i}", f"O{i}") for i in range(contest.lineup_size)]
    assert f"players of AAA, at most {contest.max_per_team}" not in problem(
        lineup, with_teams(slate, full + alone[len(full) :]), contest
    )
    more = [*full, ("AAA", "BBB")]
    assert f"{contest.max_per_team + 1} players of AAA, at most {contest.max_per_team}" in problem(
        lineup, with_teams(slate, more + alone[len(more) :]), contest
    )


@pytest.mark.parametrize("contest", [c for c in EVERY if c.min_teams > 1], ids=named)
def test_it_asks_for_enough_teams(contest: Contest) -> None:
    slate, lineup = slate_of(contest)
    few = [(f"T{i}", f"O{i}") for i in range(contest.min_teams - 1)]
    assert f"of {contest.min_teams - 1} teams, at least {contest.min_teams} needed" in problem(
        lineup, with_teams(slate, few), contest
    )


@pytest.mark.parametrize("contest", [c for c in EVERY if c.min_games > 1], ids=named)
def test_it_asks_for_enough_games(contest: Contest) -> None:
    slate, lineup = slate_of(contest)
    one_game = [("AAA", "BBB"), ("BBB", "AAA")] * contest.lineup_size
    assert "players of 1 games, at least 2 needed" in problem(
        lineup, with_teams(slate, one_game[: contest.lineup_size]), contest
    )


@pytest.mark.parametrize("contest", [c for c in EVERY if c.team_limits], ids=named)
def test_hitters_of_one_team_are_limited_and_pitchers_are_not(contest: Contest) -> None:
    slate, lineup = slate_of(contest)
    (limit,) = contest.team_limits
    assert limit.at_most == {"draftkings": 5, "fanduel": 4}[contest.site]
    pitchers = sum(slot.name == "P" for slot in contest.slots)
    for hitters in (limit.at_most, limit.at_most + 1):
        pairs = [("AAA", "BBB")] * (1 if contest.site == "fanduel" else pitchers)
        pairs += [(f"P{i}", f"Q{i}") for i in range(pitchers - len(pairs))]
        pairs += [("AAA", "BBB")] * hitters
        pairs += [(f"T{i}", f"O{i}") for i in range(contest.lineup_size - len(pairs))]
        told = problem(lineup, with_teams(slate, pairs), contest)
        assert (f"{hitters} players (1B/2B/3B/C/OF/SS) of AAA" in told) == (hitters > limit.at_most), told
        assert (told == "") == (hitters == limit.at_most)


@pytest.mark.parametrize("contest", [c for c in EVERY if c.max_per_game], ids=named)
def test_two_who_fight_each_other_exclude_one_another(contest: Contest) -> None:
    assert contest.sport == "mma"
    slate, lineup = slate_of(contest)
    bout = [("SMITH", "JONES"), ("JONES", "SMITH"), *[(f"T{i}", f"O{i}") for i in range(4)]]
    assert "2 players of the game JONES@SMITH, at most 1 allowed" in problem(
        lineup, with_teams(slate, bout), contest
    )


def test_goalies_do_not_count_towards_the_teams_of_draftkings_hockey() -> None:
    contest = load_contest("draftkings", "nhl")
    slate, lineup = slate_of(contest)
    goalie = next(i for i, slot in enumerate(contest.slots) if slot.name == "G")
    pairs = [(("AAA", "BBB"), ("CCC", "DDD"))[i % 2] for i in range(9)]
    pairs[goalie] = ("EEE", "FFF")
    assert "players (C/D/W) of 2 teams, at least 3 needed" in problem(lineup, with_teams(slate, pairs), contest)
    pairs[0] = ("GGG", "HHH")
    assert problem(lineup, with_teams(slate, pairs), contest) == ""


@pytest.mark.parametrize(
    ("key", "slots"),
    [
        (("draftkings", "nfl", "showdown"), [("CPT", 1.5, 1.0), *[("FLEX", 1.0, 1.0)] * 5]),
        (("draftkings", "nba", "showdown"), [("CPT", 1.5, 1.0), *[("UTIL", 1.0, 1.0)] * 5]),
        (("fanduel", "nba", "single_game"),
         [("MVP", 2.0, 1.0), ("STAR", 1.5, 1.0), ("PRO", 1.2, 1.0), *[("UTIL", 1.0, 1.0)] * 2]),
        (("fanduel", "mlb", "single_game"), [("MVP", 2.0, 1.0), ("STAR", 1.5, 1.0), *[("UTIL", 1.0, 1.0)] * 3]),
        (("fanduel", "nfl", "single_game"), [("MVP", 1.5, 1.0), *[("AnyFLEX", 1.0, 1.0)] * 4]),
        (("fanduel", "nfl", "single_game_6"), [("MVP", 1.5, 1.5), *[("AnyFLEX", 1.0, 1.0)] * 5]),
    ],
)  # fmt: skip
def test_captains_multiply(key: tuple[str, str, str], slots: list[tuple[str, float, float]]) -> None:
    def terms(slot: Slot) -> tuple[str, float, float]:
        return slot.name, slot.points_multiplier, slot.salary_multiplier

    assert [terms(slot) for slot in load_contest(*key).slots] == slots


def test_an_mvp_pays_his_own_price() -> None:
    contest = load_contest("fanduel", "nfl", "single_game_6")
    slate, lineup = slate_of(contest)
    priced = replace(slate, players=tuple(replace(p, salary_usd=9200) for p in slate.players))
    assert check_lineup(lineup, priced, contest) == (), "6.5 salaries of $9,200 are $59,800"
    dear = replace(priced, players=(replace(priced.players[0], salary_usd=9400), *priced.players[1:]))
    assert check_lineup(lineup, dear, contest) == ("salary 60100 is above the cap 60000",)


def test_the_page_shows_every_contest_as_it_is(repository: Path) -> None:
    page = (repository / "docs" / "contests.md").read_text(encoding="utf-8")
    assert contests_table(EVERY) in page
