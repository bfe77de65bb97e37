"""Nothing that a user has is written over: inputs, folders of inputs, runs, and files that Headstart did not write."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import headstart
from headstart.cli.app import app
from headstart.kernel.errors import HeadstartError, RunError, SettingsError
from headstart.media.masks import read_mask
from masked_pictures import save_pairs
from scans import save_dicom, save_nifti


def seen(folder: Path) -> dict[str, bytes | str]:
    """Every file below a folder with its content, every link with where it leads to, and every folder."""
    paths = sorted(folder.rglob("*"))
    return {
        str(path.relative_to(folder)): os.readlink(path)
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else "folder"
        for path in paths
    }


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of `fit` on pictures with masks."""
    folder = tmp_path_factory.mktemp("segmenter")
    run = headstart.fit(
        save_pairs(folder / "cells", range(20)),
        out=folder / "nuclei",
        backbone="test_resnet",
        weights="random",
        scratch=False,
        settings={"task": {"classes": ["background", "outer", "inner"]}, "backbone": {"image_size": 96}},
        runner="eager",
    )
    return run.folder


@pytest.fixture
def place(tmp_path: Path, segmenter: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, which is the current one, with pictures, a table of them, two runs, and things of the user's own."""
    root = tmp_path / "place"
    save_pairs(tmp_path / "pairs", range(4))
    shutil.copytree(tmp_path / "pairs" / "images", root / "photos")
    shutil.copytree(tmp_path / "pairs" / "images", root / "pics")
    for run in ("nuclei", "other"):
        shutil.copytree(segmenter, root / "runs" / run)
    (root / "t.csv").write_text("image\n" + "".join(f"pics/00{k}.png\n" for k in range(4)))
    (root / "notes.csv").write_text("what,when\nbuy film,today\n")
    (root / "mine").mkdir()
    (root / "mine" / "notes.txt").write_text("buy film")
    (root / "link").symlink_to("photos")
    (root / "latest.csv").symlink_to("t.csv")
    os.link(root / "t.csv", root / "twin.csv")
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize(
    ("data", "out", "words"),
    [
        ("photos", "photos.csv", "predicted files .*photos"),
        ("photos", "mine/../photos.csv", "predicted files .*photos"),
        ("photos", "link.csv", "predicted files .*photos"),
        ("photos/", "photos/found.csv", "lies in photos"),
        ("photos", "photos/deep/found.csv", "lies in photos"),
        ("photos", "link/found.csv", "lies in photos"),
        ("link", "photos.parquet", "predicted files .*photos"),
        ("photos/000.png", "photos.csv", "predicted files .*photos"),
        ("t.csv", "t.csv", "is t.csv"),
        ("t.csv", "./mine/../t.csv", "is t.csv"),
        ("t.csv", "latest.csv", "is t.csv"),
        ("t.csv", "twin.csv", "is t.csv"),
        ("latest.csv", "t.csv", "is latest.csv"),
        ("t.csv", "t.csv.parquet", "is t.csv"),
        ("t.csv", "pics.csv", "predicted files .*pics"),
        ("photos", "notes.csv", "notes.csv is there already"),
        ("photos", "t.csv", "t.csv is there already"),
        ("photos", "mine.csv", "holds notes.txt"),
        ("photos", "notes.csv.parquet", "notes.csv.*is a file"),
        ("photos", "runs/nuclei.csv", "nuclei"),
        ("photos", "runs/other.csv", "other is a run"),
        ("photos", "runs/nuclei/found.csv", "nuclei"),
        ("photos", "runs/other/found.csv", "other is a run"),
        ("photos", "runs/other/model/found.csv", "other is a run"),
        ("runs", "runs/found.csv", "lies in runs"),
    ],
)
def test_predictions_and_masks_are_written_over_nothing(place: Path, data: str, out: str, words: str) -> None:
    before = seen(place)
    with pytest.raises(HeadstartError, match=words):
        headstart.predict("runs/nuclei", data, out=out)
    assert seen(place) == before


@pytest.mark.parametrize("in_memory", [False, True])
def test_pictures_that_a_table_names_are_never_replaced_by_their_masks(place: Path, in_memory: bool) -> None:
    headstart.predict("runs/nuclei", "photos", out="found.csv")
    table = pd.DataFrame({"image": [f"{place}/found/00{k}.png" for k in range(4)]})
    table.to_csv("again.csv", index=False)
    before = seen(place)
    with pytest.raises(SettingsError, match=r"found, which holds .*/found/00..png, an input"):
        headstart.predict("runs/nuclei", table if in_memory else "again.csv", out="found.csv")
    assert seen(place) == before


def test_a_prediction_can_be_repeated_and_replaces_its_own_files_alone(place: Path) -> None:
    (place / "found.csv").touch()  # as `mktemp` leaves it
    (place / "found").mkdir()
    headstart.predict("runs/nuclei", "photos", out="found.csv")
    first = seen(place / "found")
    assert {"000.png", "001.png", "002.png", "003.png", "legend.json"} < first.keys()
    headstart.predict("runs/nuclei", "photos", out="found.csv")
    assert seen(place / "found") == first and not list(place.glob(".*.part"))
    headstart.predict("runs/nuclei", "photos/001.png", out="found.csv")
    assert not (place / "found" / "000.png").exists() and len(pd.read_csv("found.csv")) == 1

    (place / "found" / ".DS_Store").touch()
    headstart.predict("runs/nuclei", "photos", out="found.csv")
    (place / "found" / "000.png").write_bytes((place / "photos" / "000.png").read_bytes())
    before = seen(place)
    with pytest.raises(SettingsError, match=r"000.png was changed since it was predicted"):
        headstart.predict("runs/nuclei", "photos", out="found.csv")
    assert seen(place) == before


def test_a_folder_that_a_link_leads_to_is_written_where_it_lies(place: Path) -> None:
    (place / "disk").mkdir()
    (place / "found").symlink_to("disk")
    for _ in range(2):
        headstart.predict("runs/nuclei", "photos", out="found.csv")
    assert (place / "found").is_symlink() and (place / "disk" / "003.png").exists()


def test_what_cannot_be_written_leaves_everything_as_it_was(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headstart.predict("runs/nuclei", "photos/001.png", out="found.csv")
    before = seen(place)

    def full(*_: Any) -> list[str]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("headstart.tasks.segmentation.presentation.write_masks", full)
    with pytest.raises(HeadstartError, match=r"No space left on device. Nothing was changed"):
        headstart.predict("runs/nuclei", "photos", out="found.csv")
    assert seen(place) == before


def test_every_row_has_a_mask_of_its_own_with_a_name_of_its_own(place: Path) -> None:
    long = "é" * 120
    names = ["a/1.png", "b/1.png", "b/1.jpg", "b/1.png", "B/1.png", "1.2.840.1", "1.2.840.2", "c.png/1.png", "c.jpg"]
    names += [f"{long}x.png", f"{long}y.png", f"{'d' * 240}/{'e' * 240}.png", f"{'d' * 240}/{'e' * 240}.jpg", "x:y.png"]
    for number, name in enumerate(dict.fromkeys(names)):
        (place / name).parent.mkdir(exist_ok=True)
        shutil.copy(place / "photos" / f"00{number % 4}.png", place / name)
    pd.DataFrame({"image": [*names, f"{place}/a/1.png"]}).to_csv("many.csv", index=False)
    headstart.predict("runs/nuclei", "many.csv", image="image", out="found.csv")
    table = pd.read_csv("found.csv")
    assert table["error"].isna().all()
    assert len({file.casefold() for file in table["file"]}) == len(table) == len(names) + 1
    assert list(table["file"][:2]) == ["found/a/1.png", "found/b/1.png"]
    assert list(table["file"][5:7]) == ["found/1.2.840.1.png", "found/1.2.840.2.png"]
    alone = headstart.predict("runs/nuclei", "photos", out="alone.csv")
    assert alone.rows == 4
    number_of = {name: number for number, name in enumerate(dict.fromkeys(names))}
    for name, file in zip(names, table["file"]):
        mask = read_mask(place / "alone" / f"00{number_of[name] % 4}.png").values
        assert np.array_equal(read_mask(place / file).values, mask)


def test_rows_whose_pictures_have_no_path_are_called_by_their_numbers(place: Path) -> None:
    pictures = [path.read_bytes() for path in sorted((place / "photos").iterdir())]
    pd.DataFrame({"image": pictures}).to_parquet("bytes.parquet")
    headstart.predict("runs/nuclei", "bytes.parquet", out="found.csv")
    assert list(pd.read_csv("found.csv")["file"]) == [f"found/bytes-{number}.png" for number in range(1, 5)]


def test_scans_are_not_written_over_by_their_label_maps(place: Path) -> None:
    pytest.importorskip("nibabel", reason="NIfTI needs the extra 'medical'")
    scans = save_nifti(place / "all", ["a", "b"]) / "imagesTr"
    shutil.move(scans, place / "scans")
    first = next((place / "scans").glob("a*.nii.gz"))
    twin = first.with_name(first.name.removesuffix(".gz"))
    import nibabel

    nibabel.save(nibabel.load(first), twin)
    long = first.with_name(f"{'l' * 244}.nii.gz")
    shutil.copy(first, long)
    before = seen(place)
    for data in ("scans", f"scans/{first.name}"):
        with pytest.raises(SettingsError, match=r"predicted files .*scans"):
            headstart.predict("runs/nuclei", data, out="scans.csv")
    assert seen(place) == before

    found = headstart.predict("runs/nuclei", "scans", out="found.csv")
    assert len(set(found.gathered)) == 4 and all(Path(path).is_file() for path in found.gathered)
    table = pd.read_csv("found.csv")
    assert table["file"].nunique() == len(table) and all((place / file).is_file() for file in table["file"])


def test_dicom_files_named_by_numbers_keep_their_names(place: Path) -> None:
    pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")
    folder = save_dicom(place / "all", ["p"], numbers=(0, 1)) / "images"
    (place / "series").mkdir()
    for number, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file())):
        shutil.move(path, place / "series" / f"1.2.840.{number}")
    with pytest.raises(SettingsError, match=r"predicted files .*series"):
        headstart.predict("runs/nuclei", "series", out="series.csv")
    headstart.predict("runs/nuclei", "series", out="found.csv")
    assert sorted(pd.read_csv("found.csv")["file"]) == ["found/1.2.840.0.png", "found/1.2.840.1.png"]


