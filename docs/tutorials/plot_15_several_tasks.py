"""
Several labels at once
======================

Label columns of different kinds share one backbone; the joint model is held against a model for each label.
"""

import tempfile
from pathlib import Path

from sklearn.datasets import load_breast_cancer

import headstart

frame = load_breast_cancer(as_frame=True).frame
frame["diagnosis"] = frame.pop("target").map({0: "malignant", 1: "benign"})
frame["large"] = (frame["worst area"] > 700).map({True: "yes", False: "no"})
folder = Path(tempfile.mkdtemp())
frame.drop(columns=[name for name in frame if "area" in name]).to_csv(folder / "cells.csv", index=False)

# %%

run = headstart.fit(
    folder / "cells.csv", label=["diagnosis", "large", "mean perimeter"], out=folder / "run", scratch=False
)
print(run.verdict)
