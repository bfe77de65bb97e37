from __future__ import annotations

import subprocess
import sys

import pytest

FAULTS = """
import resource, sys
from headstart.engine.allocator import keep_blocks
import torch
if sys.argv[1] == "kept":
    assert keep_blocks()
for _ in range(12):
    torch.ones(16 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(16 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator is glibc's")
def test_freed_blocks_are_used_again_without_page_faults() -> None:
    def faults(how: str) -> int:
        answer = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        return int(answer.stdout)

    assert faults("kept") < 0.1 * faults("usual")
