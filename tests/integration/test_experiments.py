"""Arms of an experiment: served to who names itself, recorded once a day, and judged by their split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest

from features.stores.database import Database
from features.stores.exposures import ExposedArms, Exposure, exposed_arms, save_exposures
from features.stores.schema import ExperimentExposure
from models.experiments.assignment import Experiment, unit_hash
from models.experiments.health import health_of
from models.registry import CHALLENGER
from serving import telemetry
from serving.recorder import Recorder
from tests.fixtures.serving import Published, eventually, ready, serving

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


def exposure(experiment: str, unit: str, arm: str, at: datetime = NOON) -> Exposure:
    """A unit's exposure to one of two even arms."""
    context = {"shares": {"champion": 0.5, "challenger": 0.5}}
    return Exposure(experiment, 1, unit_hash(unit), arm, 0, at, context)


def found(database: Database, experiment: str) -> ExposedArms:
    """What is recorded of one experiment."""
    (arms,) = [each for each in exposed_arms(database) if each.experiment == experiment]
    return arms


def test_a_unit_counts_once_in_an_arm_and_a_day(database: Database) -> None:
    name = f"test-{uuid4().hex}"
    for _ in range(2):
        save_exposures(database, [exposure(name, "ada", "champion"), exposure(name, "bob", "challenger")])
    save_exposures(database, [exposure(name, "ada", "champion", NOON + timedelta(days=1))])
    with database.session() as session:
        assert session.query(ExperimentExposure).filter_by(experiment=name).count() == 3
    arms = found(database, name)
    assert arms.units == {"champion": 1, "challenger": 1} and arms.seen_in_several == 0
    assert (arms.first, arms.last) == (NOON, NOON + timedelta(days=1))
    assert health_of(arms).healthy is None  # two units tell nothing


def test_a_broken_split_and_units_in_two_arms_are_seen(database: Database) -> None:
    name = f"test-{uuid4().hex}"
    save_exposures(database, [exposure(name, f"u{k}", "champion" if k % 4 else "challenger") for k in range(400)])
    broken = health_of(found(database, name))
    assert broken.healthy is False and broken.ratio.p_value < 0.001 and broken.several_share == 0
    fair = f"test-{uuid4().hex}"
    save_exposures(database, [exposure(fair, f"u{k}", ("champion", "challenger")[k % 2]) for k in range(400)])
    assert health_of(found(database, fair)).healthy is True
    save_exposures(database, [exposure(fair, f"u{k}", "champion") for k in range(1, 40, 2)])
    twice = health_of(found(database, fair))
    assert twice.healthy is False and twice.several_share == pytest.approx(20 / 400)


def test_an_arm_nobody_met_counts_as_zero(database: Database) -> None:
    name = f"test-{uuid4().hex}"
    save_exposures(database, [exposure(name, f"u{k}", "champion") for k in range(40)])
    arms = found(database, name)
    assert arms.units == {"champion": 40, "challenger": 0} and health_of(arms).healthy is False


def test_an_exposure_that_cannot_be_written_is_counted_and_tried_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.recorder.RETRY_S", 0.01)
    name = f"test-{uuid4().hex}"
    away = Database("postgresql+psycopg://postgres@127.0.0.1:1/nowhere")
    recorder = Recorder(away)
    recorder.start()
    before = telemetry.UNEXPOSED._value.get()
    recorder.exposure(exposure(name, "ada", "champion"))
    eventually(lambda: telemetry.UNEXPOSED._value.get() == before + 1)
    recorder._database = database  # the server is back
    recorder.exposure(exposure(name, "ada", "champion"))
    recorder.close()
    away.close()
    assert found(database, name).units["champion"] == 1


@pytest.fixture
def experimenting(published: Published) -> Iterator[tuple[httpx.Client, str]]:
    """The app with everybody who names itself in an experiment, and the challenger's version."""
    challenger = published.shifted(1)
    published.registry.nominate(challenger.name, challenger.version)
    with serving(published.settings.model_copy(update={"experiment_ramp": 1.0})) as client:
        eventually(lambda: ready(client))
        yield client, challenger.version
    from mlflow import MlflowClient

    MlflowClient(published.settings.mlflow_tracking_uri).delete_registered_model_alias(challenger.name, CHALLENGER)


def test_the_arm_served_is_the_arm_recorded(experimenting: tuple[httpx.Client, str], published: Published) -> None:
    client, challenger = experimenting
    slate_id = published.day.draftkings.slate_id

    def version(unit: str | None) -> str:
        headers = {} if unit is None else {"Fantasy-Unit": unit}
        reply = client.get("/v1/projections", params={"slate_id": slate_id}, headers=headers)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["model"]["version"])

    champion = version(None)
    name = f"simulated-projection/{champion}-{challenger}"
    experiment = Experiment(name, {"champion": 0.5, "challenger": 0.5})
    units = [f"unit-{uuid4().hex}" for _ in range(12)]
    wanted = {unit: experiment.arm(unit) for unit in units}
    # The challenger is loaded by a thread of its own.
    first = next(unit for unit in units if wanted[unit] == "challenger")
    eventually(lambda: version(first) == challenger)
    for unit in units * 2:
        assert version(unit) == (challenger if wanted[unit] == "challenger" else champion)
    assert version(None) == champion and version("x" * 1000) == champion

    def recorded() -> dict[str, str]:
        with published.database.session() as session:
            rows = session.query(ExperimentExposure).filter_by(experiment=name).all()
            assert len({row.unit_hash for row in rows}) == len(rows)  # once, although asked twice and more
            return {row.unit_hash: row.arm for row in rows}

    eventually(lambda: recorded() == {unit_hash(unit): arm for unit, arm in wanted.items()})
    with published.database.session() as session:
        row = session.query(ExperimentExposure).filter_by(experiment=name).first()
        assert row is not None and row.context is not None
        assert row.context["versions"] == {"champion": champion, "challenger": challenger}
    moved = replace(experiment, ramp=0.0)
    assert all(moved.arm(unit) is None for unit in units)
