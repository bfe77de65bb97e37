"""A run folder is new, the unfinished one of the same request, or refused; what is not a run is never touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from headstart.kernel.errors import DataError, HeadstartError, RunError, TrainingError
from headstart.pipeline.claim import REQUEST, WORK, claimed, refuse_taken
from headstart.pipeline.plan import Plan
from headstart.pipeline.record import FILE_NAME

PLAN = Plan(data="data/photos.csv")
OTHER = Plan(data="data/photos.csv", seed=1)


def start(out: Path | None, plan: Plan = PLAN, *, overwrite: bool = False) -> tuple[Path, bool]:
    """Claim a folder and leave it unfinished, as a killed run does, with a checkpoint in it."""
    with claimed(out, plan, overwrite=overwrite) as (folder, resumes):
        (folder / WORK).mkdir(exist_ok=True)
        (folder / WORK / "model.checkpoint").write_text("weights")
    return folder, resumes


def finish(folder: Path) -> None:
    (folder / FILE_NAME).write_text("{}")


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


def test_another_request_is_refused_and_may_replace(out: Path) -> None:
    start(out)
    with pytest.raises(RunError, match=r"unfinished run of another request. Give another --out, or --overwrite"):
        start(out, OTHER)
    assert (out / WORK / "model.checkpoint").exists()
    (out / "report.html").write_text("old")
    assert start(out, OTHER, overwrite=True) == (out, False)
    assert not (out / "report.html").exists()
    assert start(out, OTHER) == (out, True)


@pytest.mark.parametrize("plan", [PLAN, OTHER], ids=["same request", "another"])
def test_a_finished_run_is_refused_and_may_be_replaced(out: Path, plan: Plan) -> None:
    start(out)
    finish(out)
    with pytest.raises(RunError, match="holds a run already"):
        start(out, plan)
    assert (out / FILE_NAME).exists()
    assert start(out, plan, overwrite=True) == (out, False)
    assert not (out / FILE_NAME).exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_never_touched(out: Path, overwrite: bool) -> None:
    out.mkdir(parents=True)
    (out / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match="holds something that is no run"):
        start(out, overwrite=overwrite)
    assert [path.name for path in out.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(RunError, match="no run"):
        start(tmp_path / "run", overwrite=True)
    assert (tmp_path / "run").read_text() == "a file"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', '{"url": "https://example.org"}'])
def test_a_folder_whose_mark_is_not_ours_is_never_touched(out: Path, content: str) -> None:
    start(out)
    (out / REQUEST).write_text(content)
    with pytest.raises(RunError, match="holds something that is no run"):
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