@pytest.mark.parametrize("verb", [headstart.fit, headstart.pretrain])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"data": "photos", "out": "photos"}, "is photos"),
        ({"data": "photos", "out": "link"}, "is photos"),
        ({"data": "photos", "out": "photos/deep/run"}, "lies in photos"),
        ({"data": "photos", "out": "mine/../link/run"}, "lies in photos"),
        ({"data": "link", "out": "photos/run"}, "lies in link"),
        ({"data": "t.csv", "out": "t.csv"}, "is t.csv"),
        ({"data": "t.csv", "out": "twin.csv"}, "is t.csv"),
        ({"data": "photos", "out": "mine"}, "mine holds something that is not a run"),
        ({"data": "photos", "out": "runs/other/run"}, "other is a run"),
        ({"data": "photos", "out": "runs/other/model/deep/run"}, "other is a run"),
        ({"data": "runs/other/photos", "out": "runs/other", "overwrite": True}, "holds runs/other/photos"),
        ({"data": "photos", "backbone": "runs/other", "out": "runs/other", "overwrite": True}, "is runs/other"),
        ({"data": "photos", "backbone": "runs/other", "out": "runs/other/run"}, "lies in runs/other"),
        ({"data": "photos", "out": "photos/runs"}, "lies in photos"),
        ({"data": "."}, "lies in [.]"),
        ({"data": ".", "out": "runs/new"}, "lies in [.]"),
        ({"data": "photos/000.png", "out": "photos/000.png"}, "is photos/000.png"),
    ],
)
def test_runs_are_written_over_nothing(
    place: Path, verb: Callable[..., Any], given: dict[str, Any], words: str
) -> None:
    shutil.copytree(place / "photos", place / "runs" / "other" / "photos")
    (place / "runs" / "class").mkdir()
    before = seen(place)
    with pytest.raises(HeadstartError, match=words):
        verb(**given)
    assert seen(place) == before


