from __future__ import annotations

import resource
import sys

import pytest
import torch

from forked_processes import Forked
from headstart.engine.allocator import keep_blocks

NUMBERS = 9 << 20
"""36 MB: more than glibc itself ever learns to keep."""

WARM_UP = 16
"""Arrays until the heap is as large as it gets: small blocks that stay lie between the first few."""


def count_faults(kept: bool) -> None:
    """Print how many page faults some arrays cost in which others have been before."""
    if kept:
        assert keep_blocks()
    for _ in range(WARM_UP):
        torch.ones(NUMBERS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(2):
        torch.ones(NUMBERS)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator is glibc's")
def test_freed_blocks_are_used_again_without_page_faults() -> None:
    def faults(kept: bool) -> int:
        with Forked(count_faults, kept) as process:
            assert process.wait() == 0, process.err
            return int(process.out)

    assert faults(True) < 0.1 * faults(False)
