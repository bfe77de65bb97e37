"""
A table of numbers
==================

Where the columns are the features there is no pretrained network to transfer, and Headstart says what a linear head
and gradient boosted trees make of them, with intervals.
"""

import tempfile
from pathlib import Path

from sklearn.datasets import load_wine

import headstart

frame = load_wine(as_frame=True).frame
frame["target"] = frame["target"].map({0: "barolo", 1: "grignolino", 2: "barbera"})
folder = Path(tempfile.mkdtemp())
frame.to_csv(folder / "wine.csv", index=False)

# %%
# ``inspect`` says how each column is taken before anything is trained.

for finding in headstart.inspect(folder / "wine.csv", label="target").findings:
    print("-", finding.text)

# %%

run = headstart.fit(folder / "wine.csv", label="target", out=folder / "run")
print(run.verdict)
