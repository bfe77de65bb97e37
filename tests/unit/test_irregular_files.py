"""Pipes, devices and sockets where files are expected: they are named, and nothing waits for them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from forked_processes import Forked
from headstart.cli.app import app
from headstart.verbs.inspect import inspect
from scans import save_coco

pytestmark = pytest.mark.slow


def command(*arguments: object) -> None:
    app([str(argument) for argument in arguments], prog_name="headstart")


def ended(*arguments: object) -> tuple[int, str]:
    """The exit code of a command, and what it said."""
    with Forked(command, *arguments, environment={"COLUMNS": "1000"}) as process:
        return process.wait(), process.out + process.err


def pictures(folder: Path, number: int = 4) -> Path:
    for label in ("cats", "dogs"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for seed in range(number):
            noise = np.random.default_rng([seed, label == "cats"]).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(noise).save(folder / label / f"{seed}.png")
    return folder


@pytest.mark.parametrize("ending", "csv tsv parquet json jsonl png conll txt nii nii.gz dcm toml".split())
def test_a_pipe_given_as_the_data_is_refused(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"data.{ending}"
    os.mkfifo(path)
    code, said = ended("inspect", path)
    assert code == 3 and f"{path.name} cannot be read: it is a named pipe, not a regular file" in said


def test_a_plan_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan.toml")
    code, said = ended("fit", tmp_path / "plan.toml")
    assert code == 2 and "it is a named pipe" in said


def test_a_record_that_is_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "record.json")
    code, said = ended("predict", tmp_path, pictures(tmp_path / "photos"))
    assert code == 5 and "it is a named pipe" in said


def test_pipes_and_devices_among_pictures_are_named_and_counted(tmp_path: Path) -> None:
    pictures(tmp_path)
    os.mkfifo(tmp_path / "cats/pipe.png")
    os.mkfifo(tmp_path / "cats/pipe")
    os.symlink("/dev/zero", tmp_path / "dogs/endless.jpg")
    code, said = ended("inspect", tmp_path)
    words = " ".join(said.split())
    assert code == 0 and "2 files cannot be read" in words
    assert "cats/pipe.png cannot be read: it is a named pipe" in words and "it is a device" in words


def test_a_pipe_that_a_table_names_is_counted(tmp_path: Path) -> None:
    pictures(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    rows = [f"{label}/{seed}.png,{label}\n" for label in ("cats", "dogs") for seed in range(4)]
    (tmp_path / "table.csv").write_text("image,label\n" + "".join(rows) + "pipe.png,cats\n")
    code, said = ended("inspect", tmp_path / "table.csv")
    assert code == 0 and "1 file cannot be read" in " ".join(said.split())


def test_a_pipe_among_masks_is_named(tmp_path: Path) -> None:
    pictures(tmp_path / "images")
    (tmp_path / "masks").mkdir()
    for path in (tmp_path / "images").rglob("*.png"):
        mask = tmp_path / "masks" / path.relative_to(tmp_path / "images")
        mask.parent.mkdir(exist_ok=True)
        Image.new("L", (24, 24), 1).save(mask)
    (tmp_path / "masks/cats/0.png").unlink()
    os.mkfifo(tmp_path / "masks/cats/0.png")
    os.mkfifo(tmp_path / "legend.json")
    assert "legend.json: it is a named pipe" in " ".join(ended("inspect", tmp_path)[1].split())
    (tmp_path / "legend.json").unlink()
    assert "the mask cannot be read: it is a named pipe" in " ".join(ended("inspect", tmp_path)[1].split())


def test_pipes_among_the_files_of_coco_and_scans_are_named(tmp_path: Path) -> None:
    save_coco(tmp_path / "coco", range(2))
    os.mkfifo(tmp_path / "coco/other.json")
    (tmp_path / "coco/images/1.png").unlink()
    os.mkfifo(tmp_path / "coco/images/1.png")
    code, said = ended("inspect", tmp_path / "coco")
    assert code == 0 and "images/1.png cannot be read: it is a named pipe" in " ".join(said.split())
    (tmp_path / "scans").mkdir()
    os.mkfifo(tmp_path / "scans/one.nii.gz")
    code, said = ended("inspect", tmp_path / "scans")
    assert code == 3 and "one.nii.gz" in said


@pytest.mark.parametrize("name", ["test.csv", "test.conll"])
def test_a_part_that_is_a_pipe_is_not_passed_over(tmp_path: Path, name: str) -> None:
    content = "text,label\nhello there,a\nbye you,b\n" if name.endswith("csv") else "Anna B-person\nsleeps O\n\n"
    (tmp_path / name.replace("test", "train")).write_text(content * 9)
    os.mkfifo(tmp_path / name)
    code, said = ended("inspect", tmp_path)
    assert code == 3 and "it is a named pipe" in said


def test_links_to_regular_files_are_read(tmp_path: Path) -> None:
    pictures(tmp_path / "there")
    (tmp_path / "here").mkdir()
    for label in ("cats", "dogs"):
        (tmp_path / "here" / label).mkdir()
        for path in (tmp_path / "there" / label).iterdir():
            (tmp_path / "here" / label / path.name).symlink_to(path)
    found = inspect(tmp_path / "here")
    assert found.examples == 8 and not found.unreadable
