"""The plan of a run repeats it alone, and only where its data lie somewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import headstart
from headstart.kernel.errors import SettingsError
from headstart.kernel.settings import Settings
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import write_plan
from headstart.pipeline.pretraining.plan import PretrainPlan

Verb = Callable[..., Any]
VERBS = pytest.mark.parametrize(
    ("verb", "plan"), [(headstart.fit, Plan), (headstart.pretrain, PretrainPlan)], ids=["fit", "pretrain"]
)


@VERBS
def test_a_plan_of_data_from_memory_asks_for_them(verb: Verb, plan: type[Settings], tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    write_plan(path, plan.model_validate({"data": "<DataFrame of 40 rows>"}), ())
    asked = rf"handed over in memory \(<DataFrame of 40 rows>\): give them to {verb.__name__} again"
    with pytest.raises(SettingsError, match=asked):
        verb(path)


@pytest.mark.parametrize("field", ["target", "target_labels", "more_data"])
def test_a_plan_with_a_target_or_a_domain_from_memory_asks_for_it(field: str, tmp_path: Path) -> None:
    path, name = tmp_path / "plan.toml", "<DataFrame of 40 rows>"
    given = {"data": "a.csv", "target": "b.csv", field: (name,) if field == "more_data" else name}
    write_plan(path, Plan.model_validate(given), ())
    with pytest.raises(SettingsError, match=rf"handed over in memory \({name}\): give them to fit again"):
        headstart.fit(path)


@VERBS
def test_a_plan_is_given_alone(verb: Verb, plan: type[Settings], tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    write_plan(path, plan.model_validate({"data": "photos"}), ())
    with pytest.raises(SettingsError, match="says everything itself: edit it, or leave the other settings out"):
        verb(path, seed=3)
