"""`fantasy bench`: runs a clone's benchmarks in processes of their own and draws what they report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import benchmarking
from flows.commands.bench_tables import bar, flat, histogram_rows
from flows.errors import BenchmarkFailed, BenchmarkUnavailable, CannotKeepReport
from flows.results.realtime import ball_section, critical_section, hub_section, stream_section
from flows.results.tiers import tiers_section
from tests.unit.flows.conftest import Command

HARDWARE = {"cpu": "Zen 4", "cores": 2, "load_1min": 0.5}
REPORTS = """
import json, sys
options = sys.argv[1:]
print("half way", file=sys.stderr, flush=True)
print("noise on stdout")
with open(options[options.index("--out") + 1], "w") as file:
    json.dump({report!r} | {{"options": options[: options.index("--json")]}}, file)
sys.exit({code!r})
"""

Script = Callable[..., None]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Put a benchmark into a folder that stands for the clone's."""
    monkeypatch.setattr(benchmarking, "FOLDER", tmp_path)

    def put(name: str, report: dict[str, Any], code: object = 0) -> None:
        (tmp_path / f"bench_{name}.py").write_text(REPORTS.format(report=report, code=code), encoding="utf-8")

    return put


def test_the_stream_report_is_printed_as_it_is(script: Script, command: Command, tmp_path: Path) -> None:
    script("stream", stream_report())
    out = tmp_path / "kept.json"
    said = command("bench", "stream", "--rate", 5000, "--seconds", 3, "--json", "--out", out)
    assert said.code == 0
    assert said.json["options"] == ["--rate", "5000.0", "--seconds", "3.0", "--rivals", "none"]
    names = {"events_per_s", "p50_ms", "p99_ms", "p999_ms", "lost", "duplicated", "state_equal", "cpu"}
    assert names <= set(said.json)
    assert json.loads(out.read_text(encoding="utf-8")) == said.json


def test_the_stream_is_drawn_with_its_bars(script: Script, command: Command) -> None:
    script("stream", stream_report())
    said = command("bench", "stream")
    assert said.code == 0
    assert "≤ 10: met" in said.out and "4.40 ms" in said.out and "█" in said.out


def test_the_hub_is_drawn(script: Script, command: Command) -> None:
    script("hub", hub_report())
    said = command("bench", "hub", "--clients", 10000, "--updates", 500)
    assert said.code == 0
    assert "500 updates a second, on its socket, p99 ms" in said.out and "≤ 5: met" in said.out
    assert "Node ws is left out: install node" in said.out
    assert "≤ 5 ms" in said.out and "25.00%" in said.out


def test_options_of_the_hub_reach_the_script(script: Script, command: Command) -> None:
    script("hub", hub_report())
    options = command("bench", "hub", "--clients", 20, "--updates", 10, "--seconds", 2, "--quick", "--json").json[
        "options"
    ]
    assert options == ["--clients", "20", "--updates", "10", "--seconds", "2.0", "--no-rivals", "--quick"]
    assert "--no-rivals" not in command("bench", "hub", "--rivals", "--json").json["options"]


def test_tiers_are_drawn(script: Script, command: Command) -> None:
    edge = {"asked": 100, "admitted": 99, "share_in_time_of_admitted": 0.998, "p50_ms": 0.1, "p99_ms": 3.25}
    mix = {"rate_per_s": 3000.0, "goodput_per_s": 2990.0, "tiers": {"edge": edge}}
    cloud = {
        "mix": {"tiers": {"cloud": edge | {"share_in_time_of_admitted": None, "p50_ms": None, "p99_ms": None}}}
    }
    script("tiers", {"hardware": HARDWARE, "mixes": {"mix": mix, "no_admission": mix}, "cloud": cloud})
    said = command("bench", "tiers")
    assert said.code == 0 and "99.80% of 99 admitted (100 asked)" in said.out and "2,990" in said.out
    options = command("bench", "tiers", "--no-cloud", "--quick", "--json").json["options"]
    assert options == ["--rate", "3000.0", "--seconds", "10.0", "--no-cloud", "--quick"]


def test_a_benchmark_that_found_something_wrong_ends_with_1(script: Script, command: Command) -> None:
    script("stream", stream_report() | {"lost": 3}, "events were lost")
    said = command("bench", "stream", "--json")
    assert said.code == 1 and json.loads(said.out)["lost"] == 3


@pytest.mark.parametrize("name", ["stream", "hub", "tiers"])
@pytest.mark.parametrize("bad", [("--seconds", "inf"), ("--seconds", "nan"), ("--seconds", "0")])
def test_a_load_without_an_end_is_refused(
    script: Script, command: Command, name: str, bad: tuple[str, str]
) -> None:
    script(name, {})
    assert command("bench", name, *bad).code == 2


def test_infinitely_many_events_are_refused(script: Script, command: Command) -> None:
    script("stream", stream_report())
    assert command("bench", "stream", "--rate", "inf").code == 2
    assert command("bench", "stream", "--seconds", 1, "--json").json["options"][3] == "1.0"


