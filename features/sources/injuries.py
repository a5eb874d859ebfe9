"""Who is out: transactions, official injury reports and a feed's status changes as one typed table.

Every row says from when its status held and from when it could be known, so that an as-of join never looks ahead.
Ids come from the player directory by `features.sources.player_names`; a name nobody matches keeps a null id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from features.errors import SourceUnavailable
from features.slate import Slate, SlatePlayer
from features.sources.player_names import match_players
from features.sources.team_names import nba_team
from features.tables import EASTERN

#: `status` is one of STATUSES; `event_time` when it was decided, `known_time` when it could be read, both UTC.
INJURIES: Final[dict[str, pl.DataType]] = {
    "player_id": pl.Int32(), "player_name": pl.String(), "team": pl.String(), "status": pl.String(),
    "event_time": pl.Datetime("us", "UTC"), "known_time": pl.Datetime("us", "UTC"), "source": pl.String(),
    "reason": pl.String(),
}  # fmt: skip
STATUSES: Final = ("out", "doubtful", "questionable", "probable", "available")
#: Injury marks of a salary file by status; who is questionable or better keeps none of those that rule out.
MARKS: Final[dict[str, str]] = {"out": "O", "doubtful": "D", "questionable": "Q", "probable": "P", "available": ""}
#: A report is renewed several times a day on game days; older statuses are not taken over.
FRESH: Final = timedelta(hours=30)
#: NBA.com abbreviation by nickname; the transactions still know the Bobcats.
_TEAMS: Final[dict[str, str]] = {
    "hawks": "ATL", "nets": "BKN", "celtics": "BOS", "hornets": "CHA", "bobcats": "CHA", "bulls": "CHI",
    "cavaliers": "CLE", "mavericks": "DAL", "nuggets": "DEN", "pistons": "DET", "warriors": "GSW", "rockets": "HOU",
    "pacers": "IND", "clippers": "LAC", "lakers": "LAL", "grizzlies": "MEM", "heat": "MIA", "bucks": "MIL",
    "timberwolves": "MIN", "pelicans": "NOP", "knicks": "NYK", "thunder": "OKC", "magic": "ORL", "76ers": "PHI",
    "suns": "PHX", "blazers": "POR", "kings": "SAC", "spurs": "SAS", "raptors": "TOR", "jazz": "UTA",
    "wizards": "WAS", "bullets": "WAS",
}  # fmt: skip
#: What a feed's comment says, the most severe word first.
_WORDS: Final = (
    ("ruled out", "out"), ("will not play", "out"), ("won't play", "out"), ("out for", "out"), ("doubtful", "doubtful"),
    ("questionable", "questionable"), ("probable", "probable"), ("available", "available"),
)  # fmt: skip
_FEED: Final = {"Out": "out", "Day-To-Day": "questionable"}
_REPORT_NAME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})_(\d{1,2})_?(\d{2})(AM|PM)", re.IGNORECASE)


def injury_team(name: str) -> str:
    """NBA.com abbreviation of 'Blazers', 'Portland Trail Blazers' or a site's abbreviation."""
    return _TEAMS.get(name.strip().lower().rsplit(maxsplit=1)[-1] if name.strip() else "", nba_team(name))


def read_transactions(path: Path) -> pl.DataFrame:
    """Placed on the injured list (out) and activated from it (available), as INJURIES without ids.

    The source names only the day, so a transaction is known from the start of the next day (Eastern), after that
    day's games. Raises `SourceUnavailable` when the file cannot be read or lacks columns.
    """
    table = _parquet(path, ("date", "team", "acquired", "relinquished", "notes"))
    named = table.filter(pl.col("acquired").is_null() != pl.col("relinquished").is_null())
    out = pl.col("relinquished").is_not_null()
    day = pl.col("date").cast(pl.Datetime("us"))
    return _typed(
        named.select(
            pl.coalesce("acquired", "relinquished").str.strip_chars().alias("player_name"),
            _team_column(),
            pl.when(out).then(pl.lit("out")).otherwise(pl.lit("available")).alias("status"),
            _eastern(day).alias("event_time"),
            _eastern(day.dt.offset_by("1d")).alias("known_time"),
            pl.lit("transactions").alias("source"),
            pl.col("notes").str.strip_chars().alias("reason"),
        )
    )


