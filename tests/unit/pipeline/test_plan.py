"""A plan is written and read back as it was, and its faults are told all at once."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from headstart.contracts.format import Columns
from headstart.kernel.errors import SettingsError
from headstart.pipeline.plan import FAMILY_OF, Plan, read_plan
from headstart.pipeline.plan_file import FORMAT_NUMBER, write_plan
from headstart.pipeline.record import Decision
from headstart.runners.compiled import Compiled
from headstart.runners.openvino import OpenVino

EVERYTHING = Plan(
    data="photos/été",
    format="table",
    columns=Columns(text=("title", "body"), label="stars", group="patient", slices=("camera", "site"), part="fold"),
    task="classification",
    backbone="hf-hub:timm/resnet18",
    weights="weights.safetensors",
    tuning="full",
    objective="supervised",
    augmentation="affine",
    runner="eager",
    seed=7,
    budget=12.5,
    scratch=False,
    settings={
        "tuning": {"epochs": 3, "rates_tried": [0.3, 1.0], "learning_rate": 3e-05},
        "backbone": {"image_size": 64, "architecture": {"name": "x", "sizes": [1, 2], "deep": {"flag": True}}},
        "task": {"classes": ["no", 'y"es', "vielleicht\n"]},
    },
)


def round_trip(plan: Plan, folder: Path) -> Plan:
    write_plan(folder / "plan.toml", plan, ())
    return read_plan(folder / "plan.toml")


@pytest.mark.parametrize("plan", [Plan(data="photos"), EVERYTHING], ids=["defaults", "everything"])
def test_a_plan_comes_back_as_it_was(plan: Plan, tmp_path: Path) -> None:
    assert round_trip(plan, tmp_path) == plan


def test_none_is_a_missing_key_and_so_the_default(tmp_path: Path) -> None:
    plan = Plan(data="photos", settings={"backbone": {"image_size": None, "deep": {"one": None, "two": 2}}})
    again = round_trip(plan, tmp_path)
    assert again.settings == {"backbone": {"deep": {"two": 2}}}
    assert again.budget is None and again.format is None and again.columns == Columns()


def test_a_plan_given_with_tuples_builds_the_same_plugins(tmp_path: Path) -> None:
    plan = Plan(data="x", tuning="scratch", settings={"tuning": {"rates_tried": (0.5, 2.0)}})
    again = round_trip(plan, tmp_path)
    assert again.plugin("tuning") == plan.plugin("tuning")
    assert again.plugin("tuning").rates_tried == (0.5, 2.0)


def test_decisions_stand_beside_the_plan_with_their_reasons(tmp_path: Path) -> None:
    decisions = (Decision(what="backbone", value="resnet18", reason='it is "here"'),)
    write_plan(tmp_path / "plan.toml", EVERYTHING, decisions)
    content = tomllib.loads((tmp_path / "plan.toml").read_text(encoding="utf-8"))
    assert content["decisions"] == [{"what": "backbone", "value": "resnet18", "reason": 'it is "here"'}]
    assert content["columns"]["text"] == ["title", "body"]
    assert read_plan(tmp_path / "plan.toml") == EVERYTHING


def test_a_plan_written_by_hand_needs_the_data_only(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('data = "photos"\ntuning = "full"\n[settings.tuning]\nepochs = 2\n')
    plan = read_plan(tmp_path / "mine.toml")
    assert plan == Plan(data="photos", tuning="full", settings={"tuning": {"epochs": 2}})
    assert plan.plugin("tuning").epochs == 2


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("tuning = 'full'", ["plan.toml.data is missing"]),
        ("data = 'x'\ntunning = 'full'", ["plan.toml.tunning is not a setting. Did you mean 'tuning'?"]),
        ("data = 'x'\nseed = -1\nbudget = 0.0", ["plan.toml.seed = -1", "plan.toml.budget = 0.0"]),
        ("data = 'x'\n[columns]\nlable = 'y'", ["columns.lable is not a setting"]),
        ("data = ", ["cannot be read as a plan"]),
        (f"data = 'x'\nformat_number = {FORMAT_NUMBER + 1}\nnew = 1", ["Please update Headstart"]),
    ],
)
def test_every_fault_of_a_plan_file_is_told(text: str, faults: list[str], tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(text)
    with pytest.raises(SettingsError) as raised:
        read_plan(tmp_path / "plan.toml")
    assert all(fault in str(raised.value) for fault in faults)


def test_a_plan_that_is_not_there_or_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read as a plan"):
        read_plan(tmp_path / "missing.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read as a plan"):
        read_plan(tmp_path / "bytes.toml")


@pytest.mark.parametrize("key", [key for key in FAMILY_OF if key not in ("format", "task", "backbone", "runner")])
def test_the_defaults_are_plugins_that_there_are(key: str) -> None:
    assert Plan(data="x").plugin(key) is not None


def test_checking_tells_all_faults_at_once() -> None:
    plan = Plan(
        data="x",
        tuning="fulll",
        objective="dan",
        task="klassification",
        runner="eager",
        settings={"runner": {"speed": 3}, "augmentations": {}, "scratch": {"epochs": 0}},
    )
    with pytest.raises(SettingsError) as raised:
        plan.check()
    told = str(raised.value)
    for fault in (
        "tuning 'fulll' is not known. Did you mean 'full'?",
        "objective 'dan' is not known",
        "task 'klassification' is not known. Did you mean 'classification'",
        "runner.speed is not a setting",
        "--set part 'augmentations' is not known. Did you mean 'augmentation'?",
        "scratch.epochs = 0",
    ):
        assert fault in told


def test_settings_name_a_runner_where_only_one_has_them() -> None:
    with pytest.raises(SettingsError, match=r"--set runner\.\.\. needs a runner: name one with --runner"):
        Plan(data="x", settings={"runner": {"threads": 1}}).check()
    assert Plan(data="x", settings={"runner": {"half": False}}).named_runner() == Compiled(half=False)
    assert Plan(data="x", settings={"runner": {"precision": "int8"}}).named_runner() == OpenVino(computes_in="int8")


@pytest.mark.parametrize("plan", [Plan(data="x"), EVERYTHING.model_copy(update={"settings": {}})])
def test_a_sound_plan_passes_the_check(plan: Plan) -> None:
    plan.check()


def test_an_augmentation_that_would_do_nothing_is_refused() -> None:
    Plan(data="x", augmentation="affine").check()
    with pytest.raises(SettingsError, match="would do nothing"):
        Plan(data="x", augmentation="affine", scratch=False).check()


@pytest.mark.parametrize("objective", ["l2_sp", "contrastive"])
def test_an_objective_that_would_do_nothing_is_refused(objective: str) -> None:
    Plan(data="x", tuning="full", objective=objective).check()
    with pytest.raises(SettingsError, match=f"objective '{objective}' would do nothing.*--tuning full"):
        Plan(data="x", objective=objective).check()


def test_an_augmentation_of_other_inputs_is_refused() -> None:
    plan = Plan(data="x", tuning="full", augmentation="affine")
    plan.suit("image")
    with pytest.raises(SettingsError, match="'affine' changes image inputs, the data are text"):
        plan.suit("text")


@pytest.mark.parametrize("values", [{"seed": -1}, {"budget": 0}, {"budget": -3.0}, {"settings": {"tuning": 3}}])
def test_values_out_of_range_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Plan(data="x", **values)


FORMAT_1 = """
format_number = 1
data = "reviews.csv"
task = "classification"
backbone = "all-MiniLM-L6-v2"
weights = "pretrained"
tuning = "probe"
objective = "supervised"
augmentation = "none"
runner = "eager"
seed = 0
scratch = true
decisions = [
    { what = "backbone", value = "all-MiniLM-L6-v2", reason = "it is installed" },
]

