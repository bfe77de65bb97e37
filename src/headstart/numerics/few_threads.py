"""One thread for linear algebra on little data.

A second thread gains little there, and waits long for a core that other programs have: eigenvectors of 1280 features
take 0.3 s by one thread, and 1 to 10 s by two on two busy cores.
"""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

SMALL = 1 << 25
"""Numbers in the features below which one thread does."""


def few_threads(*features: np.ndarray) -> threadpool_limits:
    """Return a context in which BLAS has one thread where features (examples, width) are small, else as many as now."""
    return threadpool_limits(1 if sum(each.size for each in features) < SMALL else None, user_api="blas")
