"""
Ship it
=======

An export holds the whole model, its preprocessing and real inputs with their outputs: an artefact that tests itself.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

import headstart

folder = Path(tempfile.mkdtemp())
digits = load_digits()
for number, (pixels, label) in enumerate(zip(digits.images[:300], digits.target[:300])):
    (folder / "digits" / str(label)).mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray((pixels * 15.9).astype("uint8")).resize((64, 64))
    picture.save(folder / "digits" / str(label) / f"{number:04}.png")
run = headstart.fit(folder / "digits", out=folder / "run", backbone="embedded", scratch=False)

# %%
# The gate compares it with the original on validation data before it is called exported.

found = headstart.export(run.folder, to="onnx", out=folder / "export")
print(found.exported.runtime, found.exported.precision)
print(*sorted(path.name for path in (folder / "export").iterdir()))

# %%
# ``check.py`` travels with it and needs only the runtime.

print(subprocess.run([sys.executable, folder / "export" / "check.py"], capture_output=True, text=True).stdout)
