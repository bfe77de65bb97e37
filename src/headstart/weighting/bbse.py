"""Black-box shift estimation: the classes' shares in the target by what a classifier predicts there.

Lipton, Wang & Smola 2018 ("Detecting and correcting for label shift with black box predictors"): where only the mix of
classes differs, the confusions C (predicted, true) of held-out source examples, as shares, give the ratios w of

    C w = mu,   mu the shares of the classes predicted in the target

by least squares, and none below what half an example of the target comes to. Predictions come from heads of
cross-fitting, those of the target from the mean over these heads. The paper weighs the loss of a second fit by w; here
the bias of the head is corrected, which comes to the same where probabilities are calibrated.
"""

from __future__ import annotations

import warnings

import numpy as np
from pydantic import Field
from scipy.special import softmax
from sklearn.model_selection import StratifiedKFold

from headstart.contracts.domains import Domains, Solve
from headstart.contracts.weighting import Weighted, Weighting
from headstart.kernel.errors import DataError
from headstart.kernel.randomness import draw_seed
from headstart.numerics.class_mix import bbse, share_ratios


class Bbse(Weighting):
    """Ratios of the classes' shares by confusions."""

    folds: int = Field(default=3, ge=2)
    """Heads of cross-fitting; fewer where no class has so many examples."""

    title = "black-box shift estimation"
    kinds = ("label", "support", "cannot tell")

    def weigh(self, domains: Domains, solve: Solve, seed: int) -> Weighted:
        """Return the ratios (classes,). Raises DataError where a class of the source has a single example."""
        counts = np.bincount(domains.labels, minlength=domains.classes)
        if (counts == 1).any():
            raise DataError("a class of the source has one example, and its confusions cannot be told")
        held_out, target = self._cross_fitted(domains, solve, seed)
        confusion = np.zeros((domains.classes, domains.classes))
        np.add.at(confusion, (held_out, domains.labels), 1)
        shares = bbse(confusion, np.bincount(target, minlength=domains.classes))
        return Weighted(ratios=share_ratios(shares, counts / counts.sum(), len(domains.target)))

    def _cross_fitted(self, domains: Domains, solve: Solve, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Classes predicted of the held-out source examples and of the target."""
        held_out, target = np.zeros(len(domains.labels), np.int64), np.zeros((len(domains.target), domains.classes))
        folds = min(self.folds, int(np.bincount(domains.labels).max()))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=draw_seed(seed, "bbse") % 2**32)
        with warnings.catch_warnings():  # a class smaller than the number of folds is in order here
            warnings.simplefilter("ignore", UserWarning)
            parts = list(splitter.split(domains.labels, domains.labels))
        for rest, held in parts:
            head = solve(domains.source[rest], domains.labels[rest], None)
            held_out[held] = head.logits(domains.source[held]).argmax(axis=1)
            target += softmax(head.logits(domains.target), axis=1)
        return held_out, target.argmax(axis=1)
