from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.formats.image_folder import ImageFolder
from headstart.kernel.errors import DataError


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4), "red").save(path, "PNG")
    return path


def folder(root: Path, *names: str) -> Path:
    for name in names:
        picture(root / name)
    return root


def labels(root: Path, columns: Columns | None = None) -> dict[str, str]:
    examples = ImageFolder().read(root, columns or Columns())
    return dict(zip(examples.origins(), examples.target()))


def test_the_class_is_the_first_folder_and_the_order_that_of_the_paths(tmp_path: Path) -> None:
    root = folder(tmp_path, "dogs/b.png", "cats/deep/er/x.png", "cats/a.png", "dogs/a.png")
    assert list(labels(root).items()) == [
        ("cats/a.png", "cats"),
        ("cats/deep/er/x.png", "cats"),
        ("dogs/a.png", "dogs"),
        ("dogs/b.png", "dogs"),
    ]
    assert ImageFolder.recognises(root) == "2 class folders with 4 images"
    assert raws_of(ImageFolder().read(root, Columns()), [0]) == [root / "cats/a.png"]


@pytest.mark.parametrize(
    ("names", "meaning"),
    [
        (("train", "val", "test"), ("train", "val", "test")),
        (("Training", "VALID", "Testing"), ("train", "val", "test")),
        (("train", "dev", "test"), ("train", "val", "test")),
        (("train", "validation"), ("train", "val")),
    ],
)
def test_part_folders_are_known_by_their_usual_names(
    tmp_path: Path, names: tuple[str, ...], meaning: tuple[str, ...]
) -> None:
    root = folder(tmp_path, *(f"{name}/{label}/1.png" for name in names for label in ("cats", "dogs")))
    examples = ImageFolder().read(root, Columns())
    assert examples.schema.part is not None
    assert Counter(examples.column(examples.schema.part)) == dict.fromkeys(meaning, 2)
    assert set(examples.target()) == {"cats", "dogs"}


@pytest.mark.parametrize("wrapper", ["all", "data/images"])
def test_a_lone_folder_of_folders_is_a_wrapper(tmp_path: Path, wrapper: str) -> None:
    root = folder(tmp_path, f"{wrapper}/cats/1.png", f"{wrapper}/dogs/1.png")
    assert set(labels(root).values()) == {"cats", "dogs"}
    inside = folder(tmp_path / "two", f"{wrapper}/train/cats/1.png", f"{wrapper}/train/dogs/1.png")
    examples = ImageFolder().read(inside, Columns())
    assert set(examples.target()) == {"cats", "dogs"}
    assert examples.column(str(examples.schema.part)) == ["train", "train"]


def test_test_beside_other_classes_is_a_class(tmp_path: Path) -> None:
    assert set(labels(folder(tmp_path, "control/1.png", "test/1.png")).values()) == {"control", "test"}


def test_odd_names_are_kept_and_system_files_ignored(tmp_path: Path) -> None:
    odd = ['ca ts/it\'s "1".png', "ca ts/новый.JPEG", "ca ts/a.b.png", "dogs/new\nline.png", "dogs/😀.png"]
    root = folder(tmp_path, *odd, "__MACOSX/cats/1.png", "dogs/.hidden.png", ".git/x.png")
    for name in (".DS_Store", "ca ts/Thumbs.db"):
        (root / name).write_bytes(b"x")
    examples = ImageFolder().read(root, Columns())
    assert sorted(examples.origins()) == sorted(odd)
    assert examples.notes == ("hidden files and folders, left out: 2, such as .git",)


def test_other_files_are_counted_and_nameless_pictures_read(tmp_path: Path) -> None:
    root = folder(tmp_path, "cats/1.png", "dogs/1.png", "dogs/nameless")
    for name in ("cats/a.txt", "cats/b.txt", "readme"):
        (root / name).write_text("x")
    examples = ImageFolder().read(root, Columns())
    assert "dogs/nameless" in examples.origins()
    assert examples.notes == ("3 files other than images left out (2 .txt, 1 without suffix)",)


