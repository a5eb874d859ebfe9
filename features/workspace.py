"""Where one league's state lives on disk: the only module that knows the folder layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

League = Literal["nba", "simulated"]
LEAGUES: Final[tuple[League, ...]] = ("nba", "simulated")


@dataclass(frozen=True, slots=True)
class Workspace:
    """Folders of one league under `home`. `archive` and `nba` sources share the league `nba` (same ids)."""

    home: Path
    league: League

    @property
    def root(self) -> Path:
        """`home/league`, absolute."""
        return self.home.resolve() / self.league

    @property
    def raw(self) -> Path:
        """Immutable archive of batches as they were received, with the ingest ledger beside it."""
        return self.root / "raw"

    @property
    def tables(self) -> Path:
        """Current tables: `tables/{games,box,pbp}/season=YYYY.parquet`."""
        return self.root / "tables"

    @property
    def views(self) -> Path:
        """Feature views: `views/{name}.parquet`."""
        return self.root / "views"

    @property
    def slates(self) -> Path:
        """Slates collected with their salaries: `slates/{slate_id}.json`."""
        return self.root / "slates"

    @property
    def bundles(self) -> Path:
        """Trained model bundles before and after registration."""
        return self.root / "bundles"

    @property
    def onnx(self) -> Path:
        """Champions as ONNX files for the regional tier and the browser: `onnx/{family}.json` names the file."""
        return self.root / "onnx"

    @property
    def quarantine(self) -> Path:
        """Batches that broke their expectations."""
        return self.root / "quarantine"

    @property
    def reports(self) -> Path:
        """Validation reports, Data Docs, evaluation evidence."""
        return self.root / "reports"

    @property
    def lineups(self) -> Path:
        """Lineups built by the command line, newest in `latest.json`."""
        return self.root / "lineups"

    @property
    def live(self) -> Path:
        """Journals of live polling: `live/{source}-{day}.jsonl`."""
        return self.root / "live"
