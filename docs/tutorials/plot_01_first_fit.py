"""
A first fit
===========

Class folders of pictures in, a model and a report out. The pictures are scikit-learn's handwritten digits, saved as
files; the backbone is the small network that ships inside Headstart, so nothing is downloaded.
"""

import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp())
digits = load_digits()
for number, (pixels, label) in enumerate(zip(digits.images[:600], digits.target[:600])):
    (folder / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray((pixels * 15.9).astype("uint8")).resize((64, 64))
    picture.save(folder / "digits" / str(label) / f"{number:04}.png")

# %%
# One call reads and splits the data, sends it through the frozen backbone once, solves for a head, and holds the result
# against honest baselines. ``scratch=False`` leaves out training from scratch, which takes longest.

run = headstart.fit(folder / "digits", out=folder / "run", backbone="embedded", scratch=False)
print(run.verdict)

# %%
# Every figure has a 95 % interval; a figure that the test part is too small for says so.

for name, figure in run.metrics["test"].items():
    print(name, figure)

# %%
# The run predicts, and is a backbone for the next fit (``backbone=run.folder``).

print(run.predict(sorted((folder / "digits" / "7").glob("*.png"))[:3]))