def read_report(path: Path) -> pl.DataFrame:
    """One official NBA injury report, as INJURIES without ids; known from the time in the file's name (Eastern).

    Raises `SourceUnavailable` when the name tells no time or the file lacks columns.
    """
    found = _REPORT_NAME.search(path.name)
    if found is None:
        raise SourceUnavailable(
            f"{path.name} does not tell when it was published; name it Injury-Report_YYYY-MM-DD_HH_MMPM.csv"
        )
    day, hour, minute, half = found.groups()
    at = datetime.strptime(f"{day} {hour}:{minute}{half}", "%Y-%m-%d %I:%M%p").replace(tzinfo=ZoneInfo(EASTERN))
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceUnavailable(f"injury report {path} cannot be read: {error}; download it again") from error
    _require(path, table, ("team", "player", "status", "reason"))
    status = pl.col("status").str.strip_chars().str.to_lowercase()
    last_first = pl.col("player").str.split(",")
    return _typed(
        table.filter(status.is_in(STATUSES)).select(
            pl.concat_str(
                last_first.list.get(1, null_on_oob=True).fill_null("").str.strip_chars(),
                last_first.list.get(0).str.strip_chars(),
                separator=" ",
            ).str.strip_chars().alias("player_name"),
            _team_column(),
            status.alias("status"),
            pl.lit(at).alias("event_time"),
            pl.lit(at).alias("known_time"),
            pl.lit("official_report").alias("source"),
            "reason",
        )
    )  # fmt: skip


def read_feed(path: Path) -> pl.DataFrame:
    """Changes of status in a time-stamped DFS feed, as INJURIES without ids.

    A comment that names a status goes before the mark (Day-To-Day alone is questionable); a mark that is gone makes
    its player available. Raises `SourceUnavailable` when the file cannot be read or lacks columns.
    """
    table = _parquet(path, ("ts", "player", "team", "injury_status", "injury_comment"))
    comment = pl.col("injury_comment").str.to_lowercase()
    said = pl.coalesce(*(pl.when(comment.str.contains(word, literal=True)).then(pl.lit(s)) for word, s in _WORDS))
    mark = pl.col("injury_status").cast(pl.String)
    plain = mark.replace_strict(_FEED, default=None, return_dtype=pl.String)
    status = pl.when(mark == "Out").then(plain).when(mark.is_not_null()).then(pl.coalesce(said, plain))
    severity = pl.col("status").replace_strict(
        {name: rank for rank, name in enumerate(STATUSES)}, default=len(STATUSES), return_dtype=pl.Int8
    )
    # One moment has a row per slate, and slates without marks say nothing of a player marked elsewhere.
    moments = (
        table.select(
            "ts", pl.col("player").cast(pl.String).alias("player_name"), pl.col("team").cast(pl.String),
            status.alias("status"), pl.col("injury_comment").alias("reason"),
        )
        .drop_nulls(["ts", "player_name"])
        .filter(~pl.col("team").str.contains("/", literal=True))
        .sort("ts", "player_name", severity)
        .unique(["ts", "player_name"], keep="first", maintain_order=True)
        .with_columns(pl.col("status").fill_null("available"))
    )  # fmt: skip
    before = pl.col("status").shift(1).over("player_name").fill_null("available")
    return _typed(
        moments.filter(pl.col("status") != before).select(
            "player_name", _team_column(), "status", pl.col("ts").alias("event_time"),
            pl.col("ts").alias("known_time"), pl.lit("feed").alias("source"), "reason",
        )
    )  # fmt: skip


def status_said(comment: str) -> str | None:
    """The status of STATUSES that a feed's comment names, None where it names none."""
    text = comment.lower()
    return next((status for words, status in _WORDS if words in text), None)


def read_injuries(path: Path) -> pl.DataFrame:
    """An official report (CSV), recorded transactions or a recorded feed (Parquet), told apart by what is in it.

    Raises `SourceUnavailable` when it is none of them.
    """
    if path.suffix.lower() == ".csv":
        return read_report(path)
    if path.suffix.lower() != ".parquet":
        raise SourceUnavailable(
            f"injuries {path}: {path.suffix or 'no'} files are not known; give the official report as CSV or Parquet"
        )
    try:
        columns = set(pl.read_parquet_schema(path))
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceUnavailable(f"injuries {path} cannot be read: {error}; download it again") from error
    return read_transactions(path) if "relinquished" in columns else read_feed(path)


