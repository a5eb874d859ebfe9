"""Rules from a file and from words: names become ids, words win over the file, and mistakes are named."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.errors import InvalidInput
from features.slate import Slate, SlateGame, SlatePlayer
from flows.rules_file import PlayerRules, find_player, parse_stack, read_rules
from models.lineups.rules import Group, LineupRules, Objective, TeamStack

NAMES = ("Nikola Jokić", "Luka Dončić", "Jalen Williams", "Jaylin Williams", "Bogdan Bogdanović")


def row(number: int, name: str, team: str, *, person: str = "", position: str = "PG") -> SlatePlayer:
    return SlatePlayer(str(100 + number), name, (position,), 5000, team, "LAL", True, 20.0, person=person)


@pytest.fixture
def slate() -> Slate:
    players = [row(n, name, "DAL") for n, name in enumerate(NAMES)]
    players += [row(10, "Same Name", "DAL", person="a"), row(11, "Same Name", "LAL", person="b")]
    game = SlateGame("LAL", "DAL", datetime(2024, 12, 15, tzinfo=UTC))
    return Slate("s", "draftkings", "nba", "classic", None, (game,), tuple(players))


@pytest.fixture
def showdown(slate: Slate) -> Slate:
    players = [row(1, "Luka Doncic", "DAL", person="luka", position="CPT"),
               row(2, "Luka Doncic", "DAL", person="luka", position="UTIL"),
               row(3, "Kyrie Irving", "DAL", person="ky", position="CPT"),
               row(4, "Kyrie Irving", "DAL", person="ky", position="UTIL")]  # fmt: skip
    return replace(slate, mode="showdown", players=tuple(players))


def test_names_and_ids_mean_the_same(slate: Slate) -> None:
    assert find_player(slate, "luka doncic", "--lock") == ("101",)
    assert find_player(slate, " 101 ", "--lock") == ("101",)
    with pytest.raises(
        InvalidInput, match=r"--lock 'Luka Doncik' is not on this slate; did you mean 'Luka Doncic'"
    ):
        find_player(slate, "Luka Doncik", "--lock")
    with pytest.raises(InvalidInput, match=r"names 2 players; use an id: 110 \(DAL\), 111 \(LAL\)"):
        find_player(slate, "Same Name", "--exclude")
    with pytest.raises(InvalidInput, match="not on this slate"):
        find_player(slate, "", "--lock")


def test_words_become_rules(slate: Slate) -> None:
    rules = PlayerRules(
        n=20, lock=("Luka Doncic",), exclude=("nikola jokic",), max_exposure=("0.5", "Jalen Williams=0.3"),
        min_exposure=("Jaylin Williams=0.2",), min_salary_usd=49_000, min_unique=3, stack=("3", "2:dal+1"),
        objective="ceiling", randomness=0.25, leverage=2.0, seed=7,
    ).resolve(slate)  # fmt: skip
    assert rules == LineupRules(
        n=20, locked=frozenset({"101"}), excluded=frozenset({"100"}), max_exposure=0.5,
        player_max_exposure={"102": 0.3}, player_min_exposure={"103": 0.2}, min_salary_usd=49_000, min_unique=3,
        stacks=(TeamStack(3), TeamStack(2, teams=frozenset({"DAL"}), bring_back=1)),
        objective=Objective("ceiling", leverage=2.0, randomness=0.25, seed=7),
    )  # fmt: skip
    assert PlayerRules().resolve(slate) == LineupRules()


TOML = """
n = 5
max_exposure = 0.6
locked = ["Luka Doncic"]
excluded = ["102"]
min_salary_usd = 40000

[player_max_exposure]
"Nikola Jokic" = 0.4

[objective]
measure = "floor"
seed = 3

[[groups]]
name = "one big"
players = ["Nikola Jokic", "Luka Doncic"]
at_most = 1

[[conditions]]
when = ["Jaylin Williams"]
then = ["bogdan bogdanovic"]

