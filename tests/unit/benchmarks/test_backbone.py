"""The benchmarked sequence backbone: it sees the past only, repeats itself, and learns; and the rule that judges it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from benchmarks.backbone.encoder import Backbone, EncoderConfig, Inputs, SequenceEncoder, encode
from benchmarks.backbone.learn import Asked, Lesson, Steps, answers, learn, losses
from benchmarks.backbone.tokens import (
    NOBODY,
    UNKNOWN,
    VALUES,
    Tokens,
    Vocabulary,
    fives_at_start,
    ids_of,
    pack,
    token_rows,
)
from benchmarks.backbone.verdict import verdict
from features.errors import SchemaError
from features.play.moments import named_moments
from features.play.plays import COLUMNS, recorded_plays
from features.sources.simulated import SimulatedSource
from models.device import one_thread
from models.possession.config import CLASSES

GAMES = 6
WORDS = ("number", "began", "ended", "home_five", "away_five")


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """Small matrices on a busy machine: threads would only wait for one another."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def plays() -> pl.DataFrame:
    """The first GAMES games of a simulated season."""
    day = date(2023, 10, 27)
    source = SimulatedSource(20261123, [2023], day)
    until = datetime(2023, 10, 27, tzinfo=UTC)
    batches = source.batches(as_of=until, seasons=None, cursors={})
    rows = next(b.frame for b in batches if b.table == "pbp").select(COLUMNS).sort("game_id", "seq")
    return rows.filter(pl.col("game_id").rank("dense") <= GAMES)


@pytest.fixture(scope="module")
def quarter(plays: pl.DataFrame) -> pl.DataFrame:
    """The first quarters, and the beginning of the second."""
    return plays.filter(pl.col("elapsed_s") < 800)


@pytest.fixture(scope="module")
def vocabulary(plays: pl.DataFrame) -> Vocabulary:
    return Vocabulary.of(token_rows(plays), least=20)


@pytest.fixture(scope="module")
def tokens(quarter: pl.DataFrame, vocabulary: Vocabulary) -> Tokens:
    return pack(token_rows(quarter), vocabulary)