def injury_table(parts: Iterable[pl.DataFrame], directory: pl.DataFrame) -> pl.DataFrame:
    """All `parts` in order of time, with `player_id` from the player directory (null where nobody matches).

    A transaction names a player by all his names ('Enes Freedom / Enes Kanter'): the first that matches counts.
    """
    rows = pl.concat(list(parts)).drop("player_id")
    names = rows.select(pl.col("player_name").unique(maintain_order=True)).to_series().to_list()
    spelled = {name: _spellings(name) for name in names}
    alone = dict.fromkeys(part for parts_of in spelled.values() for part in parts_of)
    players = tuple(SlatePlayer(str(number), name, (), 0, "", "", False, 0.0) for number, name in enumerate(alone))
    slate = Slate("injuries", "draftkings", "nba", "classic", None, (), players)
    ids = {player.name: player.player_id for player in match_players(slate, directory).slate.players}
    known = pl.DataFrame(
        {
            "player_name": names,
            "player_id": [next((ids[p] for p in spelled[n] if ids[p] is not None), None) for n in names],
        },
        schema={"player_name": pl.String, "player_id": pl.Int32},
    )
    return (
        rows.join(known, on="player_name", how="left", maintain_order="left")
        .select(pl.col(name).cast(dtype) for name, dtype in INJURIES.items())
        .sort("known_time", "event_time", "source", "player_name")
    )


def recorded_injuries(data: Path, directory: pl.DataFrame) -> pl.DataFrame:
    """The injury table of everything recorded in the folder `data`; empty when nothing is."""
    transactions = sorted((data / "nba").glob("injury_transactions*.parquet"))
    reports = sorted((data / "nba" / "injury_reports_sample").glob("*.csv"))
    feeds = sorted((data / "dfs" / "feed").glob("*.parquet"))
    parts = [
        *(read_transactions(path) for path in transactions),
        *(read_report(path) for path in reports),
        *(read_feed(path) for path in feeds),
    ]
    return injury_table(parts, directory) if parts else pl.DataFrame(schema=INJURIES)


def statuses(injuries: pl.DataFrame, as_of: datetime) -> pl.DataFrame:
    """The newest status of every matched player known by `as_of`: `player_id`, `status`, `event_time`, `reason`.

    A status of a later report replaces one of any source before it.
    """
    known = injuries.filter((pl.col("known_time") <= as_of) & pl.col("player_id").is_not_null())
    ordered = known.sort("event_time", "known_time", maintain_order=True)
    newest = ordered.unique("player_id", keep="last", maintain_order=True)
    return newest.select("player_id", "status", "event_time", "reason")


def mark_slate(slate: Slate, injuries: pl.DataFrame, *, fresh: timedelta = FRESH) -> Slate:
    """`slate` with the injury marks known at its lock for players the file does not mark itself.

    Only statuses at most `fresh` old count: a listing that nobody ended is no news. A slate without a lock comes back
    as it is.
    """
    if slate.lock is None:
        return slate
    recent = statuses(injuries, slate.lock).filter(pl.col("event_time") >= slate.lock - fresh)
    marks = {row["player_id"]: MARKS[row["status"]] for row in recent.iter_rows(named=True)}
    players = tuple(
        player if player.injury_status.strip() or player.player_id is None
        else replace(player, injury_status=marks.get(player.player_id, ""))
        for player in slate.players
    )  # fmt: skip
    return replace(slate, players=players)


def _spellings(name: str) -> list[str]:
    """'(William) Tony Parker' and 'Wes Matthews / Wesley Matthews' as the names people go by."""
    plain = re.sub(r"\([^)]*\)", " ", name)
    return [" ".join(part.split()) for part in plain.split("/") if part.strip()]


def _team_column() -> pl.Expr:
    return pl.col("team").cast(pl.String).map_elements(injury_team, return_dtype=pl.String).alias("team")


def _eastern(naive: pl.Expr) -> pl.Expr:
    return naive.dt.replace_time_zone(EASTERN).dt.convert_time_zone("UTC")


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    with_id = frame.with_columns(pl.lit(None, pl.Int32).alias("player_id"))
    times = [pl.col(name).dt.convert_time_zone("UTC") for name in ("event_time", "known_time")]
    return with_id.with_columns(times).select(pl.col(name).cast(dtype) for name, dtype in INJURIES.items())


def _parquet(path: Path, columns: tuple[str, ...]) -> pl.DataFrame:
    try:
        table = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise SourceUnavailable(f"{path} cannot be read: {error}; download it again") from error
    _require(path, table, columns)
    return table


def _require(path: Path, table: pl.DataFrame, columns: tuple[str, ...]) -> None:
    if lacking := [name for name in columns if name not in table.columns]:
        raise SourceUnavailable(f"{path} lacks columns {lacking}; it has {table.columns}")
