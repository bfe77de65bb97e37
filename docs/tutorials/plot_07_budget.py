"""
Fine-tuning under a budget
==========================

With a budget Headstart prices ways of tuning on this machine, tries those that suit, and takes the probe's place only
where a fine-tuning is better beyond noise.
"""

import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp())
digits = load_digits()
for number, (pixels, label) in enumerate(zip(digits.images[:500], digits.target[:500])):
    (folder / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray((pixels * 15.9).astype("uint8")).resize((64, 64))
    picture.save(folder / "digits" / str(label) / f"{number:04}.png")

# %%
# Half a minute is little; the verdict says what it was too short for.

run = headstart.fit(folder / "digits", out=folder / "run", backbone="embedded", budget=30)
print(run.verdict)

# %%
# The plan says what was chosen and why, and repeats the run: ``headstart fit RUN/plan.toml``.

print((folder / "run" / "plan.toml").read_text()[:1500])
