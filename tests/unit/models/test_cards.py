"""Model cards: every family has what its card is made of, and logged numbers find their place."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from models.bundle import Bundle
from models.cards import CardFacts, Decision, Template, card_text, grouped
from models.families import FAMILIES
from models.registry import ModelVersion


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_template(family: str) -> None:
    template = Template.of(family)
    assert template.definition and template.metric and template.horizon in ("micro", "game", "macro")
    assert len(template.made) == 2 and all(len(text) > 20 and "Shape" not in text for text in template.made)
    assert len(template.asked) > 40 and min(template.least_rows) > 0


def test_logged_numbers_are_grouped_by_target_and_moment() -> None:
    found = grouped({
        "home_win_pregame_brier": 0.2, "home_win_pregame_brier_low": 0.19, "home_win_pregame_brier_high": 0.21,
        "home_win_pregame_brier_blocks": 40.0, "home_win_pregame_n": 300.0,
        "next_possession_points_possession_log_loss": 1.1, "over_season_mean_q1_baselines_base_rate_saved": 0.01,
        "train_loss": 0.5, "samples_per_s": 9.0,
    })  # fmt: skip
    assert found == {
        ("home_win", "pregame"): {"brier": (0.2, 0.19, 0.21, 40.0), "n": (300.0, None, None, None)},
        ("next_possession_points", "possession"): {"log_loss": (1.1, None, None, None)},
        ("over_season_mean", "q1"): {"baselines_base_rate_saved": (0.01, None, None, None)},
    }


def facts(family: str, **changed: object) -> CardFacts:
    """Of a version that was held once."""
    bundle = Bundle(
        family, f"simulated-{family}", "simulated", Path("b"), {"features": ["a", "b"], "hidden": 4}, {},
        {"form": "3"}, Template.of(family).definition, {"optimisation": {"learning_rate": 0.01}}, date(2024, 1, 1),
        date(2024, 2, 1), date(2024, 2, 1), datetime(2024, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    part = {"estimate": -0.01, "low": -0.02, "high": -0.001, "n": 150, "blocks": 20}
    evidence = {
        "opponent": "baseline elo", "first_date": "2024-02-02", "last_date": "2024-03-01", "comparison": part,
        "slices": {"playoffs": part},
    }  # fmt: skip
    version = ModelVersion(
        bundle.name, "7", {"git_sha": "c" * 40 + "-dirty", "as_of": "2024-03-01T05:00:00+00:00"}
    )
    decision = Decision("hold", "2024-03-01T09:00+00:00", "learn", ("undecided",), evidence)
    plain: dict[str, object] = {
        "params": {"rows.fit": "1234"},
        "metrics": {},
        "decisions": (decision,),
        "gate": 0.7,
    }
    return CardFacts(Template.of(family), version, False, bundle, **{**plain, **changed})  # type: ignore[arg-type]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_card_tells_state_evidence_limits_and_how_to_reproduce(family: str) -> None:
    text = card_text(facts(family), ["| walk | forward |"])
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings == [
        "Definition", "How it is made, and why this model was kept", "Data and dates", "Features", "Parameters",
        "Metrics on games it never saw", "Evidence of its promotion", "Walk forward", "Limits", "How to reproduce",
    ]  # fmt: skip
    assert "**Version 7** (no champion yet" in text and "form 3" in text and "| rows to fit | 1,234 |" in text
    assert "hold by learn: undecided" in text and "playoffs (by 0.0100, n=150)" in text
    assert "simulated: these figures say nothing about real games" in text.replace("The league is ", "")
    assert f"fantasy train {family} --source simulated --through 2024-03-01" in text and "not committed" in text
    assert "| walk | forward |" in text
    assert "no decision about this version" in card_text(facts(family, decisions=()))
