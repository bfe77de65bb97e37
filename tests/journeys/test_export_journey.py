"""Exports of real runs: gated, replayed by Headstart and by their own check.py, and refused by name."""

from __future__ import annotations

import json
import runpy
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import headstart
from conftest import Command
from headstart.kernel.files import hash_bytes
from quiet_openvino import library_or_skip

OLD = Path(__file__).parent / "old_runs"
DATA = {"image-probe": "photos", "text-full": "reviews.csv", "segmentation": "cells"}
CASES = [("image-probe", to) for to in ("onnx", "openvino", "torch")]
CASES += [("text-full", "onnx"), ("text-full", "openvino"), ("segmentation", "onnx")]


def exported(name: str, to: str, out: Path, **options: object) -> Path:
    options = {"data": OLD / "data" / DATA[name], **options}
    return Path(headstart.export(OLD / name, to=to, out=out, **options).folder)  # type: ignore[arg-type]


def numbered(number: int, source: str, target: str) -> str:
    """Copy a file under a name with a number."""
    return str(shutil.copyfile(source, Path(target).with_stem(f"{number}-{Path(target).stem}")))


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported("image-probe", "openvino", tmp_path_factory.mktemp("exports") / "photos")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "to"), CASES)
def test_an_export_gives_what_its_run_gives_and_replays_itself(
    name: str, to: str, headstart_command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    data = OLD / "data" / DATA[name]
    ended = headstart_command("export", OLD / name, "--to", to, "--data", data, "--out", "out", "--json")
    assert not ended.code, ended.err
    gate = json.loads(ended.out)["gate"]
    assert gate["examples"] > 10 and gate["difference"] <= 1e-3 and gate["batch_sizes"] == [1, 2, 7]
    runpy.run_path("out/check.py")
    assert "give their outputs" in capsys.readouterr().out
    assert len(Path("out/check.py").read_text().splitlines()) <= 42
    again = headstart_command("evaluate", "out")
    assert not again.code and "8 golden inputs" in again.out


@pytest.mark.slow
def test_int8_takes_the_place_of_float32_where_enough_examples_show_that_it_costs_nothing(
    tmp_path: Path, headstart_command: Command
) -> None:
    library_or_skip("nncf")
    photos = OLD / "data" / "photos"
    for copy in range(15):
        shutil.copytree(photos, tmp_path / "many", dirs_exist_ok=True, copy_function=partial(numbered, copy))
    out = exported("image-probe", "openvino", tmp_path / "out", int8=True, data=tmp_path / "many")
    told = json.loads((out / "export.json").read_text())
    assert told["precision"] == "int8" and not told["notes"] and told["gate"]["drop"]
    again = headstart_command("evaluate", out)
    assert not again.code and "8 golden inputs" in again.out


@pytest.mark.slow
def test_int8_whose_cost_is_not_proven_leaves_float32(tmp_path: Path, headstart_command: Command) -> None:
    library_or_skip("nncf")
    out = exported("image-probe", "onnx", tmp_path / "out", int8=True)
    told = json.loads((out / "export.json").read_text())
    assert told["precision"] == "float32" and "may be worse by up to" in told["notes"][0] and told["gate"]["drop"]
    assert not headstart_command("evaluate", out).code


def test_a_changed_file_is_named(export: Path, tmp_path: Path, headstart_command: Command) -> None:
    copy = shutil.copytree(export, tmp_path / "copy")
    (copy / "preprocess.json").write_text("{}")
    ended = headstart_command("evaluate", copy)
    assert ended.code == 5 and f"{copy / 'preprocess.json'} was changed" in ended.err


def test_the_first_golden_difference_is_named(export: Path, tmp_path: Path, headstart_command: Command) -> None:
    copy = shutil.copytree(export, tmp_path / "copy")
    golden = load_file(copy / "golden.safetensors")
    golden["output.logits"][3, 1] += 1
    save_file(golden, copy / "golden.safetensors")
    description = json.loads((copy / "export.json").read_text())
    description["files"]["golden.safetensors"] = hash_bytes((copy / "golden.safetensors").read_bytes())
    (copy / "export.json").write_text(json.dumps(description))
    ended = headstart_command("evaluate", copy)
    assert ended.code == 5 and "output 'logits' of input 3 is" in ended.err and "at (1,)" in ended.err
    with pytest.raises(SystemExit, match="logits differs by up to 1 "):
        runpy.run_path(str(copy / "check.py"))


def test_other_preprocessing_is_named(export: Path, tmp_path: Path, headstart_command: Command) -> None:
    copy = shutil.copytree(export, tmp_path / "copy")
    golden = load_file(copy / "golden.safetensors")
    golden["input.input"][5] += 3
    save_file(golden, copy / "golden.safetensors")
    description = json.loads((copy / "export.json").read_text())
    description["files"]["golden.safetensors"] = hash_bytes((copy / "golden.safetensors").read_bytes())
    (copy / "export.json").write_text(json.dumps(description))
    ended = headstart_command("evaluate", copy)
    assert ended.code == 5 and "become other tensors on this machine: input 5 by up to" in ended.err


def test_golden_inputs_are_the_real_files(export: Path) -> None:
    golden, files = load_file(export / "golden.safetensors"), {f.read_bytes() for f in (OLD / "data").rglob("*.png")}
    assert len(golden["input.input"]) == 8 and golden["input.input"].dtype == np.uint8
    assert all(golden[f"raw.{row}"].tobytes() in files for row in range(8))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("export", OLD / "image-probe", "--to", "onx"), "Did you mean 'onnx'?"),
        (("export", OLD / "image-probe", "--to", "onnx"), "give --data"),
        (("export", "nothing", "--to", "onnx"), "is not a folder"),
        (("evaluate", "EXPORT", "more"), "replays its own inputs"),
        (("evaluate", "EXPORT", "--label", "x"), "replays its own inputs"),
        (("export", OLD / "image-probe", "--to", "onnx", "--out", OLD / "text-full"), "is a run"),
        (
            ("export", OLD / "image-probe", "--to", "torch", "--out", "taken", "--data", OLD / "data/photos"),
            "no export",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    arguments: tuple[object, ...], words: str, export: Path, headstart_command: Command
) -> None:
    Path("taken").mkdir()
    Path("taken", "thesis.txt").touch()
    ended = headstart_command(*(export if argument == "EXPORT" else argument for argument in arguments))
    assert ended.code in (2, 3, 5) and words in ended.err
