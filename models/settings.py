"""Settings of the models layer."""

from __future__ import annotations

from pydantic import Field

from features.settings import FeatureSettings


class ModelSettings(FeatureSettings):
    """Feature settings plus where models are tracked and on what they run."""

    mlflow_tracking_uri: str = Field(default="http://127.0.0.1:5000", description="MLflow server")
    device: str = Field(default="auto", description="auto, cpu or cuda")
