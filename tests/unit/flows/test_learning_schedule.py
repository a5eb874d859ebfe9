"""The schedule of continuous learning stands beside the others, and can be left out."""

from __future__ import annotations

import pytest

from flows.deployments import OFF, REPOSITORY, line_schedules
from flows.spec import LineSpec


@pytest.mark.parametrize(("cron", "names"), [("0 4 * * *", ["daily", "learn"]), (OFF, ["daily"])])
def test_learning_is_scheduled_unless_it_is_off(cron: str, names: list[str]) -> None:
    found = line_schedules(LineSpec(), daily_cron="0 9 * * *", live_cron=OFF, learn_cron=cron)
    assert [one.name for one in found] == names
    for one in found:
        path, function = one.entrypoint.split(":")
        assert f"def {function}(spec: LineSpec" in (REPOSITORY / path).read_text(encoding="utf-8")
    assert all(one.parameters == found[0].parameters for one in found)
