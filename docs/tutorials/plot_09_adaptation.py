"""
Labels in one domain, predictions wanted in another
===================================================

Digits are labelled as white on black; the target's are black on grey, and nobody labelled them. The shift is
diagnosed first, and a model other than the source's is chosen only where the evidence supports it.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp())
digits = load_digits()
for number, (pixels, label) in enumerate(zip(digits.images[:800], digits.target[:800])):
    grey = (pixels * 15.9).astype("uint8")
    if number % 2:
        place, grey = folder / "target", np.uint8(160 - grey * 0.5)
    else:
        place = folder / "source" / str(label)
    place.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grey).resize((64, 64)).save(place / f"{number:04}.png")

# %%

run = headstart.fit(folder / "source", target=folder / "target", backbone="embedded", out=folder / "run", scratch=False)
print(run.verdict)

# %%
# The target's labels were kept from everything above. How good are the predictions?

found = pd.read_csv(folder / "run" / "target_predictions.csv", dtype=str)
true = [str(digits.target[int(Path(name).stem)]) for name in found.iloc[:, 0]]
print(f"right: {np.mean([a == b for a, b in zip(true, found['prediction'])]):.1%}")