[columns]
text = ["review"]
numeric = []
label = "stars"
slices = []

[settings]
"""
"""plan.toml as the first Headstart wrote it. Do not edit it to make a test pass."""


def test_a_plan_of_format_1_stays_readable(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(FORMAT_1)
    plan = read_plan(tmp_path / "plan.toml")
    assert plan == Plan(
        data="reviews.csv",
        task="classification",
        backbone="all-MiniLM-L6-v2",
        columns=Columns(text=("review",), label="stars"),
        runner="eager",
        settings={"tuning": {"refit": False}},
    )
    plan.check()


def test_what_a_plan_of_format_1_solved_on_the_training_part_it_solves_there_again(tmp_path: Path) -> None:
    (tmp_path / "old.toml").write_text('format_number = 1\ndata = "x"\n[settings.tuning]\nrefit = true\n')
    (tmp_path / "new.toml").write_text('data = "x"\n')
    assert [read_plan(tmp_path / f"{name}.toml").refits for name in ("old", "new")] == [True, True]
    (tmp_path / "old.toml").write_text('format_number = 1\ndata = "x"\n[settings.tuning]\n')
    assert not read_plan(tmp_path / "old.toml").refits
    write_plan(tmp_path / "again.toml", read_plan(tmp_path / "old.toml"), ())
    assert not read_plan(tmp_path / "again.toml").refits
    assert not Plan(data="x", settings={"tuning": {"refit": "false"}}).refits
