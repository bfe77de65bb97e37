"""
Objects in pictures
===================

Boxes as COCO writes them. Here a head of points learns on the kept maps of the backbone; a few epochs show the way,
not the accuracy that a real training reaches.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp())
(folder / "data" / "images").mkdir(parents=True)
digits = load_digits()
images, annotations = [], []
for number in range(48):
    draw = np.random.default_rng(number)
    canvas = Image.fromarray(draw.normal(60, 15, (128, 128)).clip(0, 255).astype("uint8"))
    images.append({"id": number, "file_name": f"{number}.png", "width": 128, "height": 128})
    for place in range(draw.integers(1, 4)):
        one = int(draw.integers(len(digits.images)))
        side, x, y = int(draw.integers(28, 40)), 42 * place + int(draw.integers(0, 4)), int(draw.integers(0, 88))
        pasted = Image.fromarray((digits.images[one] * 15.9).astype("uint8")).resize((side, side))
        canvas.paste(pasted, (x, y))
        kind = 1 + int(digits.target[one] >= 5)
        annotations.append(
            {"id": len(annotations), "image_id": number, "category_id": kind, "bbox": [x, y, side, side]}
        )
    canvas.convert("RGB").save(folder / "data" / "images" / f"{number}.png")
categories = [{"id": 1, "name": "low"}, {"id": 2, "name": "high"}]
(folder / "data" / "annotations.json").write_text(
    json.dumps({"images": images, "annotations": annotations, "categories": categories})
)

# %%

run = headstart.fit(
    folder / "data",
    task="detection",
    tuning="head_only",
    backbone="embedded",
    scratch=False,
    settings={"tuning": {"epochs": 8}, "task": {"image_side": 128}},
    out=folder / "run",
)
print(run.verdict)
