"""A run folder is new, the unfinished one of the same request, or refused; what is not a run is never touched."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from forked_processes import SECONDS, Forked
from headstart.kernel import locks
from headstart.kernel.errors import DataError, HeadstartError, RunError, TrainingError
from headstart.kernel.replacement import destination
from headstart.pipeline.claim import REQUEST, WORK, claimed, is_done, lacks_report, refuse_taken
from headstart.pipeline.plan import Plan
from headstart.pipeline.record import FILE_NAME, REPORT
from headstart.pipeline.run_folder import RunFolder

PLAN = Plan(data="data/photos.csv")
OTHER = Plan(data="data/photos.csv", seed=1)


def start(out: Path | None, plan: Plan = PLAN, *, overwrite: bool = False) -> tuple[Path, bool]:
    """Claim a folder and leave it unfinished, as a killed run does, with a checkpoint in it."""
    with claimed(out, plan, overwrite=overwrite) as (folder, resumes):
        (folder / WORK).mkdir(exist_ok=True)
        (folder / WORK / "model.checkpoint").write_text("weights")
    return folder, resumes


def finish(folder: Path) -> None:
    shutil.rmtree(folder / WORK, ignore_errors=True)
    for name in (FILE_NAME, REPORT):
        (folder / name).write_text("{}")


def trial(folder: Path) -> dict[str, str]:
    """Every file of a folder with its content."""
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "run"


def test_a_new_folder_is_made_and_marked(out: Path) -> None:
    assert start(out) == (out, False)
    assert json.loads((out / REQUEST).read_text()).keys() == {"request"}


def test_an_empty_folder_is_free(out: Path) -> None:
    out.mkdir(parents=True)
    assert start(out) == (out, False)


def test_the_same_request_goes_on(out: Path) -> None:
    start(out)
    assert start(out) == (out, True)
    assert (out / WORK / "model.checkpoint").exists()


@pytest.mark.parametrize("finished", [False, True])
def test_another_request_is_refused_and_may_replace_the_run_when_it_is_whole(out: Path, finished: bool) -> None:
    start(out)
    if finished:
        finish(out)
    before = trial(out)
    with pytest.raises(RunError, match=r"run.*Give another --out, or --overwrite to replace it"):
        start(out, OTHER)
    with claimed(out, OTHER, overwrite=True) as (folder, resumes):
        assert not resumes and destination(folder) == out
        assert trial(out) == before
        finish(folder)
    assert set(trial(out)) == {REQUEST, FILE_NAME, REPORT}
    assert is_done(out, OTHER) and not is_done(out, PLAN)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_the_same_request_may_replace_its_finished_run(out: Path) -> None:
    start(out)
    finish(out)
    (out / "model").mkdir()
    with pytest.raises(RunError, match="holds a run already"):
        start(out)
    with claimed(out, PLAN, overwrite=True) as (folder, resumes):
        assert not resumes
        finish(folder)
    assert not (out / "model").exists() and is_done(out, PLAN)


@pytest.mark.parametrize("error", [TrainingError("the loss became nan"), DataError("no labels"), KeyboardInterrupt()])
def test_what_fails_to_replace_a_run_leaves_it_and_nothing_else(out: Path, error: BaseException) -> None:
    start(out)
    finish(out)
    before = trial(out)
    with pytest.raises(type(error)), claimed(out, OTHER, overwrite=True) as (folder, _):
        (folder / "plan.toml").write_text("data = 'x'")
        raise error
    assert trial(out) == before
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_what_was_stopped_before_it_replaced_a_run_goes_on(out: Path) -> None:
    start(out)
    finish(out)
    for resumes in (False, True):
        with pytest.raises(KeyboardInterrupt), claimed(out, OTHER, overwrite=True) as (folder, resumed):
            assert resumed == resumes
            (folder / WORK).mkdir(exist_ok=True)
            (folder / WORK / "model.checkpoint").write_text("weights")
            raise KeyboardInterrupt
    assert is_done(out, PLAN)
    with claimed(out, Plan(data="data/photos.csv", seed=2), overwrite=True) as (other, resumed):
        assert other == folder and not resumed and not (other / WORK).exists()


@pytest.mark.parametrize("crash", ["before the first rename", "between the renames", "before the old run is deleted"])
def test_a_crash_while_a_run_is_replaced_leaves_one_that_the_next_look_finds(
    out: Path, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(out)
    finish(out)
    rename, rmtree, count = os.rename, shutil.rmtree, itertools.count()

    def crashing(source: Path, target: Path) -> None:
        if next(count) == ("before the first rename", "between the renames").index(crash):
            raise KeyboardInterrupt
        rename(source, target)

    def stop_at_a_folder(path: Path, ignore_errors: bool = False) -> None:
        if path.exists():
            raise KeyboardInterrupt
        rmtree(path, ignore_errors=ignore_errors)

    with pytest.raises(KeyboardInterrupt), claimed(out, OTHER, overwrite=True) as (folder, _):
        finish(folder)
        (folder / FILE_NAME).write_text('{"new": 1}')
        if crash == "before the old run is deleted":
            monkeypatch.setattr(shutil, "rmtree", stop_at_a_folder)
        else:
            monkeypatch.setattr(os, "rename", crashing)
    monkeypatch.undo()
    old_stands = crash == "before the first rename"
    assert RunFolder(out).folder == out
    assert (out / FILE_NAME).read_text() == ("{}" if old_stands else '{"new": 1}')
    assert lacks_report(out, OTHER, overwrite=True) == old_stands
    if old_stands:
        with claimed(out, OTHER, overwrite=True) as (_, resumed):
            assert resumed
    assert is_done(out, OTHER)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_run_behind_a_link_is_replaced_where_it_lies(out: Path, tmp_path: Path) -> None:
    start(out)
    finish(out)
    (tmp_path / "link").symlink_to(out)
    with claimed(tmp_path / "link", OTHER, overwrite=True) as (folder, _):
        finish(folder)
    assert (tmp_path / "link").is_symlink() and is_done(out, OTHER)


@pytest.mark.parametrize("of", ["data", "backbone", "weights", "from_run"])
def test_a_run_with_an_input_in_it_is_not_replaced(out: Path, of: str) -> None:
    start(out)
    finish(out)
    (out / "model").mkdir()
    needed = OTHER.model_copy(update={of: str(out / "model")})
    for begin in (start, refuse_taken):
        with pytest.raises(RunError, match="is needed for this run, and would be replaced"):
            begin(out, needed, overwrite=True)
    assert is_done(out, PLAN)


def hold(out: Path, overwrite: bool) -> None:
    """Claim a run and keep it until the end."""
    with claimed(out, PLAN, overwrite=overwrite):
        print("held", flush=True)
        time.sleep(SECONDS)


@pytest.mark.slow
@pytest.mark.parametrize("overwrite", [False, True])
def test_two_processes_are_kept_apart_and_a_killed_one_is_in_nobodys_way(out: Path, overwrite: bool) -> None:
    if overwrite:
        start(out, OTHER)
        finish(out)
    with Forked(hold, out, overwrite) as process:
        while "held" not in process.out:
            assert process.alive(), process.err
            time.sleep(0.005)
        for begin in (start, refuse_taken):
            with pytest.raises(RunError, match="is being written by another process"):
                begin(out, PLAN, overwrite=overwrite)
        process.send(signal.SIGKILL)
        process.wait()
    refuse_taken(out, PLAN, overwrite=overwrite)
    start(out, PLAN, overwrite=overwrite)


def test_where_there_are_no_locks_runs_are_written_all_the_same(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "fcntl", None)
    start(out)
    refuse_taken(out, PLAN, overwrite=False)
    assert start(out) == (out, True)


@pytest.mark.parametrize("odd", ["~nobody/photos", "x" * 5000, "a\x00b"])
def test_odd_names_of_data_are_left_to_the_reading(odd: str, out: Path) -> None:
    start(out)
    finish(out)
    refuse_taken(out, Plan(data=odd), overwrite=True)


def test_a_name_that_another_process_writes_to_is_not_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with claimed(None, PLAN, overwrite=False) as (first, _), claimed(None, PLAN, overwrite=False) as (second, _):
        assert (first, second) == (Path("runs/photos"), Path("runs/photos-2"))


def test_a_kill_before_the_request_was_written_leaves_the_folder_free(out: Path) -> None:
    out.mkdir(parents=True)
    (out / REQUEST).touch()
    assert start(out) == (out, False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_never_touched(out: Path, overwrite: bool) -> None:
    out.mkdir(parents=True)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="holds something that is not a run"):
        start(out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunError, match="not a run"):
        start(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run").read_text() == "a file"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', '{"url": "https://example.org"}'])
def test_a_folder_whose_mark_is_not_ours_is_never_touched(out: Path, content: str) -> None:
    start(out)
    (out / REQUEST).write_text(content)
    with pytest.raises(RunError, match="holds something that is not a run"):
        start(out, overwrite=True)
    assert (out / WORK / "model.checkpoint").exists()


@pytest.mark.slow
def test_without_a_name_the_folder_is_called_after_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert start(None) == (Path("runs/photos"), False)
    assert start(None) == (Path("runs/photos"), True)
    finish(Path("runs/photos"))
    assert start(None) == (Path("runs/photos-2"), False)
    assert start(None, OTHER) == (Path("runs/photos-3"), False)
    assert start(None, Plan(data="<DataFrame of 3 rows>")) == (Path("runs/frame"), False)


def test_a_taken_folder_is_refused_before_any_work(out: Path) -> None:
    refuse_taken(None, PLAN, overwrite=False)
    refuse_taken(out, PLAN, overwrite=False)
    assert not out.exists()
    start(out)
    refuse_taken(out, PLAN, overwrite=False)
    with pytest.raises(RunError, match="another request"):
        refuse_taken(out, OTHER, overwrite=False)
    refuse_taken(out, OTHER, overwrite=True)
    assert (out / WORK).exists()


@pytest.mark.parametrize("error", [DataError("no labels"), KeyboardInterrupt(), HeadstartError("disk is full")])
def test_a_run_that_ends_with_nothing_to_go_on_from_gives_its_folder_back(out: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), claimed(out, PLAN, overwrite=False) as (folder, _):
        (folder / "plan.toml").write_text("data = 'x'")
        raise error
    assert not out.exists()


def test_a_run_that_was_stopped_with_a_checkpoint_keeps_it(out: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(out, PLAN, overwrite=False) as (folder, _):
        (folder / WORK).mkdir()
        (folder / WORK / "model.checkpoint").write_text("weights")
        raise KeyboardInterrupt
    assert start(out) == (out, True)


def test_a_training_that_cannot_succeed_leaves_nothing(out: Path) -> None:
    with pytest.raises(TrainingError), claimed(out, PLAN, overwrite=False) as (folder, _):
        (folder / WORK).mkdir()
        raise TrainingError("the loss became nan")
    assert not out.exists()


def test_a_run_that_is_finished_keeps_its_folder_whatever_follows(out: Path) -> None:
    with pytest.raises(HeadstartError), claimed(out, PLAN, overwrite=False) as (folder, _):
        finish(folder)
        raise HeadstartError("the report cannot be written")
    assert (out / FILE_NAME).exists()


def test_a_link_to_nowhere_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RunError, match="cannot write"):
        start(tmp_path / "run")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*file/run: .*Give another --out"):
        start(tmp_path / "file" / "run")