@pytest.fixture(scope="module")
def lesson(quarter: pl.DataFrame, tokens: Tokens, vocabulary: Vocabulary) -> Lesson:
    """One moment a game with a made-up result, and every possession with made-up points."""
    rng = np.random.default_rng(3)
    place = {game: row for row, game in enumerate(tokens.games)}
    moments = named_moments(quarter)
    margin = moments["game_id"].replace_strict(place, return_dtype=pl.Int64) * 7 % 5 - 2.0
    anchor = np.tile(np.array([0.0, 0.0, 13.0], np.float32), (moments.height, 1))
    labels = np.stack([(margin > 0).to_numpy(), 9 * margin.to_numpy()], axis=1).astype(np.float32)
    features = rng.normal(size=(moments.height, 3)).astype(np.float32)
    game = moments["game_id"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
    win = Asked(game, tokens.known(moments), features, anchor, labels)
    rows = token_rows(quarter).select("game_id", "number").join(fives_at_start(quarter), on=["game_id", "number"])
    fives = vocabulary.rows_of(np.hstack([ids_of(rows[f"{side}_five"]) for side in ("offence", "defence")]))
    points = rng.integers(0, CLASSES, (rows.height, 1)).astype(np.float32)
    of = rows["game_id"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
    features, anchor = rng.normal(size=(rows.height, 2)), np.zeros((rows.height, CLASSES))
    known = rows["number"].cast(pl.Int64).to_numpy()
    possession = Asked(of, known, features.astype(np.float32), anchor.astype(np.float32), points, fives)
    return Lesson(tokens, win, possession)


def encoder_of(vocabulary: Vocabulary) -> SequenceEncoder:
    torch.manual_seed(5)
    return SequenceEncoder(EncoderConfig(vocabulary.size, hidden=12, embedding=4)).eval()


def known_at(plays: pl.DataFrame, seq: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The plays of one game up to `seq`, and the moment after them."""
    past = plays.filter(pl.col("seq") <= seq)
    return past, past.tail(1).select("game_id", "seq", pl.col("elapsed_s").cast(pl.Float64))


def test_a_game_in_progress_has_the_tokens_that_are_known_then(plays: pl.DataFrame) -> None:
    """At every fifth play of two games: the tokens so far are those of the whole game that count as known."""
    compared = 0
    for game in plays["game_id"].unique().sort().head(2):
        one = plays.filter(pl.col("game_id") == game).sort("seq")
        whole = token_rows(one)
        everything = pack(whole, Vocabulary(()))
        for seq in range(4, one.height, 5):
            past, moment = known_at(one, seq)
            known = int(everything.known(moment)[0])
            so_far = token_rows(past)
            assert_same(so_far.head(known), whole.head(known))
            assert int(pack(so_far, Vocabulary(())).known(moment)[0]) >= known
            compared += known
    assert compared > 10_000


def assert_same(left: pl.DataFrame, right: pl.DataFrame) -> None:
    """The same tokens, but for the last bit of a division."""
    assert left.select(WORDS).equals(right.select(WORDS))
    np.testing.assert_allclose(left.select(VALUES).to_numpy(), right.select(VALUES).to_numpy(), rtol=1e-12)


def test_later_plays_move_no_earlier_state(plays: pl.DataFrame, vocabulary: Vocabulary) -> None:
    one = plays.filter(pl.col("game_id") == pl.col("game_id").first()).sort("seq")
    encoder = encoder_of(vocabulary)
    tokens, states = encode(encoder, one, vocabulary)
    for seq in (30, 77, 140, 300):
        _, moment = known_at(one, seq)
        known = int(tokens.known(moment)[0])
        later = pl.col("seq") > seq
        edited = one.with_columns(
            pl.when(later).then(pl.col(name) + 30_000).otherwise(pl.col(name)).alias(name)
            for name in ("home_score", "away_score")
        ).with_columns(
            pl.when(later).then(pl.lit("1|2|3|4|5")).otherwise("home_lineup").alias("home_lineup"),
            pl.when(later & (pl.col("points") > 0)).then(pl.lit(9)).otherwise("points").cast(pl.Int8).alias("points"),
        )  # fmt: skip
        _, other = encode(encoder, edited, vocabulary)
        assert known > 5
        np.testing.assert_array_equal(other[0, : known + 1], states[0, : known + 1])
        assert np.abs(other[0, known + 3 :] - states[0, known + 3 :]).max() > 0.1


def test_later_tokens_edited_by_a_million_move_no_earlier_output(tokens: Tokens, vocabulary: Vocabulary) -> None:
    encoder, inputs = encoder_of(vocabulary), Inputs.of(tokens)
    with torch.inference_mode():
        states = encoder(inputs)
        for at in (0, 1, 20, 40):
            values, kinds, players = inputs.values.clone(), inputs.kinds.clone(), inputs.players.clone()
            values[:, at:] += 1e6
            kinds[:, at:] = 1
            players[:, at:] = UNKNOWN
            other = encoder(Inputs(values, kinds, players))
            assert torch.equal(other[:, : at + 1], states[:, : at + 1])
            assert not torch.isclose(other[:, at + 1], states[:, at + 1]).all(dim=-1).any()


def test_padding_changes_nothing(tokens: Tokens, vocabulary: Vocabulary) -> None:
    encoder = encoder_of(vocabulary)
    shortest = int(np.argmin(tokens.lengths))
    length = int(tokens.lengths[shortest])
    assert length < tokens.lengths.max()
    with torch.inference_mode():
        together = encoder(Inputs.of(tokens))[shortest, : length + 1]
        by_itself = encoder(Inputs.of(tokens, np.array([shortest])))[0]
    assert by_itself.shape[0] == length + 1
    np.testing.assert_allclose(together.numpy(), by_itself.numpy(), rtol=1e-5, atol=1e-6)


def test_unknown_players_share_a_row_and_nobody_has_none(vocabulary: Vocabulary) -> None:
    rows = vocabulary.rows_of(np.array([[vocabulary.ids[3], 999_999, 888_888, -1]]))
    assert rows.tolist() == [[3 + 2, UNKNOWN, UNKNOWN, NOBODY]]
    assert Vocabulary(()).rows_of(np.array([7, -1])).tolist() == [UNKNOWN, NOBODY]
    fives = encoder_of(vocabulary).fives(torch.tensor([[NOBODY] * 5 + [UNKNOWN] * 5]))
    assert torch.equal(fives[0, 0], torch.zeros(4)) and fives[0, 1].abs().sum() > 0


def test_games_of_strangers_and_without_line_ups_have_finite_states(
    plays: pl.DataFrame, vocabulary: Vocabulary
) -> None:
    encoder = encoder_of(vocabulary)
    strangers = plays.with_columns(pl.lit("9001|9002|9003|9004|9005").alias("home_lineup"))
    unnamed = plays.with_columns(pl.lit(None, pl.String).alias(side) for side in ("home_lineup", "away_lineup"))
    for game in (strangers, unnamed):
        tokens, states = encode(encoder, game, vocabulary)
        assert len(tokens.games) == GAMES and np.isfinite(states).all()
    assert (pack(token_rows(unnamed), vocabulary).players == NOBODY).all()


def test_a_share_of_players_is_forgotten_in_training_only(tokens: Tokens, vocabulary: Vocabulary) -> None:
    encoder, players = encoder_of(vocabulary), Inputs.of(tokens).players
    assert torch.equal(encoder.forgotten(players), players)
    torch.manual_seed(1)
    told = encoder.train().forgotten(players)
    gone = set(players[told != players].tolist())
    assert gone and gone < set(players.unique().tolist())
    assert not any((told == player).any() for player in gone - {UNKNOWN})
    assert torch.equal(told == NOBODY, players == NOBODY)


def test_every_parameter_gets_a_gradient(lesson: Lesson, vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    network = Backbone(EncoderConfig(vocabulary.size, hidden=12, embedding=4, forgotten=0.3), 3, 2)
    sum(losses(network, lesson, np.arange(GAMES)), torch.zeros(())).backward()
    still = [name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()]
    assert still == []


def test_one_batch_is_learned_by_heart(lesson: Lesson, vocabulary: Vocabulary) -> None:
    """Random points of possessions and made-up results: only memory can tell them."""
    config = EncoderConfig(vocabulary.size, hidden=32, embedding=4, dropout=0.0, forgotten=0.0)
    steps = Steps(games=GAMES, epochs=100, patience=100, learning_rate=0.02, weight_decay=0.0)
    learned = learn(lesson, lesson, config, steps)
    first, last = learned.curve[0], learned.curve[learned.best_epoch]
    assert last["stop_possession"] < 0.6 * first["stop_possession"]
    assert last["stop_win"] < 0.3 * first["stop_win"]


def test_the_same_seed_gives_the_same_weights(lesson: Lesson, vocabulary: Vocabulary) -> None:
    config = EncoderConfig(vocabulary.size, hidden=12, embedding=4)
    runs = [learn(lesson, lesson, config, Steps(seed=seed, games=2, epochs=2)) for seed in (7, 7, 8)]
    states = [run.network.state_dict() for run in runs]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert runs[0].curve == runs[1].curve
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def test_answers_come_in_the_order_asked(lesson: Lesson, vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    network = Backbone(EncoderConfig(vocabulary.size, hidden=12, embedding=4), 3, 2)
    order = np.random.default_rng(1).permutation(len(lesson.win.game))
    win = lesson.win
    mixed = Asked(win.game[order], win.known[order], win.features[order], win.anchor[order], win.labels[order])
    straight, _ = answers(network, lesson, step=4)
    turned, _ = answers(network, Lesson(lesson.tokens, mixed, lesson.possession))
    np.testing.assert_allclose(turned, straight[order], rtol=1e-5, atol=1e-6)


def test_missing_columns_are_named(quarter: pl.DataFrame) -> None:
    with pytest.raises(SchemaError, match="home_lead"):
        pack(token_rows(quarter).drop("home_lead"), Vocabulary(()))


@pytest.mark.parametrize(("worse", "kept"), [(0.0, "simple"), (0.05, "ships")])
def test_the_simplest_that_is_not_significantly_worse_is_kept(worse: float, kept: str) -> None:
    rng = np.random.default_rng(0)
    dates = np.repeat(np.arange(100), 8)
    noise = rng.normal(0.2, 0.1, len(dates))
    told = {
        "simple": noise + worse + rng.normal(0, 0.05, len(dates)),
        "ships": noise + 0.001 + rng.normal(0, 0.05, len(dates)), "rival": noise,
    }  # fmt: skip
    found = verdict(told, dates, shipped="ships", seed=1, n_boot=500)
    assert found["kept"] == kept and found["n"] == 800 and found["dates"] == 100
    assert set(found["models"]["rival"]) >= {"loss", "saved"} and "saved" not in found["models"]["ships"]
    lowest = min(entry["loss"] for entry in found["models"].values())
    assert found["models"][found["best"]]["loss"] == lowest


@pytest.mark.real_data
def test_real_tokens_are_known_in_time_and_add_up(fantasy_data: Path) -> None:
    """Twenty real games: points add up to the final score, and cutting a game short changes no known token."""
    season = recorded_plays(fantasy_data).read(2021)
    games = season["game_id"].unique().sort().head(20)
    plays = season.filter(pl.col("game_id").is_in(games.implode()))
    whole = token_rows(plays)
    ends = plays.group_by("game_id").agg(pl.col("home_score", "away_score").max()).sort("game_id")
    sums = whole.group_by("game_id").agg(pl.col("home_points", "away_points").sum() * 3).sort("game_id")
    np.testing.assert_allclose(sums["home_points"].to_numpy(), ends["home_score"].to_numpy())
    np.testing.assert_allclose(sums["away_points"].to_numpy(), ends["away_score"].to_numpy())
    for seq in (60, 155, 301, 390):
        past = plays.filter(pl.col("seq") <= seq)
        moments = past.sort("game_id", "seq").group_by("game_id", maintain_order=True).last()
        known = dict(zip(moments["game_id"], pack(whole, Vocabulary(())).known(moments), strict=True))
        so_far = token_rows(past)
        for game, count in known.items():
            of_game = pl.col("game_id") == game
            then, later = (rows.filter(of_game).head(int(count)) for rows in (so_far, whole))
            assert_same(then, later)
    assert min(known.values()) > 50