@pytest.mark.parametrize("cache", ["photos", "photos/cache", "link/cache"])
def test_the_cache_is_never_among_the_data(place: Path, cache: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", cache)
    before = seen(place)
    calls = (
        lambda: headstart.fit("photos"),
        lambda: headstart.pretrain("photos"),
        lambda: headstart.inspect("photos"),
        lambda: headstart.predict("runs/nuclei", "photos"),
        lambda: headstart.evaluate("runs/nuclei", "photos"),
    )
    for call in calls:
        with pytest.raises(SettingsError, match=r"is among the inputs in photos.*HEADSTART_CACHE"):
            call()
    assert seen(place) == before


def test_a_run_is_not_begun_within_a_run_that_one_stands_in(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place / "runs" / "other")
    before = seen(place)
    for verb in (headstart.fit, headstart.pretrain):
        with pytest.raises(RunError, match="other is a run"):
            verb("../../photos")
    assert seen(place) == before


def test_a_run_with_pictures_that_a_table_names_in_it_is_not_replaced(place: Path) -> None:
    names = [f"runs/other/photos/00{k}.png" for k in range(4)]
    shutil.copytree(place / "photos", place / "runs" / "other" / "photos")
    pd.DataFrame({"image": 10 * names, "label": 10 * list("abab")}).to_csv("labels.csv", index=False)
    before = seen(place)
    for verb in (headstart.fit, headstart.pretrain):
        with pytest.raises(SettingsError, match=r"runs/other, which holds .*/photos/00..png, an input"):
            verb("labels.csv", backbone="test_resnet", weights="random", out="runs/other", overwrite=True)
    assert seen(place) == before


def test_a_report_replaces_a_report_alone_and_lies_in_no_other_run(place: Path) -> None:
    (place / "page.html").write_text("<html>buy film</html>")
    before = seen(place)
    for out, words in {
        "page.html": "page.html is there already and is not a report",
        "t.csv": "is not a report",
        "photos/000.png": "is not a report",
        "mine": "is not a file",
        "runs/nuclei/record.json": "is not a report",
        "runs/other/report.html": "other is a run",
        "runs/other/new.html": "other is a run",
    }.items():
        with pytest.raises(HeadstartError, match=words):
            headstart.report("runs/nuclei", out=out)
    assert seen(place) == before
    for out in ("new.html", "new.html", "runs/nuclei/report.html", "runs/nuclei/new.html"):
        assert headstart.report("runs/nuclei", out=out).is_file()


def test_a_name_may_be_as_long_as_the_file_system_allows(place: Path) -> None:
    name = f"{'n' * 251}.csv"
    assert headstart.predict("runs/nuclei", "photos", out=name).rows == 4
    assert (place / name).is_file() and (place / name).with_suffix("").is_dir()


def test_the_command_line_names_what_it_will_not_write_over(place: Path) -> None:
    before = seen(place)
    found = CliRunner().invoke(app, ["predict", "runs/nuclei", "photos", "--out", "photos.csv"])
    assert found.exit_code == SettingsError.exit_code and "photos, an input" in found.output
    assert seen(place) == before
