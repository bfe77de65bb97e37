"""Fine-tuning further: a finished run goes on with more data and says what it forgot; and mistakes on the way."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from small_data import OFFLINE, measurements, own_copy, photo_folder

import headstart
from headstart.kernel.errors import DataError, RunError, SettingsError

Command = Callable[..., Any]
FEW: dict[str, Any] = {"scratch": False, "settings": {"tuning": {"epochs": 2}}}


@pytest.fixture(scope="module")
def photo_run(photo_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, in which readings of the test part are counted."""
    return own_copy(photo_run, tmp_path_factory.mktemp("runs") / "photos")


@pytest.fixture(scope="module")
def more_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of both known classes and of a third one."""
    return photo_folder(tmp_path_factory.mktemp("data") / "more", {"dark": 12, "grey": 15, "light": 12}, seed=7)


@pytest.fixture(scope="module")
def further_run(photo_run: Path, more_photos: Path, tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    out = tmp_path_factory.mktemp("runs") / "further"
    return headstart.fit(more_photos, from_run=photo_run, out=out, **FEW)


def head_of(run: Path) -> dict[str, Any]:
    weights = load_file(run / "model" / "model.safetensors")
    return {name.removeprefix("heads.head."): w for name, w in weights.items() if name.startswith("heads.")}


def test_the_command_shows_the_old_test_figure_beside_the_new_one(
    here: Path, photo_run: Path, more_photos: Path, headstart_command: Command
) -> None:
    flags = ("--no-scratch", "--set", "tuning.epochs=2", "--out", "runs/further")
    ended = headstart_command("fit", more_photos, "--from", photo_run, *flags)
    assert ended.code == 0, ended.err
    words = " ".join(ended.out.split())
    assert (
        f"on 8 old test examples of {photo_run}: Accuracy 100.0 %" in words and "before" in words and "after" in words
    )
    document = json.loads(Path("runs/further/metrics.json").read_text())
    assert document["forgetting"]["examples"] == 8
    assert document["forgetting"]["before"]["accuracy"]["value"] == 1.0


def test_forgetting_is_in_record_and_metrics(further_run: headstart.Run, photo_run: Path) -> None:
    found = further_run.record.forgetting
    assert found is not None and found.run == str(photo_run) and found.examples == 8
    assert found.metric == "accuracy" and found.before["accuracy"].value == 1.0
    assert found.difference is not None
    assert found.difference.value == pytest.approx(found.after["accuracy"].value - 1.0)
    assert found.difference.low <= found.difference.value <= found.difference.high
    assert further_run.metrics["old_test_before"]["accuracy"]["value"] == 1.0
    assert set(further_run.metrics) == {"test", "old_test_before", "old_test_after"}


def test_what_is_left_out_is_as_in_the_run(further_run: headstart.Run) -> None:
    plan = further_run.plan
    assert (plan.task, plan.tuning, plan.backbone) == ("classification", "full", plan.from_run)
    assert further_run.model.task.classes == ("dark", "light", "grey")  # type: ignore[attr-defined]
    assert further_run.record.backbone == "test_resnet from run photos"
    assert further_run.record.arms["model"].title == "full tuning of test_resnet from run photos"


def test_a_run_that_went_on_predicts_evaluates_and_can_be_repeated(
    further_run: headstart.Run, more_photos: Path, here: Path
) -> None:
    assert set(further_run.predict(more_photos)["prediction"]) <= {"dark", "light", "grey"}
    assert further_run.evaluate(more_photos).n == 39
    again = headstart.fit(further_run.folder / "plan.toml", out=here / "again")
    assert again.metrics["test"] == further_run.metrics["test"]


def test_the_head_goes_on_from_the_old_one(photo_run: Path, more_photos: Path, here: Path) -> None:
    settings = {"tuning": {"epochs": 1, "head_learning_rate": 1e-12}}
    run = headstart.fit(
        more_photos, from_run=photo_run, tuning="head_only", settings=settings, scratch=False, out=here / "still"
    )
    old, new = head_of(photo_run), head_of(run.folder)
    assert new["weight"].shape == (3, old["weight"].shape[1])
    assert float((new["weight"][:2] - old["weight"]).abs().max()) < 1e-9
    assert float((new["bias"][:2] - old["bias"]).abs().max()) < 1e-9
    assert 0 < float(new["weight"][2].abs().max()) < 0.1
    found = run.record.forgetting
    assert found is not None and found.after["log_loss"].value > 0


def test_forgetting_is_named_loudly(photos: Path, here: Path, headstart_command: Command) -> None:
    fitted = headstart_command("fit", photos, *OFFLINE, "--no-scratch", "--out", "first")
    assert fitted.code == 0, fitted.err
    more = photo_folder(here / "swapped", {"light": 60, "dark": 60}, seed=3)  # what was light is called dark
    flags = ("--no-scratch", "--set", "tuning.epochs=30", "--set", "tuning.learning_rate=0.003", "--out", "second")
    ended = headstart_command("fit", more, "--from", "first", *flags, "--set", "tuning.head_learning_rate=0.03")
    assert ended.code == 0, ended.err
    assert "FORGETTING on 8 old test examples of first: Accuracy 100.0 %" in " ".join(ended.out.split())
    found = headstart.load("second").record.forgetting
    assert found is not None and found.verdict == "worse" and found.difference is not None and found.difference.high < 0


def test_old_test_examples_among_the_new_data_are_a_leak_and_not_compared(
    photos: Path, photo_run: Path, here: Path
) -> None:
    more = photo_folder(here / "more", {"dark": 12, "light": 12}, seed=5)
    parts = headstart.load(photo_run).parts
    tests = [line for line in (photo_run / "split.csv").read_text().splitlines() if line.endswith(",test")]
    assert sum(part == "test" for part in parts.values()) == 8
    for line in tests[:3]:
        origin = line.split(",")[0]
        shutil.copy(photos / origin, more / origin.replace("/", "/old-"))
    # a given split, so that the old test examples are trained on for sure
    for place, names in {"train": None, "test": {"000.png", "001.png", "002.png"}}.items():
        for file in [f for f in more.glob("*/*.png") if f.parent.name in ("dark", "light")]:
            if names is None or file.name in names:
                (more.parent / "split" / place / file.parent.name).mkdir(parents=True, exist_ok=True)
        for file in list(more.glob("*/*.png")):
            if (place == "test") == (file.name in {"000.png", "001.png", "002.png"}):
                shutil.copy(file, more.parent / "split" / place / file.parent.name / file.name)
    run = headstart.fit(more.parent / "split", from_run=photo_run, out=here / "run", **FEW)
    found = run.record.forgetting
    assert found is not None and found.examples == 5 and len(found.leaked) == 3
    assert all("old-" in trouble.origin for trouble in found.leaked)


def test_examples_that_the_run_learnt_from_leave_the_new_test_part(photos: Path, photo_run: Path, here: Path) -> None:
    both = own_copy(photos, here / "both")
    for file in photo_folder(here / "new", {"dark": 10, "light": 10}, seed=9).glob("*/*.png"):
        shutil.copy(file, both / file.parent.name / f"new-{file.name}")
    run = headstart.fit(both, from_run=photo_run, seed=4, out=here / "run", **FEW)
    old = headstart.load(photo_run).parts
    test = {key for key, part in run.parts.items() if part == "test"}
    assert test and not any(old.get(key) in ("train", "val") for key in test)
    assert any("learnt from them" in note for note in run.record.data.notes)


def test_reading_the_old_test_part_is_counted(photo_run: Path, more_photos: Path, here: Path) -> None:
    own = own_copy(photo_run, here / "own")
    before = headstart.load(own).record.test_reads
    headstart.fit(more_photos, from_run=own, out=here / "run", **FEW)
    assert headstart.load(own).record.test_reads == before + 1


def test_old_data_that_are_gone_are_told(more_photos: Path, here: Path) -> None:
    photos = photo_folder(here / "photos")
    first = headstart.fit(photos, backbone="test_resnet", weights="random", scratch=False, out=here / "first")
    shutil.rmtree(photos)
    run = headstart.fit(more_photos, from_run=first, out=here / "run", **FEW)
    found = run.record.forgetting
    assert found is not None and not found.examples and found.difference is None
    assert "are no longer there" in found.notes[0] and "Forgetting unknown" in run.verdict


def test_regression_keeps_its_scale(number_run: Path, here: Path) -> None:
    more = measurements(120).tail(40)
    more = more.assign(length=more["length"] + 0.01, target=100 * more["target"])
    run = headstart.fit(more, from_run=number_run, tuning="head_only", out=here / "run", **FEW)
    old, new = headstart.load(number_run).model.task, run.model.task
    assert (new.mean, new.scale) == (old.mean, old.scale)  # type: ignore[attr-defined]


# --- mistakes ---


def test_a_folder_that_is_no_run_is_refused(here: Path, more_photos: Path, headstart_command: Command) -> None:
    for name, message in {"nowhere": "nowhere is not a folder", str(more_photos): "has no record.json"}.items():
        ended = headstart_command("fit", more_photos, "--from", name)
        assert (ended.code, message in ended.err) == (5, True), ended.err
    assert not Path("runs").exists()


def test_data_of_another_kind_are_refused(
    photo_run: Path, reviews_csv: Path, number_run: Path, more_photos: Path, here: Path
) -> None:
    with pytest.raises(DataError, match="takes image inputs; the data hold text inputs"):
        headstart.fit(reviews_csv, from_run=photo_run, text="review", label="mood")
    with pytest.raises(DataError, match="an image folder has no columns"):
        headstart.fit(more_photos, from_run=number_run)
    with pytest.raises(DataError, match="takes image inputs; the data hold table inputs"):
        headstart.fit(measurements(), label="target", from_run=photo_run)
    assert not Path("runs").exists()


def test_nothing_new_is_refused(photos: Path, photo_run: Path, here: Path) -> None:
    with pytest.raises(DataError, match="holds nothing new: all 40 inputs are among those of"):
        headstart.fit(photos, from_run=photo_run)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tuning": "probe"}, "solves for a new head.*--tuning head_only"),
        ({"tuning": "scratch"}, "starts from random weights"),
        ({"task": "regression"}, "does classification.*give --backbone"),
        ({"backbone": "resnet18"}, "own backbone.*without --from"),
        ({"weights": "random"}, "own backbone"),
        ({"seeds": 0}, "fit.seeds = 0"),
    ],
)
def test_settings_that_cannot_go_on_are_refused(
    given: dict[str, Any], message: str, photo_run: Path, more_photos: Path
) -> None:
    with pytest.raises(SettingsError, match=message):
        headstart.fit(more_photos, from_run=photo_run, **given)


def test_a_run_does_not_overwrite_what_it_goes_on_from(photo_run: Path, more_photos: Path, here: Path) -> None:
    own = own_copy(photo_run, here / "own")
    with pytest.raises(RunError, match="goes on from"):
        headstart.fit(more_photos, from_run=own, out=own, overwrite=True)
    assert headstart.load(own).model is not None


def test_a_run_as_backbone_for_another_task_stays_possible(photo_run: Path, more_photos: Path, here: Path) -> None:
    run = headstart.fit(more_photos, backbone=str(photo_run), scratch=False, out=here / "run")
    assert run.record.forgetting is None and run.model.task.classes == ("dark", "grey", "light")  # type: ignore[attr-defined]


@pytest.mark.parametrize("more", [1, 25])
def test_what_the_head_learnt_from_validates_nothing(more: int, photo_run: Path, photos: Path, tmp_path: Path) -> None:
    data = shutil.copytree(photos, tmp_path / "photos")
    for picture in sorted(photo_folder(tmp_path / "more", {"dark": more, "light": more}, seed=21).rglob("*.png")):
        shutil.copy(picture, data / picture.parent.name / f"new-{picture.name}")
    if more == 1:
        with pytest.raises(DataError, match=r"nothing to validate on: .* learnt from all 6 examples of the val part"):
            headstart.fit(data, from_run=photo_run, out=tmp_path / "run", **FEW)
        return
    notes = headstart.fit(data, from_run=photo_run, out=tmp_path / "run", **FEW).record.data.notes
    assert any("learnt from them" in note and "of the val part" in note for note in notes)
