"""What the API served is rebuilt from its id: features as they were known, the same version, the same number."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from features.errors import InvalidInput, NotMaterialized
from features.stores.offline import OfflineStore
from features.stores.predictions import load_prediction
from features.views.entities import player_directory
from features.workspace import Workspace
from flows.explaining import explain_prediction
from flows.settings import FlowSettings
from tests.fixtures.serving import Published, eventually


@pytest.fixture
def settings(published: Published, flow_settings: FlowSettings, tmp_path: Path) -> FlowSettings:
    """A home with the league's views, beside the servers that the API uses."""
    store = OfflineStore(Workspace(tmp_path, "simulated"))
    for name, view in (*published.day.views.items(), ("player_directory", player_directory(published.day.tables))):
        store.write_view(name, view)
    own = {"home": tmp_path, "database_url": published.settings.database_url}
    return flow_settings.model_copy(update=own)


def recorded(published: Published, prediction_id: str) -> bool:
    """Whether the answer is in the database yet."""
    try:
        load_prediction(published.database, UUID(prediction_id))
    except NotMaterialized:
        return False
    return True


def test_a_served_projection_and_winner_are_reproduced(
    api: httpx.Client, published: Published, settings: FlowSettings
) -> None:
    slate_id = published.day.draftkings.slate_id
    best = api.get("/v1/projections", params={"slate_id": slate_id}).json()["players"][0]
    game = api.post("/v1/predictions/macro", json={"slate_id": slate_id}).json()["games"][0]
    for body, answer in ((best, best["mean"]), (game, game["home_win_probability"])):
        served = body["prediction_id"]
        eventually(lambda served=served: recorded(published, served))
        found = explain_prediction(UUID(served), settings)
        assert found.warnings == ()
        assert found.answer == pytest.approx(answer, abs=1e-3)
        assert found.explanation is not None
        assert found.base + sum(e.amount for e in found.explanation.contributions) == pytest.approx(found.answer)
        assert found.data_timestamp == published.day.data_timestamp
    margin = game["home_margin"]["prediction_id"]
    eventually(lambda: recorded(published, margin))
    with pytest.raises(InvalidInput, match="home_margin"):
        explain_prediction(UUID(margin), settings)


def test_an_id_nobody_recorded_is_said(published: Published, settings: FlowSettings) -> None:
    with pytest.raises(NotMaterialized, match="is not recorded"):
        explain_prediction(uuid4(), settings)
