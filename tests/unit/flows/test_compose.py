"""The production example fits what is pinned: versions, options of the servers' commands, names of the services."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture(scope="module")
def services(repository: Path) -> dict[str, Any]:
    """What `mlflow/compose.yaml` starts."""
    found: dict[str, Any] = yaml.safe_load((repository / "mlflow" / "compose.yaml").read_text())["services"]
    return found


@pytest.mark.parametrize("name", ["mlflow", "prefect"])
def test_images_are_of_the_pinned_versions(services: dict[str, Any], repository: Path, name: str) -> None:
    pinned = re.search(rf"^{name}==(\S+)$", (repository / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert re.search(rf":v?{re.escape(pinned[1])}-", services[name]["image"])


def test_every_option_of_mlflow_is_known(services: dict[str, Any]) -> None:
    from mlflow.cli import server

    words = shlex.split(services["mlflow"]["command"])
    assert words[:2] == ["mlflow", "server"]
    known = {option for parameter in server.params for option in parameter.opts}
    assert [word for word in words if word.startswith("--") and word not in known] == []


def test_prefect_is_started_as_the_embedded_one_is(services: dict[str, Any]) -> None:
    assert services["prefect"]["command"] == "prefect server start --host 0.0.0.0"


def test_services_that_are_named_are_there(services: dict[str, Any]) -> None:
    assert set(services) == {"postgres", "redis", "bus", "artifacts", "mlflow", "prefect"}
    for each in services.values():
        assert set(each.get("depends_on", {})) <= set(services)
        for port in each.get("ports", []):
            assert port.startswith("127.0.0.1:")
