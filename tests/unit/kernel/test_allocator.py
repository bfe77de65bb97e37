from __future__ import annotations

import subprocess
import sys

import pytest

COUNT = """
import resource
from concurrent.futures import ThreadPoolExecutor

def count():
    for _ in range(16):  # until the heap is as large as it gets
        b"x" * (84 << 20)  # more than glibc itself ever learns to keep, and than a heap of a thread holds
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(2):
        b"x" * (84 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if {kept}:
    import headstart
if {in_thread}:
    with ThreadPoolExecutor(1) as pool:
        print(pool.submit(count).result())
else:
    print(count())
"""


def faults(*, kept: bool, in_thread: bool) -> int:
    """Page faults that blocks cost where others have been before, in a process of their own."""
    command = [sys.executable, "-c", COUNT.format(kept=kept, in_thread=in_thread)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator is glibc's")
@pytest.mark.parametrize("in_thread", [False, True])
def test_freed_blocks_are_used_again_without_page_faults(in_thread: bool) -> None:
    assert faults(kept=True, in_thread=in_thread) < 0.1 * faults(kept=False, in_thread=in_thread)
