"""How many copies of real pictures and texts are found that were changed, and how many others are taken for copies.

Copies are made here of examples drawn from each data set and put beside all of it. What of a data set as it is comes to
lie in a cluster was looked at: the scans and tweets hold copies of their own, the photographs, nuclei, digits and SST-2
practically none, so that there every pair is a false alarm.
"""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from benchmarks._data import data_folder
from headstart.contracts.modality import modality_named
from headstart.evidence.clusters import Clusters
from headstart.evidence.image_crops import cropped_images
from headstart.evidence.image_fingerprints import RECORD, SIDE, fingerprint
from headstart.evidence.image_likeness import near_images
from headstart.evidence.text_likeness import near_texts, normalised

IMAGE: Any = modality_named("image")
Picture = Image.Image
Turn = Image.Transpose
PICTURES = {
    "ants and bees": "img_ants_bees/*/*/*.jpg",
    "cats and dogs": "img_cats_dogs/all/*/*.jpg",
    "brain scans": "img_brain_mri/*/*/*.jpg",
    "PACS": "da_pacs/*/*/*",
    "nuclei": "seg_nuclei_dsb2018/images/*",
}
WITHOUT_COPIES = ("ants and bees", "cats and dogs", "nuclei", "digits")
TURNS = {turn.name.lower(): turn for turn in (Turn.FLIP_LEFT_RIGHT, Turn.ROTATE_90, Turn.ROTATE_180, Turn.ROTATE_270)}
ALL_SIDES, TWO_SIDES, ONE_SIDE = (0.05, 0.05, 0.05, 0.05), (0.05, 0.0, 0.0, 0.05), (0.05, 0.0, 0.0, 0.0)
LENGTHS = ((5, 6), (7, 9), (10, 14), (15, 40))
"""Words of the texts that are edited, from and to."""


def run(quick: bool, full: bool) -> tuple[dict[str, float | None], dict[str, Any]]:
    """On 80 pictures and texts of each kind (`quick`: 15, `full`: 250)."""
    drawn = 15 if quick else 250 if full else 80
    folder = data_folder() / "data"
    pictures = {name: _of_pictures(sorted(folder.glob(pattern)), drawn) for name, pattern in PICTURES.items()}
    pictures["digits"] = _joined_pictures(_digits())
    texts = {name: _of_texts(some, drawn) for name, some in _texts(folder).items()}
    found = [one["found"] for name, one in pictures.items() if name != "digits"]
    turned = [share for one in found for change, share in one.items() if change in TURNS]
    cropped = [share for one in found for change, share in one.items() if change not in TURNS]
    short, longer = (_mean_found(texts, lengths) for lengths in (LENGTHS[:1], LENGTHS[1:]))
    figures: dict[str, float | None] = {
        "near_copies.turned": 100 * float(np.mean(turned)),
        "near_copies.cropped": 100 * float(np.mean(cropped)),
        "near_copies.pictures_joined": float(sum(pictures[name]["joined"] for name in WITHOUT_COPIES)),
        "near_copies.edited": 100 * longer,
        "near_copies.edited_short": 100 * short,
        "near_copies.texts_joined": 100 * texts["SST-2"]["joined"] / texts["SST-2"]["texts"],
        "near_copies.picture_seconds": _seconds(cropped_images, _thumbnails(folder)),
        "near_copies.text_seconds": _seconds(near_texts, _reviews(folder)[:10_000]),
    }
    return figures, {"drawn": drawn, "pictures": pictures, "texts": texts}


def _changes() -> dict[str, Callable[[Picture], bytes]]:
    turns = {name: lambda picture, turn=turn: _encoded(picture.transpose(turn)) for name, turn in TURNS.items()}
    return turns | {
        "cropped at all sides": lambda picture: _encoded(_cropped(picture, ALL_SIDES)),
        "cropped at two sides": lambda picture: _encoded(_cropped(picture, TWO_SIDES)),
        "cropped at one side": lambda picture: _encoded(_cropped(picture, ONE_SIDE)),
        "cropped by half as much": lambda picture: _encoded(_cropped(picture, (0.025, 0.025, 0.025, 0.025))),
        "cropped, smaller, saved again": lambda picture: _encoded(_smaller(_cropped(picture, ALL_SIDES)), 70),
        "cropped, mirrored, saved again": lambda picture: _encoded(ImageOps.mirror(_cropped(picture, ALL_SIDES)), 70),
        "cropped and turned": lambda picture: _encoded(_cropped(picture, ALL_SIDES).transpose(Turn.ROTATE_90)),
    }


def _of_pictures(paths: Sequence[Path], drawn: int) -> dict[str, Any]:
    """What is joined in a data set as it is, and which shares of changed copies are found beside it."""
    records = np.array([fingerprint(IMAGE, path) for path in paths], RECORD)
    originals = random.Random(0).sample(range(len(paths)), min(drawn, len(paths)))
    found = {}
    for name, change in _changes().items():
        copies = np.array([fingerprint(IMAGE, change(_opened(paths[row]))) for row in originals], RECORD)
        labels = _labels(_near(np.concatenate([records, copies])), len(records) + len(copies))
        found[name] = float(np.mean(labels[originals] == labels[len(records) :]))
    return {**_joined_pictures(records), "found": found}