def test_a_report_that_cannot_be_kept_is_told_before_measuring(
    script: Script, command: Command, tmp_path: Path
) -> None:
    script("stream", {}, "measured all the same")
    (tmp_path / "file").write_text("", encoding="utf-8")
    for out in (tmp_path, tmp_path / "file" / "report.json"):
        said = command("bench", "stream", "--out", out)
        assert isinstance(said.error, CannotKeepReport) and f"--out {out}" in str(said.error)


def test_a_benchmark_without_a_report_is_an_error_with_its_last_words(
    script: Script, command: Command, tmp_path: Path
) -> None:
    script("stream", {})
    (tmp_path / "bench_stream.py").write_text("import sys; sys.exit('no redis-server found')", encoding="utf-8")
    said = command("bench", "stream")
    assert isinstance(said.error, BenchmarkFailed)
    assert "bench stream ended with 1 and no report: no redis-server found" in str(said.error)


def test_without_a_clone_the_error_says_where_benchmarks_are(
    script: Script, command: Command, tmp_path: Path
) -> None:
    for name in ("stream", "hub", "tiers"):
        said = command("bench", name)
        assert isinstance(said.error, BenchmarkUnavailable)
        assert f"{tmp_path}/bench_{name}.py is not there" in str(said.error) and "clone" in str(said.error)


