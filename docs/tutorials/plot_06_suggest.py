"""
Which examples to label next
============================

Without labels the suggestion is made of typical pictures of clusters that have none yet; with some, of those that the
probe is unsure of.
"""

import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp()) / "pool"
folder.mkdir()
digits = load_digits()
for number, pixels in enumerate(digits.images[:400]):
    Image.fromarray((pixels * 15.9).astype("uint8")).resize((64, 64)).save(folder / f"{number:04}.png")

# %%

found = headstart.suggest(folder, count=12, backbone="embedded")
names = [Path(one.origin).stem for one in found.rows]
print(names)

# %%
# The labels, which nobody has looked at until now: how many of the ten digits would be covered?

print(sorted({int(digits.target[int(name)]) for name in names}))
