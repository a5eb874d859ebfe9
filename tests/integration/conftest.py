"""Fixtures of the tests that talk to real servers."""

from __future__ import annotations

from uuid import uuid4

import pytest

from features.stores.database import Database
from flows.settings import FlowSettings
from models.registry import Registry


@pytest.fixture
def registry(flow_settings: FlowSettings, database: Database) -> Registry:
    """The registry on a real MLflow and PostgreSQL."""
    return Registry(flow_settings, database)


@pytest.fixture
def model_name() -> str:
    """A registered name no other test uses."""
    return f"test-{uuid4().hex[:12]}"
