"""What one run of the line is about: where games come from, and up to when."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from features.params import read_params
from features.sources.base import Source
from features.sources.catalog import LEAGUE_OF, open_source, start_of_day
from features.stores.offline import OfflineStore
from features.workspace import League, Workspace

#: Turns a task into what is called: the task itself inside a flow, its plain function elsewhere.
Call = Callable[[Any], Callable[..., Any]]


class LineSpec(BaseModel):
    """Serializable, so that Prefect shows it as the run's parameters.

    `through` D means: everything known when day D begins (US Eastern); D's own games are the slate.
    """

    model_config = ConfigDict(frozen=True)

    source: str = "simulated"
    data: Path | None = None
    seasons: tuple[int, ...] | None = None
    through: date | None = None
    home: Path = Path(".fantasy")
    retrain: bool = False

    @property
    def league(self) -> League:
        """The league this source's games belong to."""
        return LEAGUE_OF[self.source]

    @property
    def workspace(self) -> Workspace:
        """Folders of this run's league."""
        return Workspace(self.home, self.league)

    @property
    def store(self) -> OfflineStore:
        """Offline store of this run's league."""
        return OfflineStore(self.workspace)

    @property
    def slate_day(self) -> date | None:
        """The day whose games are the slate, when the run has one."""
        if self.through is None and self.source == "simulated":
            day: date = read_params()["simulate"]["through"]
            return day
        return self.through

    def as_of(self, now: datetime | None = None) -> datetime:
        """UTC moment up to which games may be known: start of the slate day, or `now`."""
        day = self.slate_day
        return start_of_day(day) if day is not None else (now or datetime.now(UTC))

    def open_source(self) -> Source:
        """Open the source of games."""
        return open_source(self.source, data=self.data, simulate=read_params()["simulate"], through=self.slate_day)
