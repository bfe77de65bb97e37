"""One fit over several seeds: mean and spread, a run per seed, resumed seed by seed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pytest
from small_data import OFFLINE, own_copy

import headstart
from headstart.kernel.errors import RunError, SettingsError
from headstart.pipeline.record import RunRecord
from headstart.pipeline.run_folder import RunFolder
from headstart.pipeline.seeds import sum_up

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def seeds_run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    return headstart.fit(
        photos,
        backbone="test_resnet",
        weights="random",
        settings={"backbone": {"image_size": 32, "seed": 3}},
        scratch=False,
        seed=3,
        seeds=3,
        out=tmp_path_factory.mktemp("runs") / "photos",
    )


def single(run: headstart.Run, seed: int) -> headstart.Run:
    return headstart.load(run.folder / f"seed-{seed}")


def how_intervals_were_made(record: RunRecord) -> str:
    return next(decision.reason for decision in record.decisions if decision.what == "intervals")


def test_the_figures_are_means_over_the_seeds(seeds_run: headstart.Run) -> None:
    runs = [single(seeds_run, seed) for seed in (3, 4, 5)]
    for metric in ("accuracy", "log_loss"):
        values = [run.metrics["test"][metric]["value"] for run in runs]
        assert seeds_run.metrics["test"][metric]["value"] == pytest.approx(mean(values))
        assert seeds_run.metrics["test"][metric]["n"] == 3
        assert seeds_run.record.spreads["model"][metric] == pytest.approx(stdev(values))
    assert seeds_run.record.runs == ("seed-3", "seed-4", "seed-5")
    assert "on 3 seeds" in seeds_run.verdict and "<html" in seeds_run.report.read_text(encoding="utf-8")


def test_each_seed_splits_anew_and_the_interval_says_so(seeds_run: headstart.Run) -> None:
    tests = [{k for k, part in single(seeds_run, s).parts.items() if part == "test"} for s in (3, 4, 5)]
    assert tests[0] != tests[1] != tests[2]
    assert "resampling those of all runs together" in how_intervals_were_made(seeds_run.record)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PK")])
def test_runs_without_their_resamples_have_intervals_as_of_old(
    damage: Callable[[Path], Any], seeds_run: headstart.Run, here: Path
) -> None:
    runs = [RunFolder(shutil.copytree(seeds_run.folder / f"seed-{seed}", here / str(seed))) for seed in (3, 4, 5)]
    assert sum_up(runs, here, 0.25).arms == seeds_run.record.arms
    damage(runs[1].folder / "test_resamples.npz")
    assert "Nadeau & Bengio" in how_intervals_were_made(sum_up(runs, here, 0.25))


def test_a_seed_is_the_fit_with_that_seed(seeds_run: headstart.Run, photos: Path, here: Path) -> None:
    alone = headstart.fit(
        photos,
        backbone="test_resnet",
        weights="random",
        settings={"backbone": {"image_size": 32, "seed": 3}},
        runner=single(seeds_run, 3).plan.runner,
        scratch=False,
        seed=4,
        out=here / "alone",
    )
    assert alone.parts == single(seeds_run, 4).parts


def test_the_frozen_pass_is_made_once(
    reviews_csv: Path, bert: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(here / "cache"))
    columns = {"text": "review", "label": "mood"}
    run = headstart.fit(reviews_csv, **columns, backbone=str(bert), scratch=False, seed=7, seeds=3, out=here / "run")
    passes = [single(run, seed).record.frozen_pass for seed in (7, 8, 9)]
    assert [(found.computed, found.reused) for found in passes] == [(60, 0), (0, 60), (0, 60)]


def test_the_command_tells_the_spread(here: Path, photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photos, *OFFLINE, "--no-scratch", "--seeds", 2, "--out", "two")
    assert ended.code == 0, ended.err
    assert "standard deviation" in ended.out and "on 2 seeds" in " ".join(ended.out.split())
    assert "Seed 1, 2 of 2" in ended.err


def test_a_stopped_fit_goes_on_with_the_seeds_that_are_left(
    here: Path, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ("fit", photos, *OFFLINE, "--no-scratch", "--seeds", 3, "--out", "three")
    from headstart.verbs import fit as module

    real, made = module.train_arms, []

    def once(context: Any) -> Any:
        if made:
            raise KeyboardInterrupt
        made.append(True)
        return real(context)

    monkeypatch.setattr(module, "train_arms", once)
    assert headstart_command(*line).code == 130
    assert [path.name for path in Path("three").glob("seed-*")] == ["seed-0"]
    stamp = Path("three/seed-0/record.json").stat().st_mtime_ns
    monkeypatch.setattr(module, "train_arms", real)
    ended = headstart_command(*line)
    assert ended.code == 0, ended.err
    assert "three/seed-0 is there already" in ended.err
    assert Path("three/seed-0/record.json").stat().st_mtime_ns == stamp
    assert headstart.load("three").record.runs == ("seed-0", "seed-1", "seed-2")


def test_the_plan_of_a_study_repeats_it(seeds_run: headstart.Run, here: Path) -> None:
    again = headstart.fit(seeds_run.folder / "plan.toml", out=here / "again")
    assert again.metrics == seeds_run.metrics


def test_a_given_split_is_the_same_for_every_seed(photos: Path, here: Path) -> None:
    split = here / "split"
    for part, numbers in {"train": range(12), "val": range(12, 16), "test": range(16, 20)}.items():
        for name in ("dark", "light"):
            (split / part / name).mkdir(parents=True)
            for number in numbers:
                (split / part / name / f"{number}.png").write_bytes((photos / name / f"{number:03d}.png").read_bytes())
    small: dict[str, Any] = {
        "backbone": "test_resnet",
        "weights": "random",
        "settings": {"backbone": {"image_size": 32}},
    }
    run = headstart.fit(split, **small, scratch=False, seeds=2, out=here / "run")
    assert "resampling those of all runs together" in how_intervals_were_made(run.record)


# --- mistakes ---


@pytest.mark.parametrize("seeds", ["0", "-1", "two"])
def test_no_such_number_of_seeds(seeds: str, photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photos, "--seeds", seeds)
    assert ended.code == 2 and "--seeds" in ended.err


def test_no_such_number_of_seeds_in_python(photos: Path) -> None:
    with pytest.raises(SettingsError, match=r"fit\.seeds = 0"):
        headstart.fit(photos, seeds=0)


def test_a_study_has_no_model_of_its_own(seeds_run: headstart.Run, photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("predict", seeds_run.folder, photos)
    assert ended.code == 5 and "has no model of its own. Take one of" in ended.err and "seed-3" in ended.err
    ended = headstart_command("fit", photos, "--from", seeds_run.folder)
    assert ended.code == 5 and "has no model of its own" in ended.err


def test_data_that_changed_between_seeds_are_refused(
    here: Path, photos: Path, headstart_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_copy(photos, here / "photos")
    line = ("fit", own, *OFFLINE, "--no-scratch", "--seeds", 2, "--out", "two")
    assert headstart_command(*line).code == 0
    Path("two/record.json").unlink()  # as if it had been stopped before the second seed
    Path("two/seed-1/record.json").unlink()
    (own / "dark" / "003.png").unlink()
    ended = headstart_command(*line)
    assert ended.code == 5 and "are not the same: they changed in between" in ended.err


def test_a_wrong_path_leaves_nothing_behind(here: Path, headstart_command: Command) -> None:
    assert headstart_command("fit", "nowhere", "--seeds", 2).code == 3
    assert not Path("runs").exists() or not any(Path("runs").iterdir())


def test_json_holds_the_means(here: Path, photos: Path, headstart_command: Command) -> None:
    ended = headstart_command("fit", photos, *OFFLINE, "--no-scratch", "--seeds", 2, "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out)["test"]["accuracy"]["n"] == 2
    with pytest.raises(RunError, match="holds a run already"):
        headstart.fit(photos, seeds=2, out=here / "runs" / "photos", scratch=False)
