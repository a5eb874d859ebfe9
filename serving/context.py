"""What a request may use: settings, champions, stores and the predictor, made once per process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from features.errors import FantasyError
from features.stores.database import Database
from features.stores.online import OnlineStore
from models.registry import Registry
from serving import telemetry
from serving.champion import Champions
from serving.predictor import SlatePredictor
from serving.settings import ServingSettings


@dataclass(frozen=True, slots=True)
class Context:
    """The process's long-lived parts."""

    settings: ServingSettings
    database: Database
    online: OnlineStore
    champions: Champions
    predictor: SlatePredictor

    @classmethod
    def open(cls, settings: ServingSettings) -> Context:
        """Wire the parts; nothing connects before it is used, so this succeeds while everything is down."""
        database = Database(settings.database_url)
        online = OnlineStore(settings.redis_url)
        champions = Champions(settings, Registry(settings, database))
        return cls(settings, database, online, champions, SlatePredictor(champions, online))

    def start(self) -> None:
        """Begin watching for champions."""
        self.champions.start()

    def close(self) -> None:
        """Finish what is under way and let go of connections."""
        self.champions.stop()
        self.predictor.close()
        self.database.close()

    def problems(self) -> dict[str, str]:
        """Return what keeps this process from answering, by dependency; empty when it is ready."""
        found: dict[str, str] = {}
        checks: dict[str, Callable[[], None]] = {"redis": self.online.ping, "postgres": self.database.ping}
        for name, check in checks.items():
            try:
                check()
            except FantasyError as error:
                found[name] = str(error)
        if not self.champions.registry_seen:
            errors = {status.error for status in self.champions.status() if status.error}
            found["mlflow"] = "; ".join(sorted(errors)) or "the registry has not been asked yet"
        for name in ("redis", "postgres", "mlflow"):
            telemetry.READY.labels(name).set(float(name not in found))
        return found


def get_context(request: Request) -> Context:
    """Return the process's context."""
    context: Context = request.app.state.context
    return context


ContextDep = Annotated[Context, Depends(get_context)]
