"""Read roster rules from TOML files: one per site x sport x mode beside this module, and a user's own.

A user's folder is `FANTASY_CONTESTS` (docs/contests.md); a file there wins over the built-in one of the same contest.
Files are read once and again when they change.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeGuard, get_args

from features.contests.contest import Contest, Slot, TeamLimit, UploadCell
from features.errors import UnknownContest
from features.scoring import SITES, Site
from features.settings import FeatureSettings

RULES = Path(__file__).parent
_UPLOAD_CELLS: Final[tuple[UploadCell, ...]] = get_args(UploadCell)
_FIELDS: Final = frozenset({
    "source", "site", "sport", "mode", "salary_cap_usd", "salary_step_usd", "max_per_team", "min_teams",
    "min_teams_positions", "min_games", "max_per_game", "slots", "team_limits", "upload",
})  # fmt: skip
_SLOT_FIELDS: Final = frozenset({"name", "positions", "count", "points_multiplier", "salary_multiplier"})
_Key = tuple[str, str, str]


def load_contest(site: str, sport: str = "nba", mode: str = "classic") -> Contest:
    """Rules of one contest type. Raises `UnknownContest` naming the contests that exist, or what a file lacks."""
    key = (site, sport, mode)
    own = _own_contests()
    if key in own:
        return own[key]
    if key not in _built_in():
        listed = ", ".join(" ".join(key) for key in known_contests())
        raise UnknownContest(
            f"no roster rules for contest {site!r} {sport!r} {mode!r}; use one of: {listed}; or write "
            "its TOML file into a folder and set FANTASY_CONTESTS to it (docs/contests.md)"
        )
    return _read(RULES / f"{site}_{sport}_{mode}.toml")


def known_contests() -> tuple[_Key, ...]:
    """(site, sport, mode) of every rule file, built in and the user's own, sorted."""
    return tuple(sorted({*_built_in(), *_own_contests()}))


def parse_contest(rules: dict[str, Any], origin: str = "roster rules") -> Contest:
    """Typed rules from a parsed TOML document. Raises `UnknownContest` naming file, field, value and fix."""
    table = _Table(rules, origin)
    table.only(_FIELDS)
    site, mode = table.text("site"), table.text("mode")
    if not _is_site(site):
        raise table.error("site", f"use one of {', '.join(SITES)}")
    sport, slots = table.text("sport"), _slots(table)
    upload = table.table("upload")
    header, cell = upload.texts("header"), upload.text("cell")
    if len(header) != len(slots):
        raise upload.error("header", f"the upload header must name its {len(slots)} slots, in their order")
    if not _is_cell(cell):
        raise upload.error("cell", f"use one of {', '.join(_UPLOAD_CELLS)}")
    uncapped = rules.get("salary_cap_usd") == "none"
    limits = tuple(
        TeamLimit(frozenset(limit.texts("positions")), limit.whole("at_most"))
        for limit in table.tables("team_limits")
    )
    for limit in limits:
        if not any(limit.positions & slot.positions for slot in slots):
            raise table.error("team_limits", "its positions fit no slot; use positions of the slots")
    return Contest(
        site=site,
        sport=sport,
        mode=mode,
        slots=slots,
        salary_cap_usd=None if uncapped else table.whole("salary_cap_usd"),
        salary_step_usd=table.whole("salary_step_usd"),
        max_per_team=table.whole("max_per_team", len(slots)),
        min_teams=table.whole("min_teams", 1),
        min_games=table.whole("min_games", 1),
        upload_header=header,
        upload_cell=cell,
        max_upload_lineups=upload.whole("max_lineups"),
        source=table.text("source"),
        team_limits=limits,
        max_per_game=table.whole("max_per_game") if "max_per_game" in rules else None,
        min_teams_positions=frozenset(table.texts("min_teams_positions"))
        if "min_teams_positions" in rules
        else None,
    )


def _slots(table: _Table) -> tuple[Slot, ...]:
    slots: list[Slot] = []
    for row in table.tables("slots", needed=True):
        row.only(_SLOT_FIELDS)
        slot = Slot(
            row.text("name"),
            frozenset(row.texts("positions")),
            row.factor("points_multiplier"),
            row.factor("salary_multiplier"),
        )
        slots += [slot] * row.whole("count", 1)
    if len({slot.name for slot in slots}) != len(set(slots)):
        raise table.error("slots", "slots of one name must have the same positions and multipliers; rename one")
    return tuple(slots)


