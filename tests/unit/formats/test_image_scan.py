"""Walking folders that change, end in themselves or are out of reach while they are walked."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from headstart.formats._image_scan import Leftovers, walk_files
from headstart.kernel.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a/1.png", "b/1.png", "b/inner/1.png", "c/1.png"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    return tmp_path / "root"


def begun(root: Path, leftovers: Leftovers) -> Iterator[str]:
    """A walk that has listed the root and stands in its first folder."""
    walk = walk_files(root, leftovers)
    assert next(walk) == "a/1.png"
    return walk


def test_a_folder_that_is_deleted_during_the_walk_is_told_and_the_rest_is_walked(root: Path) -> None:
    leftovers = Leftovers()
    walk = begun(root, leftovers)
    shutil.rmtree(root / "b")
    assert list(walk) == ["c/1.png"]
    assert leftovers.notes() == ("folders that were deleted or renamed while the data were being read: 1",)


def test_a_folder_that_is_deleted_while_it_is_walked(root: Path) -> None:
    leftovers = Leftovers()
    walk = begun(root, leftovers)
    assert next(walk) == "b/1.png"
    shutil.rmtree(root / "b" / "inner")
    assert list(walk) == ["c/1.png"]
    assert leftovers.vanished == 1


def test_a_folder_that_is_renamed_is_not_walked_under_a_name_it_no_longer_has(root: Path) -> None:
    leftovers = Leftovers()
    walk = begun(root, leftovers)
    (root / "b").rename(root / "z")
    assert list(walk) == ["c/1.png"]
    assert leftovers.vanished == 1
    assert list(walk_files(root, Leftovers())) == ["a/1.png", "c/1.png", "z/1.png", "z/inner/1.png"]


def test_a_file_that_is_deleted_during_the_walk_is_left_for_the_reader_to_miss(root: Path) -> None:
    leftovers = Leftovers()
    walk = begun(root, leftovers)
    (root / "c" / "1.png").unlink()
    (root / "c" / "2.png").symlink_to(root / "nowhere.png")
    assert list(walk) == ["b/1.png", "b/inner/1.png", "c/2.png"]
    assert leftovers.notes() == ()


def test_links_that_lead_to_themselves_are_no_folders(root: Path) -> None:
    (root / "circle").symlink_to(root / "circle")
    (root / "a" / "circle.png").symlink_to(root / "a" / "circle.png")
    leftovers = Leftovers()
    assert list(walk_files(root, leftovers))[:2] == ["a/1.png", "a/circle.png"]
    assert leftovers.other == {"": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is out of reach for root")
def test_a_folder_out_of_reach_is_named(root: Path) -> None:
    (root / "b" / "inner").chmod(0)
    with pytest.raises(DataError, match="inner cannot be read: Permission denied"):
        list(walk_files(root, Leftovers()))
    (root / "b" / "inner").chmod(0o755)


def test_a_path_longer_than_the_system_takes_is_named(root: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(root)
        for _ in range(20):
            os.mkdir("d" * 250)
            os.chdir("d" * 250)
    except OSError:
        pytest.skip("such long paths cannot be made here")
    finally:
        os.chdir(here)
    with pytest.raises(DataError, match=r"cannot be read: File name too long"):
        list(walk_files(root, Leftovers()))


def test_a_name_that_is_no_text_is_told_with_its_bytes(root: Path) -> None:
    try:
        shutil.copy(root / "a" / "1.png", os.fsencode(root / "b") + b"/caf\xe9.png")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    leftovers = Leftovers()
    assert len(list(walk_files(root, leftovers))) == 4
    (note,) = leftovers.notes()
    assert r"not valid UTF-8: 1, such as b/caf\xe9.png" in note
