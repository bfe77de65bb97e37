"""
What is wrong with the data
===========================

Twelve pictures get a wrong label and ten are copied, on purpose; ``inspect`` finds them on frozen features.
"""

import shutil
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp()) / "digits"
digits = load_digits()
for number, (pixels, label) in enumerate(zip(digits.images[:500], digits.target[:500])):
    named = (label + 1) % 10 if number % 42 == 5 else label
    (folder / str(named)).mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray((pixels * 15.9).astype("uint8")).resize((64, 64))
    picture.save(folder / str(named) / f"{number:04}.png")
for source in sorted((folder / "3").glob("*.png"))[:10]:
    shutil.copy(source, folder / "3" / f"copy-of-{source.name}")

# %%
# The first look reads files alone; with ``deep=True`` every picture goes through the backbone once.

found = headstart.inspect(folder, deep=True, backbone="embedded", out=folder.parent / "findings.csv")
for finding in found.findings:
    print("-", finding.text)

# %%
# A number that is divisible by 42 with rest 5 was labelled wrongly. The list has every finding with its reason.

print((folder.parent / "findings.csv").read_text()[:800])