[[stacks]]
size = 3
"""


@pytest.mark.parametrize("kind", ["toml", "json"])
def test_a_file_says_the_same_as_toml_and_json_and_words_win(slate: Slate, tmp_path: Path, kind: str) -> None:
    import tomllib

    path = tmp_path / f"rules.{kind}"
    path.write_text(TOML if kind == "toml" else json.dumps(tomllib.loads(TOML)), encoding="utf-8")
    document = read_rules(path)
    rules = PlayerRules(file=document).resolve(slate)
    assert rules.n == 5 and rules.max_exposure == 0.6 and rules.min_salary_usd == 40_000
    assert rules.locked == {"101"} and rules.excluded == {"102"} and rules.player_max_exposure == {"100": 0.4}
    assert rules.groups == (Group("one big", frozenset({"100", "101"}), at_most=1),)
    assert rules.conditions[0].when == {"103"} and rules.conditions[0].then == {"104"}
    assert rules.objective == Objective("floor", seed=3) and rules.stacks == (TeamStack(3),)
    said = PlayerRules(
        n=9, lock=("104",), max_exposure=("0.9",), stack=("4",), objective="mean", file=document
    ).resolve(slate)
    assert said.n == 9 and said.max_exposure == 0.9 and said.locked == {"101", "104"}
    assert said.objective == Objective("mean", seed=3) and len(said.stacks) == 2
    assert read_rules(path) == document, "resolving must not change the document"
    assert PlayerRules(file=document).resolve(slate) == rules


def test_a_name_in_showdown_means_the_person_on_either_row(showdown: Slate) -> None:
    rules = PlayerRules(
        lock=("Luka Doncic",), exclude=("Kyrie Irving",), max_exposure=("Luka Doncic=0.5",),
        file={"locked": ["101"]},
    ).resolve(showdown)  # fmt: skip
    both = frozenset({"101", "102"})
    assert rules.locked == {"101"} and rules.excluded == {"103", "104"}
    assert Group("lock Luka Doncic", both, at_least=1) in rules.groups
    assert Group("Luka Doncic", both, max_exposure=0.5) in rules.groups


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"max_exposure": ("lots",)}, "--max-exposure 'lots'"),
        ({"max_exposure": ("Luka Doncic=0",)}, "--exclude leaves him out"),
        ({"min_exposure": ("0.2",)}, "says nobody"),
        ({"min_exposure": ("Luka Doncic=1.2",)}, "share of lineups"),
        ({"min_exposure": ("Lukka=0.2",)}, "--min-exposure 'Lukka'"),
        ({"stack": ("many",)}, "SIZE"),
        ({"stack": ("3:BOS",)}, "BOS plays in no game"),
        ({"objective": "luck"}, "objective"),
        ({"file": {"lock": ["Luka Doncic"]}}, "lock is no rule"),
        ({"file": {"locked": "Luka Doncic"}}, "locked"),
        ({"file": {"locked": ["Luka Doncik"]}}, "rules field locked 'Luka Doncik'"),
        ({"file": {"excluded": {"a": 1}}, "exclude": ("101",)}, "excluded"),
        ({"file": {"groups": [{"name": "g", "players": ["Nobody Here"]}]}}, "groups.0.players 'Nobody Here'"),
        ({"file": {"player_max_exposure": {"Nobody Here": 0.5}}}, "player_max_exposure 'Nobody Here'"),
        ({"file": {"stacks": 3}, "stack": ("3",)}, "stacks"),
    ],
)
def test_mistakes_are_named(slate: Slate, words: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        PlayerRules(**words).resolve(slate)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("r.toml", b"n = = 3", "neither TOML nor"),
        ("r.json", b"{cut", "neither TOML nor"),
        ("r.json", b"[1]", "holds a list"),
        ("r.toml", b"\xff\xfe\x00", "neither TOML nor"),
        ("r.toml", b"#" * 1_000_001, "longer than 1,000,000 bytes"),
    ],
)
def test_a_spoilt_rules_file_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        read_rules(path)
    assert said in str(caught.value) and name in str(caught.value)


def test_a_missing_rules_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.toml cannot be read"):
        read_rules(tmp_path / "nowhere.toml")


def test_stacks_read_as_written(slate: Slate) -> None:
    assert parse_stack("5", slate) == {"size": 5}
    assert parse_stack("4:lal+2", slate) == {"size": 4, "teams": ["LAL"], "bring_back": 2}
    assert parse_stack("3+1", slate) == {"size": 3, "bring_back": 1}


def test_the_documented_example_is_what_the_optimizer_reads() -> None:
    text = (Path(__file__).parents[3] / "docs" / "lineups.md").read_text(encoding="utf-8")
    example = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert example is not None
    names = ("LeBron James", "Nikola Jokic", "Jamal Murray", "Michael Porter Jr.", "Jusuf Nurkic")
    players = tuple(row(n, name, "DEN") for n, name in enumerate(names))
    slate = Slate("s", "draftkings", "nba", "classic", None, (SlateGame("LAL", "DEN", None),), players)
    rules = PlayerRules(file=tomllib.loads(example[1])).resolve(slate)
    assert rules.excluded == {"100"}
    assert rules.player_min_exposure == {"102": 0.2}
    assert rules.groups[0].players == {"101", "104"}
    assert rules.stacks[0].bring_back == 1
    assert rules.ownership is not None and rules.ownership.max_total == 1.8
