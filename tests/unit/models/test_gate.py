"""The promotion gate as a table."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest

from features.errors import InvalidInput
from models.experiments.evidence import Evidence, Scores
from models.experiments.gate import GatePolicy, decide, honesty_error
from models.experiments.paired import PairedResult

POLICY = GatePolicy(margin=0.003, max_slice_loss=0.01)
SCORES = Scores(
    n=4000, loss=0.210, ece=0.02, gate_n=1500, gate_claimed=0.780, gate_hit=0.775, gate_coverage=0.375,
    interval_coverage=0.80,
)  # fmt: skip


def compared(low: float, high: float, blocks: int = 160) -> PairedResult:
    return PairedResult((low + high) / 2, low, high, 4000, blocks, 0.05, 0.212, 0.210)


BETTER, EQUAL, VAGUE, WORSE = compared(0.001, 0.003), compared(-0.002, 0.002), compared(-0.02, 0.02), compared(-0.004, -0.001)  # fmt: skip  # noqa: E501


def evidence(comparison: PairedResult = BETTER, *, reason: str = "", **changed: object) -> Evidence:
    return Evidence(
        "nba-win_probability", "version 3", "3", "4", "Brier score", date(2024, 10, 22), date(2025, 4, 13),
        comparison, SCORES, replace(SCORES, **changed), declared_reason=reason, references={"git_sha": "abc"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "action", "says"),
    [
        (evidence(BETTER), "promote", "better than version 3"),
        (evidence(EQUAL), "hold", "undecided"),
        (evidence(EQUAL, reason="28 fresher days"), "promote", "28 fresher days"),
        (evidence(VAGUE, reason="28 fresher days"), "hold", "undecided"),
        (evidence(WORSE), "reject", "worse than version 3"),
        (evidence(WORSE, reason="28 fresher days"), "reject", "worse"),
        (evidence(compared(0.001, 0.003, blocks=9)), "hold", "only 9 dates"),
        (evidence(BETTER, ece=0.09), "hold", "calibration error 0.090"),
        (evidence(BETTER, ece=0.09, n=100), "promote", "better"),
        (evidence(BETTER, gate_hit=0.755), "hold", "0.780 is claimed and 0.755 hit"),
        (evidence(BETTER, gate_hit=0.755, gate_n=200), "promote", "better"),
        (evidence(BETTER, gate_hit=0.650, gate_n=200), "hold", "0.650 hit"),
        (evidence(BETTER, gate_n=0, gate_claimed=None, gate_hit=None), "promote", "better"),
        (evidence(BETTER, interval_coverage=0.76), "hold", "covers 0.760"),
        (evidence(BETTER, interval_coverage=0.84), "hold", "covers 0.840"),
        (evidence(BETTER, interval_coverage=0.775), "promote", "better"),
        (evidence(BETTER, interval_coverage=0.76, interval_coverage_se=0.02), "promote", "better"),
        (evidence(BETTER, gate_coverage=0.29), "hold", "coverage falls from 0.375 to 0.290"),
        (evidence(BETTER, gate_coverage=0.33), "promote", "better"),
        (evidence(BETTER, nan_rate=0.001), "reject", "not finite"),
        (evidence(BETTER, loss=float("nan")), "reject", "not finite"),
        (evidence(compared(float("nan"), float("nan"))), "reject", "not finite"),
        (evidence(EQUAL, reason="fresher", ece=0.09), "hold", "calibration"),
        (evidence(WORSE, ece=0.09), "reject", "worse"),
    ],
)  # fmt: skip
def test_decision_table(found: Evidence, action: str, says: str) -> None:
    decision = decide(found, POLICY)
    assert decision.action == action
    assert says in " | ".join(decision.reasons)
    assert "n=4000" in decision.reasons[-1]


def test_a_slice_that_clearly_loses_holds_and_one_that_may_be_chance_does_not() -> None:
    loses, unsure, slightly = compared(-0.03, -0.01), compared(-0.05, 0.01), compared(-0.009, -0.001)
    assert decide(replace(evidence(), slices={"rookies": loses}), POLICY).action == "hold"
    assert "rookies" in decide(replace(evidence(), slices={"rookies": loses}), POLICY).reasons[0]
    assert decide(replace(evidence(), slices={"rookies": unsure, "home": slightly}), POLICY).action == "promote"


def test_swapping_champion_and_challenger_flips_the_decision() -> None:
    result = BETTER
    flipped = replace(result, estimate=-result.estimate, low=-result.high, high=-result.low)
    assert decide(evidence(result), POLICY).action == "promote"
    assert decide(evidence(flipped), POLICY).action == "reject"


def test_every_breach_is_named() -> None:
    found = evidence(BETTER, ece=0.2, gate_hit=0.5, interval_coverage=0.5, gate_coverage=0.1)
    assert len(decide(found, POLICY).reasons) == 5


def test_the_honesty_limit_is_sharp_only_on_enough_answers() -> None:
    assert honesty_error(replace(SCORES, gate_n=1_200)) < POLICY.max_gate_honesty
    assert honesty_error(replace(SCORES, gate_n=1_100)) > POLICY.max_gate_honesty


def test_evidence_survives_json() -> None:
    found = replace(evidence(), slices={"home": BETTER}, champion_version=None)
    plain = json.loads(json.dumps(found.as_json()))
    assert plain["first_date"] == "2024-10-22"
    assert plain["comparison"]["low"] == 0.001
    assert Evidence.from_json(plain) == found


def test_evidence_that_lacks_a_part_is_named() -> None:
    plain = evidence().as_json()
    del plain["comparison"]
    with pytest.raises(InvalidInput, match="comparison"):
        Evidence.from_json(plain)