class _Table:
    """A TOML table whose fields are read with their types checked; `path` is where it is, for messages."""

    def __init__(self, fields: dict[str, Any], origin: str, path: str = "") -> None:
        self._fields, self._origin, self._path = fields, origin, path

    def error(self, field: str, fix: str) -> UnknownContest:
        """The error of a field: the file, the field, its value and the fix."""
        value = f"value {self._fields[field]!r}" if field in self._fields else "missing"
        return UnknownContest(f"{self._origin}, field '{self._path}{field}', {value}: {fix} (docs/contests.md)")

    def only(self, known: frozenset[str]) -> None:
        """Refuse a field that would be passed over in silence."""
        for field in self._fields:
            if field not in known:
                raise self.error(field, f"unknown field; use one of {', '.join(sorted(known))}")

    def text(self, field: str) -> str:
        """A text that is not empty."""
        value = self._fields.get(field)
        if not isinstance(value, str) or not value.strip():
            raise self.error(field, "give a text")
        return value

    def texts(self, field: str) -> tuple[str, ...]:
        """A list of texts, not empty."""
        value = self._fields.get(field)
        if not isinstance(value, list) or not value or not all(isinstance(v, str) and v for v in value):
            raise self.error(field, "give a list of texts")
        return tuple(value)

    def whole(self, field: str, default: int | None = None) -> int:
        """A whole number above 0."""
        value = self._fields.get(field, default)
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise self.error(field, "give a whole number above 0")
        return value

    def factor(self, field: str) -> float:
        """A number above 0, 1 when absent."""
        value = self._fields.get(field, 1.0)
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 100:
            raise self.error(field, "give a number above 0, such as 1.5")
        return float(value)

    def table(self, field: str) -> _Table:
        """A table within the table."""
        value = self._fields.get(field)
        if not isinstance(value, dict):
            raise self.error(field, "give a table")
        return _Table(value, self._origin, f"{self._path}{field}.")

    def tables(self, field: str, *, needed: bool = False) -> tuple[_Table, ...]:
        """A list of tables; empty when absent and not needed."""
        value = self._fields.get(field, [])
        if not isinstance(value, list) or (needed and not value) or not all(isinstance(v, dict) for v in value):
            raise self.error(field, "give a list of tables")
        return tuple(_Table(v, self._origin, f"{self._path}{field}[{i}].") for i, v in enumerate(value))


def _is_site(text: str) -> TypeGuard[Site]:
    return text in SITES


def _is_cell(text: str) -> TypeGuard[UploadCell]:
    return text in _UPLOAD_CELLS


@lru_cache(maxsize=1)
def _built_in() -> frozenset[_Key]:
    """Named after their contests, so that listing them reads no file."""
    keys = (path.stem.split("_", 2) for path in RULES.glob("*_*_*.toml"))
    return frozenset((site, sport, mode) for site, sport, mode in keys)


def _own_contests() -> dict[_Key, Contest]:
    folder = FeatureSettings().contests
    if folder is None:
        return {}
    if not folder.is_dir():
        raise UnknownContest(f"FANTASY_CONTESTS is {str(folder)!r}, which is no folder; create it or unset it")
    found: dict[_Key, Contest] = {}
    for path in sorted(folder.glob("*.toml")):
        contest = _read(path)
        key = (contest.site, contest.sport, contest.mode)
        if key in found:
            raise UnknownContest(f"{path}: another file of {folder} has {contest.name} too; remove one of the two")
        found[key] = contest
    return found


def _read(path: Path) -> Contest:
    try:
        state = path.stat()
    except OSError as error:
        raise UnknownContest(f"{path} cannot be read: {error.strerror or error}; check the file") from error
    return _parsed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=512)
def _parsed(path: Path, _changed_ns: int, _size: int) -> Contest:
    try:
        rules = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UnknownContest(f"{path} cannot be read as TOML: {error}; correct the file") from error
    return parse_contest(rules, str(path))
