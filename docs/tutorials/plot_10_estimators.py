"""
Inside scikit-learn
===================

``TransferClassifier`` is an estimator: it works in pipelines, cross-validation and grid searches, and the backbone
runs over each input once however often it is fitted.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

import headstart

digits = load_digits()
pictures = np.repeat(np.repeat((digits.images[:300] * 15.9).astype("uint8"), 8, axis=1), 8, axis=2)
pictures = np.stack([pictures] * 3, axis=-1)

scores = cross_val_score(headstart.TransferClassifier(backbone="embedded"), pictures, digits.target[:300], cv=3)
print(scores.round(3))

# %%
# ``transform`` gives the frozen features, to be used by any other estimator.

features = headstart.TransferClassifier(backbone="embedded").fit(pictures, digits.target[:300]).transform(pictures)
print(features.shape)
