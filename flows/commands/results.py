"""The backtest's figures as a readable table."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table


def show_backtest(report: dict[str, Any]) -> None:
    """Print each target: n and dates first, then the ungated figure, baselines and intervals."""
    console = Console()
    console.print(
        f"seasons {report['seasons']}, retrained on {', '.join(report['retrained_on'])}", highlight=False
    )
    winners, points = report["home_win"], report["fantasy_points_draftkings"]
    table = Table(title=f"home_win · n={winners['n']} · {winners['first_date']} to {winners['last_date']}")
    for heading in ("figure", "model", "95 % interval (dates)", "Elo", "home", "closing line"):
        table.add_column(heading)
    for name in ("accuracy", "brier"):
        rivals = [_plain(winners["baselines"].get(rival, {}).get(name)) for rival in ("elo", "home", "market")]
        table.add_row(name, *_interval(winners[name]), *rivals)
    for name in ("coverage", "accuracy", "claimed"):
        rivals = [_plain(winners["baselines"].get(r, {}).get(f"gated_{name}")) for r in ("elo", "home", "market")]
        table.add_row(f"at claimed ≥ .70: {name}", *_interval(winners["gated"][name]), *rivals)
    table.add_row("ECE", _plain(winners["ece"]), "", "", "", "")
    table.add_row("base rate (home wins)", _plain(winners["base_rate"]), "", "", "", "")
    console.print(table)
    table = Table(title=f"DraftKings points · n={points['n']} · {points['first_date']} to {points['last_date']}")
    for heading in ("figure", "model", "95 % interval (dates)", "EWMA", "season mean"):
        table.add_column(heading)
    for name in ("mae", "crps"):
        rivals = [_plain(points["baselines"].get(rival, {}).get(name)) for rival in ("ewma", "season_mean")]
        table.add_row(name, *_interval(points[name]), *rivals)
    table.add_row("80 % interval covers", *_interval(points["interval_80_coverage"]), "", "")
    table.add_row("R²", _plain(points["r2"]), "", "", "")
    table.add_row("MAE before announcements", *_interval(points["without_announcements"]["mae"]), "", "")
    console.print(table)


def _interval(figure: dict[str, Any]) -> tuple[str, str]:
    return _plain(figure["value"]), f"{figure['low']:.4f} – {figure['high']:.4f} ({figure['blocks']})"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