def _near(records: np.ndarray) -> list[tuple[int, int]]:
    return [*near_images(records), *cropped_images(records["pixels"])]


def _joined_pictures(records: np.ndarray) -> dict[str, Any]:
    """How many of different pictures lie in clusters, without and with those that were turned or cropped."""
    records = records[np.sort(np.unique(records["pixels"].reshape(len(records), -1), axis=0, return_index=True)[1])]
    before = _sizes(near_images(records), len(records))["joined"]
    return {"pictures": len(records), "joined before": before, **_sizes(_near(records), len(records))}


def _sizes(pairs: Sequence[tuple[int, int]], count: int) -> dict[str, int]:
    sizes = np.bincount(_labels(pairs, count))
    return {"joined": int(sizes[sizes > 1].sum()), "largest cluster": int(sizes.max())}


def _labels(pairs: Sequence[tuple[int, int]], count: int) -> np.ndarray:
    clusters = Clusters(count)
    clusters.join_all(pairs)
    return clusters.labels()


def _of_texts(texts: Sequence[str], drawn: int) -> dict[str, Any]:
    """The same for texts with a word changed, put in or left out, by how many words they have."""
    plain = list(dict.fromkeys(filter(None, map(normalised, texts))))
    draws, words = random.Random(0), [word for text in plain[:500] for word in text.split()]
    found = {}
    for low, high in LENGTHS:
        fitting = [row for row, text in enumerate(plain) if low <= len(text.split()) <= high]
        rows = draws.sample(fitting, min(drawn, len(fitting)))
        for kind in ("changed", "put in", "left out"):
            edited = [_edited(plain[row].split(), kind, draws, words) for row in rows]
            labels = _labels(near_texts([*plain, *edited]), len(plain) + len(edited))
            if rows:
                found[f"{low} to {high} words, one {kind}"] = float(np.mean(labels[rows] == labels[len(plain) :]))
    return {"texts": len(plain), **_sizes(near_texts(plain), len(plain)), "found": found}


def _edited(words: list[str], kind: str, draws: random.Random, known: Sequence[str]) -> str:
    place = draws.randrange(len(words))
    kept = words[place + (kind != "put in") :]
    return " ".join([*words[:place], *([] if kind == "left out" else [draws.choice(known)]), *kept])


def _mean_found(texts: Mapping[str, Any], lengths: Sequence[tuple[int, int]]) -> float:
    begins = tuple(f"{low} to " for low, _ in lengths)
    found = [share for one in texts.values() for name, share in one["found"].items() if name.startswith(begins)]
    return float(np.mean(found))


def _texts(folder: Path) -> dict[str, list[str]]:
    tweets = pd.concat([pd.read_csv(path) for path in sorted(folder.glob("text_tweeteval/emotion/*.csv"))])
    found = {
        "SST-2": pd.read_csv(folder / "text_sst2" / "train.csv")["text"],
        "SMS": pd.read_csv(folder / "text_sms_spam" / "all.csv")["text"],
        "tweets": tweets["text"],
        "queries": pd.read_csv(folder / "text_nlupp_multilabel" / "nlupp.csv")["text"],
    }
    return {name: [str(text) for text in some] for name, some in found.items()}


def _reviews(folder: Path) -> list[str]:
    paths = sorted(folder.glob("text_amazon_reviews5/*.parquet"))
    return [str(text) for path in paths for text in pd.read_parquet(path)["text"]]


def _digits() -> np.ndarray:
    from sklearn.datasets import load_digits

    pixels = (load_digits().images * 255 / 16).astype(np.uint8)
    return np.array([fingerprint(IMAGE, _encoded(Image.fromarray(some))) for some in pixels], RECORD)


def _thumbnails(folder: Path) -> np.ndarray:
    """10,000 that look alike: handwritten digits."""
    stored = np.load(folder / "da_digits" / "mnist_test10k.npz")
    images = next(stored[name] for name in stored.files if stored[name].ndim >= 2).reshape(-1, 28, 28)
    scaled = images if images.max() > 1 else 255 * images
    resized = [Image.fromarray(image.astype(np.uint8)).resize((SIDE, SIDE)) for image in scaled]
    return np.stack([np.asarray(image) for image in resized])


def _seconds(search: Callable[[Any], object], inputs: Any) -> float:
    """Of processor time."""
    began = time.process_time()
    search(inputs)
    return time.process_time() - began


def _opened(path: Path) -> Picture:
    return ImageOps.exif_transpose(Image.open(path)).convert("RGB")


def _encoded(picture: Picture, quality: int | None = None) -> bytes:
    file = io.BytesIO()
    if quality is None:
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _cropped(picture: Picture, sides: tuple[float, float, float, float]) -> Picture:
    """Without these shares at the left, the top, the right and the bottom."""
    (width, height), (left, top, right, bottom) = picture.size, sides
    return picture.crop(
        (round(left * width), round(top * height), round((1 - right) * width), round((1 - bottom) * height))
    )


def _smaller(picture: Picture) -> Picture:
    return picture.resize((max(24, 2 * picture.width // 3), max(24, 2 * picture.height // 3)), Image.Resampling.LANCZOS)
