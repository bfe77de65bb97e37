"""
Going on with a run
===================

A model learnt on the digits 0 to 4 is the backbone for the digits 5 to 9; and it goes on with more data of its own
kind, where Headstart tells what it forgot.
"""

import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp())
digits = load_digits()
for number, (pixels, label) in enumerate(zip(digits.images, digits.target)):
    part = "more" if label < 5 and number > 900 else "low" if label < 5 else "high"
    (folder / part / str(label)).mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels * 15.9).astype("uint8")).resize((32, 32)).save(
        folder / part / str(label) / f"{number:04}.png"
    )

small = {"tuning": {"epochs": 4}, "backbone": {"image_size": 32}}
low = headstart.fit(
    folder / "low",
    backbone="test_resnet",
    weights="random",
    tuning="full",
    scratch=False,
    settings=small,
    out=folder / "low-run",
)
print(low.verdict)

# %%
# Every run is a backbone.

high = headstart.fit(folder / "high", backbone=str(folder / "low-run"), scratch=False, out=folder / "high-run")
print(high.verdict)

# %%
# ``from_run`` goes on with backbone and head, and judges the old test part before and after.

on = headstart.fit(
    folder / "more", from_run=low, scratch=False, out=folder / "on-run", settings={"tuning": {"epochs": 2}}
)
print(on.verdict)