def test_links_are_followed_once_and_loops_avoided(tmp_path: Path) -> None:
    root = folder(tmp_path / "root", "cats/1.png", "dogs/1.png")
    elsewhere = folder(tmp_path / "birds", "2.png")
    (root / "birds").symlink_to(elsewhere)
    (root / "cats" / "loop").symlink_to(root)
    (root / "again").symlink_to(root / "dogs")
    (root / "cats" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    examples = ImageFolder().read(root, Columns())
    assert examples.origins() == ["birds/2.png", "cats/1.png", "cats/gone.png", "dogs/1.png"]
    assert any("not followed: 2" in note for note in examples.notes)


@pytest.mark.skipif(os.name != "posix", reason="file names of raw bytes exist on POSIX only")
def test_a_name_that_is_no_unicode_is_told(tmp_path: Path) -> None:
    root = folder(tmp_path, "cats/1.png", "dogs/1.png")
    Image.new("RGB", (4, 4)).save(Path(os.fsdecode(os.fsencode(root / "cats") + b"/caf\xe9.png")), "PNG")
    examples = ImageFolder().read(root, Columns())
    assert len(examples) == 2
    assert any("not valid UTF-8" in note for note in examples.notes)


def test_a_group_is_what_the_expression_finds_in_the_path(tmp_path: Path) -> None:
    root = folder(tmp_path, "cats/p1_a.png", "cats/p1_b.png", "dogs/p2_a.png", "dogs/other.png")
    examples = ImageFolder().read(root, Columns(group=r"p(\d+)_"))
    assert examples.column(str(examples.schema.group)) == ["1", "1", None, "2"]
    assert examples.notes == ("files without a group, as the expression does not match their paths: 1",)
    whole = ImageFolder().read(root, Columns(group=r"^\w"))
    assert whole.column("group") == ["c", "c", "d", "d"]


@pytest.mark.parametrize(
    ("pattern", "message"), [("(", "not a regular expression"), ("zebra", "matches none of the 2")]
)
def test_a_group_expression_that_cannot_serve_is_refused(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        ImageFolder().read(folder(tmp_path, "a/1.png", "b/1.png"), Columns(group=pattern))


def test_the_slice_folder_is_the_deepest_one_below_the_class(tmp_path: Path) -> None:
    root = folder(tmp_path, "a/north/x/1.png", "a/2.png", "b/south/3.png")
    examples = ImageFolder().read(root, Columns(slices=("folder",)))
    assert dict(zip(examples.origins(), examples.column("folder"))) == {
        "a/2.png": None,
        "a/north/x/1.png": "x",
        "b/south/3.png": "south",
    }
    with pytest.raises(DataError, match="slice 'patient' is not known"):
        ImageFolder().read(root, Columns(slices=("patient",)))


def test_without_labels_a_flat_folder_a_file_and_a_list_are_read(tmp_path: Path) -> None:
    root = folder(tmp_path, "b.png", "a.png", "more/c.png")
    flat = ImageFolder().read(root, Columns(), labelled=False)
    assert flat.origins() == ["a.png", "b.png", "more/c.png"]
    assert flat.schema.targets == {}
    one = ImageFolder().read(root / "a.png", Columns(), labelled=False)
    assert raws_of(one) == [root / "a.png"]
    paths = [root / "b.png", str(root / "a.png")]
    assert ImageFolder.recognises(paths) == "a list of 2 image paths"
    assert raws_of(ImageFolder().read(paths, Columns(), labelled=False)) == [root / "b.png", root / "a.png"]


def test_a_stream_gives_the_same_order_in_pieces_without_targets(tmp_path: Path) -> None:
    root = folder(tmp_path, *(f"{label}/{k}.png" for label in "ab" for k in range(5)))
    windows = list(ImageFolder().stream(root, Columns(), 4))
    assert [len(piece) for piece in windows] == [4, 4, 2]
    assert [o for piece in windows for o in piece.origins()] == ImageFolder().read(root, Columns()).origins()
    assert all(piece.schema.targets == {} for piece in windows)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "is an empty folder"),
        (("notes.txt",), "holds no images: 1 file other than images left out"),
        (("1.png", "2.png"), "2 images without class folders.*--label"),
        (("cats/1.png", "dogs/1.png", "3.png"), r"also 1 image outside them, such as 3.png"),
        (("train/a/1.png", "train/b/1.png", "extra/1.png"), "part folders train and beside them extra"),
        (("train/a/1.png", "train/b/1.png", "train/1.png"), "also 1 image outside them"),
    ],
)
def test_a_layout_that_gives_no_labels_is_refused_with_what_was_found(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("notes") if path.suffix == ".txt" else picture(path)
    with pytest.raises(DataError, match=message):
        ImageFolder().read(tmp_path, Columns())


def test_a_part_without_classes_is_left_out_and_told(tmp_path: Path) -> None:
    root = folder(tmp_path, "train/a/1.png", "train/b/1.png", "test/1.png", "test/2.png")
    examples = ImageFolder().read(root, Columns())
    assert len(examples) == 2
    assert examples.notes == ("2 images in test left out, as they lie in no class folder",)


def test_flags_for_columns_are_refused_where_there_are_none(tmp_path: Path) -> None:
    root = folder(tmp_path, "a/1.png", "b/1.png")
    with pytest.raises(DataError, match="--label breed: an image folder has no columns"):
        ImageFolder().read(root, Columns(label="breed"))
    with pytest.raises(DataError, match="--text caption"):
        ImageFolder().read(root, Columns(text=("caption",)))


def test_what_holds_no_images_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n")
    assert ImageFolder.recognises(tmp_path) is None
    assert ImageFolder.recognises(tmp_path / "a.csv") is None
    assert ImageFolder.recognises(3) is None
    assert ImageFolder.recognises([]) is None


def test_a_real_folder_with_train_and_val(test_data: Path) -> None:
    examples = ImageFolder().read(test_data / "data/img_ants_bees", Columns())
    assert len(examples) == 397
    assert Counter(examples.column(str(examples.schema.part))) == {"train": 244, "val": 153}
    assert set(examples.target()) == {"ants", "bees"}