def test_without_a_compiler_the_hub_says_what_to_install(
    script: Script, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    script("hub", hub_report())
    monkeypatch.setenv("PATH", "")
    said = command("bench", "hub")
    assert isinstance(said.error, BenchmarkUnavailable) and "install gcc" in str(said.error)


def test_bars_are_drawn_in_eighths() -> None:
    assert bar(1.0) == "█" * 40 and bar(0.0) == "" and bar(1e-9) == "▏"
    assert bar(0.5) == "█" * 20 and bar(2.0) == "█" * 40


def test_a_histogram_starts_and_ends_where_messages_are() -> None:
    rows = list(histogram_rows({"edges_ms": [1, 2, 5], "counts": [0, 3, 0, 1]}))
    assert [(label, share) for label, share, _ in rows] == [
        ("≤ 2 ms", "75.00%"),
        ("≤ 5 ms", "0.00%"),
        ("> 5 ms", "25.00%"),
    ]
    assert list(histogram_rows({"edges_ms": [1], "counts": [0, 0]})) == []


def test_a_flat_report_leaves_lists_and_hardware_out() -> None:
    assert list(flat({"a": {"b": 1.5, "c": [1]}, "hardware": {"cpu": "x"}, "ok": True})) == [
        ("a · b", "1.5"),
        ("ok", "True"),
    ]


def test_the_pipeline_is_judged_at_the_rate_it_held() -> None:
    section = stream_section(stream_report())
    assert "| events a second | 1,000,000 | ≥ 1e+06: met | ≥ 3e+06: **missed** |" in section
    assert "| p99, ms | 4.4 | ≤ 10: met | needs 3,000,000/s |" in section
    slow = stream_section(stream_report() | {"events_per_s": 700_000.0, "lost": 2, "state_equal": False})
    assert "| events a second | 700,000 | ≥ 1e+06: **missed** |" in slow
    assert "| p99, ms | 4.4 | needs 1,000,000/s |" in slow
    assert "| events lost | 2 | ≤ 0: **missed** |" in slow and "| False | **missed** |" in slow
    assert "not judged: 5 s" in stream_section(stream_report() | {"seconds": 5.0})


def test_other_pipelines_stand_beside_it() -> None:
    run = {"rate": 50_000.0, "keeps_up": True, "p50_ms": 3.5, "p99_ms": 6.5, "p999_ms": 9.0}
    rivals = {"encoding": {"rows": 1}, "redis, one entry an event": [run, run | {"keeps_up": False}],
              "nats jetstream": {"status": "not run: no server"}}  # fmt: skip
    section = stream_section(stream_report() | {"rivals": rivals})
    assert "| redis, one entry an event | 50,000 | yes | 3.5 | 6.5 | 9 |" in section
    assert "| redis, one entry an event | 50,000 | no |" in section
    assert "| nats jetstream | – | not run: no server |" in section


def test_the_critical_lane_is_judged_in_the_run_with_two_servers() -> None:
    fast, slow = {"p50_ms": 0.6, "p99_ms": 2.0, "p999_ms": 7.0}, {"p50_ms": 1.0, "p99_ms": 300.0, "p999_ms": 400.0}
    shared = {"critical_rate": 500.0, "lost": 0, "duplicated": 0, "bulk": {"events_per_s": 1e6}}
    runs = {"ours: bus and state apart": {"state": fast, "subscriber": fast} | shared,
            "one redis for both": {"state": slow, "subscriber": slow} | shared}  # fmt: skip
    section = critical_section({"hardware": HARDWARE, "runs": runs})
    assert "| critical event into state, p99 ms | 2 | ≤ 10: met | ≤ 3: met |" in section
    assert "| one redis for both | 1,000,000 | 1 / 300 / 400 |" in section


def test_the_hub_is_judged_at_ten_thousand_clients() -> None:
    section = hub_section(hub_report())
    assert "| 500 updates a second, read by the client, p99 ms | 5.20 | ≤ 10: met | – |" in section
    assert "| 500 updates a second, on its socket, p99 ms | 3.40 | ≤ 10: met | ≤ 5: met |" in section
    assert (
        "| full broadcast, hub, 1 worker: p99 over the floor's | 1.20 | ≤ 1.3: met | ≤ 1.1: **missed** |"
        in section
    )
    assert "| memory per connection, KB | 29.0 | ≤ 32: met | ≤ 8: **missed** |" in section
    assert "| 10 % stuck clients: growth, MB | 0.6 | ≤ 5: met | – |" in section
    assert "| reconnect storm: gaps and lost | 1 | ≤ 0: **missed** |" in section
    small = hub_section(hub_report() | {"clients": 200})
    assert small.count("not judged: 200 clients") == 5


def test_a_hub_report_of_one_part_has_the_others_left_out() -> None:
    report = hub_report() | {"broadcast": {}, "memory": {}, "stuck": {}}
    del report["storm"]
    section = hub_section(report)
    assert "Clients that never read" not in section and "One update to all" not in section


def test_ball_to_browser_is_judged_with_and_without_bulk() -> None:
    row = latency(3.0) | {"deliveries_per_s": 13_340, "dropped": 0, "duplicates": 0}
    report = {"hardware": HARDWARE, "clients": 10_000, "games": 15, "hub_workers": 2, "alone": row,
              "with_bulk": row | {"p99_ms": 12.5, "bulk": {"events_per_s": 999_900}}}  # fmt: skip
    section = ball_section(report)
    assert "| alone: p99 ms | 3.00 | – | ≤ 10: met |" in section
    assert "| with bulk beside it: p99 ms | 12.50 | – | ≤ 10: **missed** |" in section
    assert "| with bulk beside it | 999,900 | 13,340 |" in section


def test_tiers_are_judged_in_the_mix() -> None:
    edge = {"asked": 100, "admitted": 99, "share_in_time_of_admitted": 0.998, "p50_ms": 0.1, "p99_ms": 3.0}
    cloud = edge | {"share_in_time_of_admitted": None}
    mix = {"rate_per_s": 3000.0, "tiers": {"edge": edge, "cloud": cloud}}
    report = {"hardware": HARDWARE, "mixes": {"mix": mix, "overload_5x": mix | {"goodput_of_peak": 0.97}}}
    section = tiers_section(report)
    assert "| edge: in time of admitted | 0.9980 | ≥ 0.999: **missed** |" in section
    assert "| mix | 3,000 | cloud | 100 | 99 | – |" in section
    assert "| goodput at 5× overload, of its peak | 0.970 | – | ≥ 0.95: met |" in section


def latency(p99: float) -> dict[str, Any]:
    return {"p50_ms": 1.0, "p99_ms": p99, "p999_ms": 9.0, "max_ms": 12.0, "app_p50_ms": 2.0, "app_p99_ms": 5.2}


def stream_report() -> dict[str, Any]:
    return {
        "hardware": HARDWARE, "rate": 1e6, "seconds": 60.0, "events": 60_000_000, "events_per_s": 999_900.0,
        "p50_ms": 2.3, "p99_ms": 4.4, "p999_ms": 9.2, "max_ms": 13.0, "lost": 0, "duplicated": 0,
        "duplicates_planted": 600_000, "state_equal": True, "cpu_cores": 0.8,
        "cpu": {"producer": {"seconds": 9.0, "cores": 0.15}},
    }  # fmt: skip


def hub_report() -> dict[str, Any]:
    """As bench_hub.py writes it, of a run in which one delta was lost in the storm."""
    row = latency(3.4) | {"dropped": 0, "deliveries_per_s": 83_000, "cpu_us_per_delivery": 18.0,
                          "histogram": {"edges_ms": [1, 5], "counts": [30, 10, 0]}}  # fmt: skip
    once = {"rounds": 8, "cpu_us_per_delivery": 9.0, "dropped": 0, "p50_ms": 45.0}
    side = {"stuck": 20, "stuck_closed": 20, "offered_mb_per_stuck_client": 9.9, "growth_mb": 0.6, "p99_ms": 3.0}
    return {
        "hardware": HARDWARE, "clients": 10_000, "updates": 500, "topics": 300, "topics_per_client": 5,
        **latency(3.4), "dropped": 0, "kb_per_client": 29.0,
        "fan_out": {"hub, 2 workers": {"500": row}},
        "broadcast": {"C floor": once | {"p99_ms": 100.0, "p99_over_floor": 1.0},
                      "hub, 1 worker": once | {"p99_ms": 120.0, "p99_over_floor": 1.2}},
        "memory": {"hub, 2 workers": {"kb_per_client": 29.0, "kb_per_client_after": 31.0, "connect_s": 1.5}},
        "stuck": {"hub, 2 workers": {"none": side | {"growth_mb": 0.1}, "some": side}},
        "storm": {"clients": 10_000, "seconds": 1.9, "gaps": 0, "dropped": 1, "duplicates": 0},
        "skipped": {"Node ws": "install node"},
    }  # fmt: skip
