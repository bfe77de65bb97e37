"""Segmentation: what masks mean, what is wrong with them, decoders, and masks as files."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from head_shapes import SHAPES, Shapes
from headstart.contracts.carriers import State
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.features import Features, MapShape
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of
from headstart.contracts.targets import PADDED_TARGET
from headstart.engine.frozen.content_keys import content_keys
from headstart.engine.solved.solve import solve_head
from headstart.engine.streams import Stream
from headstart.kernel.errors import BackboneError, DataError
from headstart.media.images import read_pixels
from headstart.media.masks import encode_mask, read_mask
from headstart.tasks.segmentation.task import Segmentation
from headstart.tasks.segmentation.tiles import Tiles
from masked_pictures import MAPS, Given, blobs_mask, maps_of, masked_pictures, picture_of, png


def examples_of(masks: list[np.ndarray], folder: Path, legend: dict[str, str] | None = None) -> Examples:
    """Pictures with these masks on disk."""
    for k, mask in enumerate(masks):
        Image.fromarray(picture_of(np.zeros(mask.shape[:2], np.uint8), k)).save(folder / f"{k}.jpg")
        Image.fromarray(mask).save(folder / f"{k}.png")
    names = [str(k) for k in range(len(masks))]
    table = pa.table({"path": [f"{k}.jpg" for k in names], "mask": [f"{k}.png" for k in names]})
    schema = Schema(modality="image", inputs=("path",), targets={"mask": "mask"}, origin="path", root=str(folder))
    return Examples(table, schema.model_copy(update={"legend": legend or {}}))


def grey(*values: int, kind: type = np.uint8) -> np.ndarray:
    """A mask of 8 x 8 whose columns hold the values in turn."""
    return np.resize(np.array(values, kind), (8, 8)).T.copy()


def test_class_numbers_are_classes(tmp_path: Path) -> None:
    task = Segmentation().bind(examples_of([grey(0, 1), grey(0, 5)], tmp_path), SHAPES)
    assert task.classes == ("background", "class 1", "class 5") and task.values == (0, 1, 5)
    assert task.pixels == (64, 32, 32)


def test_black_and_white_is_foreground(tmp_path: Path) -> None:
    task = Segmentation().bind(examples_of([grey(0, 255)], tmp_path), SHAPES)
    assert task.classes == ("background", "foreground") and task.values == (0, 255)


def test_many_numbers_that_run_on_are_objects_of_one_class(tmp_path: Path) -> None:
    masks = [np.arange(64, dtype=np.uint16).reshape(8, 8) % n for n in (30, 41, 25)]
    task = Segmentation().bind(examples_of(masks, tmp_path), SHAPES)
    assert task.classes == ("background", "foreground") and task.values == ()
    targets = task.targets(examples_of(masks, tmp_path))["mask"]
    assert np.array_equal(targets[0].truth, masks[0] > 0)


def test_the_user_may_say_that_values_are_objects_and_name_them(tmp_path: Path) -> None:
    task = Segmentation(instances=True, classes=("nothing", "cell")).bind(
        examples_of([grey(0, 1, 2)], tmp_path), SHAPES
    )
    assert task.classes == ("nothing", "cell") and task.pixels[1] > 0


def test_colours_with_a_legend_are_classes(tmp_path: Path) -> None:
    mask = np.zeros((8, 8, 3), np.uint8)
    mask[:4] = (255, 0, 16)
    legend = {"#000000": "background", "#ff0010": "cell", "#00ff00": "stroma"}
    task = Segmentation().bind(examples_of([mask, np.zeros((8, 8, 3), np.uint8)], tmp_path, legend), SHAPES)
    assert task.classes == ("background", "cell", "stroma") and task.pixels == (96, 32, 0)


def test_a_palettes_indices_are_the_classes(tmp_path: Path) -> None:
    content = encode_mask(grey(0, 2))
    assert np.array_equal(read_mask(content).values, grey(0, 2)) and not read_mask(content).coloured


def test_values_outside_the_legend_are_named_with_their_files(tmp_path: Path) -> None:
    legend = {"0": "background", "1": "cell"}
    with pytest.raises(DataError, match=r"1 of 2 masks hold values that are not classes: 7 in 1\.jpg.* 1 \(cell\)"):
        Segmentation().bind(examples_of([grey(0, 1), grey(0, 7)], tmp_path, legend), SHAPES)


def test_new_data_with_other_values_are_refused_too(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    task = Segmentation().bind(examples_of([grey(0, 1)], tmp_path / "a"), SHAPES)
    with pytest.raises(DataError, match=r"hold values that are not classes: 3 in 0\.jpg"):
        task.targets(examples_of([grey(0, 3)], tmp_path))


def test_a_mask_of_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    examples = examples_of([grey(0, 1), grey(0, 1)], tmp_path)
    Image.fromarray(np.zeros((5, 9), np.uint8)).save(tmp_path / "1.png")
    with pytest.raises(
        DataError, match=r"1 of 2 masks cannot be used:\s+1\.jpg: the picture has 8x8 pixels, its mask 9x5"
    ):
        Segmentation().bind(examples, SHAPES)


def test_masks_that_jpeg_has_changed_and_missing_ones_are_named(tmp_path: Path) -> None:
    examples = examples_of([grey(0, 1), grey(0, 1), grey(0, 1)], tmp_path)
    Image.fromarray(grey(0, 255)).save(tmp_path / "0.png", "JPEG")
    (tmp_path / "2.png").unlink()
    with pytest.raises(
        DataError, match=r"2 of 3 masks .*\s+0\.jpg: the mask is a JPEG.*\s+2\.jpg: the mask is missing"
    ):
        Segmentation().bind(examples, SHAPES)


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="every pixel of the 2 masks has the value 0"):
        Segmentation().bind(examples_of([grey(0), grey(0)], tmp_path), SHAPES)


def test_names_must_go_with_the_values(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 class names are given .* the masks hold 3 values: 0, 1, 9"):
        Segmentation(classes=("a", "b")).bind(examples_of([grey(0, 1, 9)], tmp_path), SHAPES)


def test_an_unknown_loss_says_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"loss 'dise' is not known\. Did you mean 'dice'"):
        Segmentation(loss="cross_entropy+dise")


def test_targets_stay_on_disk_until_a_batch_is_made(tmp_path: Path) -> None:
    examples = examples_of([blobs_mask(1, 40)[:24], blobs_mask(2, 40)[:24]], tmp_path)
    task = Segmentation().bind(examples, SHAPES)
    stream = Stream("source", np.arange(2), task.targets(examples), lambda rows: State(torch.zeros(len(rows))), 2, 0)
    found = stream.batch(np.array([1, 0])).targets["mask"]
    assert found.shape == (2, 96, 96) and found.dtype == torch.int64
    assert (found[:, 58:] == PADDED_TARGET).all() and (found[:, :57] != PADDED_TARGET).all()  # 24/40 of 96 rows
    (tmp_path / "0.png").unlink()
    with pytest.raises(DataError, match=r"0\.png.* could be read before and now is missing"):
        stream.batch(np.array([0]))


@pytest.mark.parametrize("decoder", ["unet", "fpn", "linear"])
@pytest.mark.parametrize(
    "maps", [MAPS, (MapShape(5, 4), MapShape(7, 8), MapShape(9, 16), MapShape(11, 32)), (MapShape(8, 32),)]
)
def test_a_decoder_trains_every_weight_on_the_maps_of_any_backbone(decoder: str, maps: tuple[MapShape, ...]) -> None:
    examples = masked_pictures(6)
    task = Segmentation(decoder=decoder).bind(examples, SHAPES)  # type: ignore[arg-type]
    levels = tuple(torch.randn(6, shape.channels, 96 // shape.stride, 96 // shape.stride) for shape in maps)
    head = task.head(Shapes(9, maps))
    source = Stream("source", np.arange(6), task.targets(examples), lambda rows: State(torch.zeros(len(rows))), 6, 0)
    batch = source.batch(np.arange(6))
    outputs = task.forward(head, Features(torch.zeros(6, 9), maps=levels), {})
    assert outputs["logits"].shape == (6, 3, 96, 96)
    losses = task.losses(outputs, batch.targets)
    assert losses.keys() == {"cross_entropy", "dice"}
    sum(losses.values()).backward()  # type: ignore[union-attr]
    assert all(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in head.parameters())


def test_without_maps_there_is_no_head() -> None:
    with pytest.raises(BackboneError, match="segmentation needs maps"):
        Segmentation().bind(masked_pictures(3), SHAPES).head(SHAPES)


def test_solving_on_pixels_finds_what_maps_show() -> None:
    examples = masked_pictures(30)
    task = Segmentation().bind(examples, SHAPES).linear()
    targets, rows = task.targets(examples), np.arange(30)
    batch = Stream("source", rows, targets, lambda some: State(torch.zeros(len(some))), 30, 0).batch(rows)
    features = maps_of(examples)
    vectors, labels, positions = task.samples(features, {}, batch.targets, batch.rows.tolist(), 0)
    assert vectors.shape == (len(positions), 12) and len(positions) == 30 * task.settings.probe_pixels
    head, _ = solve_head(task, vectors, labels, positions, 0)
    with torch.no_grad():
        prediction = task.predict(head, features, {})
    assert task.evaluation.primary.score(targets, prediction) > 0.9


def test_masks_are_written_at_the_size_of_their_pictures_with_a_legend(tmp_path: Path) -> None:
    mask = blobs_mask(2, 50)[:30]
    table = pa.table({"p": [png(picture_of(mask, 2))], "mask": [encode_mask(mask)], "origin": ["x"]})
    examples = Examples(table, Schema(modality="image", inputs=("p",), targets={"mask": "mask"}, origin="origin"))
    task = Segmentation().bind(examples, SHAPES)
    masks = np.empty(1, dtype=object)
    masks[0] = encode_mask(task.targets(examples)["mask"][0].load().clip(0).astype(np.uint8))
    assert presentation_of(task).files(Prediction({"mask": masks}), raws_of(examples), ["deep/x"], tmp_path) == [
        "deep/x.png"
    ]
    found = read_mask(tmp_path / "deep" / "x.png").values
    assert found.shape == (30, 50) and np.mean(found != mask) == 0
    assert json.loads((tmp_path / "legend.json").read_text()) == {"0": "background", "1": "class 1", "2": "class 2"}


def test_large_pictures_are_cut_into_tiles_that_overlap_and_cover_them(tmp_path: Path) -> None:
    examples = examples_of([blobs_mask(1, 150)[:100], blobs_mask(2, 60)], tmp_path)
    task = Segmentation(tile=64).bind(examples, SHAPES)
    assert task.image_side == 64
    windows = task.cut(examples, None)  # type: ignore[arg-type]
    assert isinstance(windows, Tiles) and windows.owner.tolist() == [0] * 6 + [1]
    seen = np.zeros((100, 150), int)
    for top, left, height, width in windows.boxes[:6]:
        seen[top : top + height, left : left + width] += 1
    assert (seen >= 1).all() and len({box.left for box in windows.boxes[:6]}) == 3
    starts = sorted({box.left for box in windows.boxes[:6]})
    assert all(after - before <= 48 for before, after in itertools.pairwise(starts))
    keys = content_keys(windows.examples).keys
    assert len(set(keys)) == 7 and content_keys(examples).keys[1] != keys[6]
    whole = task.targets(examples)["mask"]
    for tile, box in enumerate(windows.boxes[:6]):
        expected = whole[0].truth[box.top : box.top + box.height, box.left : box.left + box.width]
        assert np.array_equal(windows.targets({"mask": whole})["mask"][tile].truth, expected)
        pixels = read_pixels(raws_of(windows.examples, [tile])[0])  # type: ignore[arg-type]
        assert pixels.shape == (box.height, box.width, 3)
    assert Segmentation(tile=160).bind(examples, SHAPES).cut(examples, None) is None  # type: ignore[arg-type]


def test_pictures_in_memory_are_not_repeated_with_their_tiles() -> None:
    masks = [blobs_mask(seed, 120) for seed in range(3)]
    pictures = [png(picture_of(mask, seed)) for seed, mask in enumerate(masks)]
    table = pa.table({"p": pictures, "mask": [*map(encode_mask, masks)], "origin": ["a", "b", "c"]})
    examples = Examples(table, Schema(modality="image", inputs=("p",), targets={"mask": "mask"}, origin="origin"))
    windows = Segmentation(tile=32).bind(examples, SHAPES).cut(examples, None)  # type: ignore[arg-type]
    assert windows is not None and len(windows.owner) == 3 * 25
    assert windows.examples.table.column("p").nbytes < 2 * table.column("p").nbytes
    assert [raw.source for raw in raws_of(windows.examples, [0, 30, 74])] == pictures  # type: ignore[union-attr]


def test_tiles_that_are_right_are_blended_to_the_mask_of_the_picture(tmp_path: Path) -> None:
    examples = examples_of([blobs_mask(1, 150)[:100], blobs_mask(2, 60)], tmp_path)
    task = Segmentation(tile=64).bind(examples, SHAPES)
    windows = task.cut(examples, None)  # type: ignore[arg-type]
    assert isinstance(windows, Tiles)
    targets = task.targets(examples)
    framed = np.stack([target.load().clip(0) for target in windows.targets(targets)["mask"]])
    logits = 9 * torch.nn.functional.one_hot(torch.from_numpy(framed), 3).permute(0, 3, 1, 2).float()
    # what lies at the border of a tile is wrong: the neighbours see it better
    logits[0, :, :, -3:] = 0
    logits[0, 0, :, -3:] = 9
    decoded = task.predict(Given(logits), Features(torch.zeros(len(logits), 1)), {})
    found = task.evaluation.finish(task.merged(decoded, windows), {})
    assert task.evaluation.primary.score(targets, found) == 1
