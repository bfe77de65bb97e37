"""
A class for every pixel
=======================

Pictures and masks that lie side by side. The probe is a linear map of every pixel's features, solved in seconds;
intervals are over pictures.
"""

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import headstart

folder = Path(tempfile.mkdtemp()) / "cells"
(folder / "images").mkdir(parents=True)
(folder / "masks").mkdir()
for number in range(60):
    draw = np.random.default_rng(number)
    noise = draw.normal(110, 25, (96, 96, 3)).clip(0, 255).astype("uint8")
    picture, mask = Image.fromarray(noise), Image.new("L", (96, 96))
    for _ in range(draw.integers(2, 6)):
        x, y, width, height = draw.integers(0, 70), draw.integers(0, 70), *draw.integers(12, 26, 2)
        box = (int(x), int(y), int(x + width), int(y + height))
        shade = int(draw.integers(150, 230))
        ImageDraw.Draw(picture).ellipse(box, fill=(shade, int(shade * 0.6), shade))
        ImageDraw.Draw(mask).ellipse(box, fill=1)
    picture.save(folder / "images" / f"{number:02}.png")
    mask.save(folder / "masks" / f"{number:02}.png")

# %%

run = headstart.fit(folder, backbone="embedded", out=folder.parent / "run", scratch=False)
print(run.verdict)

# %%
# Masks of new pictures have the size of the picture and the values of the training masks.

print(run.predict(folder / "images", out=folder.parent / "found.csv"))
