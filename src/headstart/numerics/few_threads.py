"""One thread for linear algebra on little data.

A second thread gains little there, and waits long for a core that other programs have: eigenvectors of 1280 features
take 0.3 s by one thread, and 1 to 10 s by two on two busy cores.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

import numpy as np
import scipy.linalg  # noqa: F401  loads its own BLAS, which the controller must find
from threadpoolctl import ThreadpoolController

SMALL = 1 << 25
"""Numbers in the features below which one thread does."""


def few_threads(*features: np.ndarray) -> AbstractContextManager[object]:
    """Return a context in which BLAS has one thread where features (examples, width) are small, else as many as now."""
    limit = 1 if sum(each.size for each in features) < SMALL else None
    return _controller().limit(limits=limit, user_api="blas")


@cache
def _controller() -> ThreadpoolController:
    """One per process: each looks through all libraries that are loaded, which takes 20 ms and more."""
    return ThreadpoolController()
