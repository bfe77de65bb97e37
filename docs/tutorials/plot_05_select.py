"""
Which pretrained model
======================

``select`` ranks backbones by a cross-validated probe on frozen features, with the probability that each is the best,
and what it costs to run. Every run is a backbone: here a small network that learnt the digits 0 to 4 stands beside
the embedded one, which has never seen a digit.
"""

import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp()) / "digits"
digits = load_digits()
for number, (pixels, label) in enumerate(zip(digits.images[:400], digits.target[:400])):
    place = folder / ("low" if label < 5 else "high") / str(label)
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray((pixels * 15.9).astype("uint8")).resize((64, 64)).save(place / f"{number:04}.png")

low = headstart.fit(
    folder / "low",
    backbone="test_resnet",
    weights="random",
    tuning="full",
    scratch=False,
    settings={"tuning": {"epochs": 3}, "backbone": {"image_size": 64}},
    out=folder / "run",
)

# %%

found = headstart.select(folder / "high", candidates=["embedded", str(low.folder)])
print(found.verdict)
for row in found.backbones:
    print(Path(row.reference).name, f"{row.figure.value:.1%}, {row.milliseconds:.2f} ms a picture")
