"""Real contests of a data folder: their standings, with the slate they were played on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from features.contests import Contest, load_contest
from features.errors import FantasyError, InvalidInput
from features.slate import Slate
from features.sources.payouts import Payouts, preset_payouts, read_payouts
from features.sources.salaries import read_salaries
from features.sources.standings import Standings, read_standings

#: Share of the drafted players a slate must list to be the contest's.
LEAST_LISTED: Final = 0.95


@dataclass(frozen=True, slots=True)
class RealContest:
    """A finished contest: `name` is its file's, `slate` the pool it was drafted from."""

    name: str
    day: date
    slate: Slate
    contest: Contest
    standings: Standings
    third_party: Path | None

    @property
    def field_size(self) -> int:
        """Number of real entries."""
        return self.standings.entries.height


@dataclass(frozen=True, slots=True)
class Skipped:
    """A contest that cannot be entered or graded, and why."""

    contest: str
    reason: str


@dataclass(frozen=True, slots=True)
class ContestFolder:
    """The `dfs` part of a data folder with its `manifest.csv` (text columns)."""

    folder: Path
    manifest: pl.DataFrame

    @classmethod
    def open(cls, data: Path) -> ContestFolder:
        """Raises `InvalidInput` when there is no manifest or it lacks columns."""
        folder = data / "dfs"
        path = folder / "manifest.csv"
        if not path.is_file():
            raise InvalidInput(f"{path} is missing; pass --data DIR with dfs/manifest.csv and the files it lists")
        manifest = pl.read_csv(path, infer_schema=False)
        lacking = [name for name in ("file", "site", "sport", "kind", "date") if name not in manifest.columns]
        if lacking:
            raise InvalidInput(f"{path} lacks the columns {', '.join(lacking)}; they say what each file is")
        if "slate_file" not in manifest.columns:
            manifest = manifest.with_columns(slate_file=pl.lit(None, dtype=pl.String))
        return cls(folder, manifest)

    def finals(self) -> list[dict[str, str | None]]:
        """Manifest rows of finished contests, oldest first."""
        return self.manifest.filter(pl.col("kind") == "contest_final").sort("date", "file").to_dicts()

    def read(self, row: dict[str, str | None]) -> RealContest | Skipped:
        """The contest of a manifest row, or why it cannot be had."""
        name = Path(str(row["file"])).name
        try:
            return self._read(name, row)
        except FantasyError as error:
            return Skipped(name, str(error))

    def payouts(self, site: str, sport: str, field_size: int) -> tuple[Payouts, str]:
        """The payout table whose field is nearest to `field_size` (as a ratio), unscaled, and its name.

        A typical tournament's where the folder has none.
        """
        known = []
        for row in self._of("payout_structure", site, sport):
            path = self.folder / str(row["file"])
            if path.is_file():
                payouts = read_payouts(path)
                known.append((abs(math.log(payouts.field_size / field_size)), path.name, payouts))
        if not known:
            return preset_payouts("gpp", field_size=field_size), "preset gpp (the data hold no payout table)"
        _, name, payouts = min(known, key=lambda found: found[:2])
        return payouts, name

    def _read(self, name: str, row: dict[str, str | None]) -> RealContest | Skipped:
        site, sport = str(row["site"]), str(row["sport"])
        try:
            day = date.fromisoformat(str(row["date"]))
        except ValueError:
            return Skipped(name, f"its date {row['date']!r} is not a day")
        path = self.folder / str(row["file"])
        if not path.is_file():
            return Skipped(name, "its file is not there")
        files = list(self._slate_files(row))
        if not files:
            return Skipped(name, "no salary file of its slate")
        standings = read_standings(path)
        if not standings.final:
            return Skipped(name, "exported while it ran")
        drafted = set(standings.players["name"]) or set(standings.entries["lineup"].explode().drop_nulls())
        best: tuple[float, Slate] | None = None
        for file in files:
            slate = read_salaries(file, sport=sport, slate_date=day)
            listed = len(drafted & {player.name for player in slate.players}) / max(1, len(drafted))
            if slate.site == site and (best is None or listed > best[0]):
                best = (listed, slate)
        if best is None or best[0] < LEAST_LISTED:
            found = 0.0 if best is None else best[0]
            return Skipped(
                name, f"its salary file lists {found:.0%} of the players drafted, {LEAST_LISTED:.0%} needed"
            )
        slate = best[1]
        contest = load_contest(slate.site, slate.sport, slate.mode)
        return RealContest(name, day, slate, contest, standings, self._third_party(site, sport, day))

    def _slate_files(self, row: dict[str, str | None]) -> Iterator[Path]:
        """The salary file the manifest names; without one, those of the same day."""
        if named := row.get("slate_file"):
            files = [named]
        else:
            salaries = self._of("salary", str(row["site"]), str(row["sport"]))
            files = [str(other["file"]) for other in salaries if other["date"] == row["date"]]
        yield from (self.folder / file for file in files if (self.folder / file).is_file())

    def _third_party(self, site: str, sport: str, day: date) -> Path | None:
        rows = self._of("projections_third_party", site, sport)
        files = [self.folder / str(row["file"]) for row in rows if row["date"] == day.isoformat()]
        return next((file for file in files if file.is_file()), None)

    def _of(self, kind: str, site: str, sport: str) -> list[dict[str, str | None]]:
        wanted = (pl.col("kind") == kind) & (pl.col("site") == site) & (pl.col("sport") == sport)
        return self.manifest.filter(wanted).sort("file").to_dicts()
