"""Options that the commands of the DFS player share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Salaries = Annotated[Path, typer.Option(help="salary file as downloaded from the site")]
Site = Annotated[str | None, typer.Option(help="draftkings, fanduel or yahoo (default: told by the file)")]
Sport = Annotated[str | None, typer.Option(help="sport of the contest (default: told by the file)")]
ContestMode = Annotated[
    str | None, typer.Option("--mode", help="classic, showdown, single_game or tiers (default: told by the file)")
]
Day = Annotated[str | None, typer.Option("--date", help="slate day (ISO) when the file does not say")]
Projections = Annotated[
    str | None, typer.Option(help="your own numbers: a CSV with a name or id and points; or `salaries`")
]
Injuries = Annotated[
    list[Path] | None,
    typer.Option(help="injury report that marks who is out: the official CSV, or recorded transactions (Parquet)"),
]
League = Annotated[str, typer.Option(help="auto, nba or simulated: whose champion projects")]
RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="TOML or JSON file with any of the optimizer's rules, by name or id")
]
Lock = Annotated[list[str] | None, typer.Option(help="player name or id that every lineup must hold")]
Exclude = Annotated[list[str] | None, typer.Option(help="player name or id to leave out")]
MaxExposure = Annotated[
    list[str] | None, typer.Option(help="most a player may appear, as a share of lineups: 0.5, or 'Name=0.3'")
]
MinExposure = Annotated[list[str] | None, typer.Option(help="least a player must appear: 'Name=0.2'")]
MinSalary = Annotated[int | None, typer.Option(help="least salary a lineup must use")]
Unique = Annotated[int | None, typer.Option(help="players in which any two lineups differ at least")]
Stack = Annotated[
    list[str] | None,
    typer.Option(help="team stack SIZE[:TEAM][+BRING_BACK]: 5, 4:BOS or 4:BOS+1 (with an opponent)"),
]
Objective = Annotated[str | None, typer.Option(help="what to maximize: mean, floor, ceiling or blend")]
Randomness = Annotated[float | None, typer.Option(help="0 to 1: how far lineups follow draws of the projections")]
Leverage = Annotated[float | None, typer.Option(help="points taken off per 100 % of projected ownership")]
Seed = Annotated[int | None, typer.Option(help="seed of whatever is drawn")]
Payouts = Annotated[
    str, typer.Option(help="CSV of a contest's payouts, or gpp, double_up, fifty_fifty, winner_take_all")
]
Field = Annotated[
    int | None, typer.Option(help="entries in the contest (default: the payout file's, else 10,000)")
]
Scenarios = Annotated[int, typer.Option(help="simulated slates")]
