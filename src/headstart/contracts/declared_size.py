"""A declared architecture held against the weights that are there, before its memory is taken.

A description of a few bytes can declare any number of weights. Modules register their parameters one after the other
and fill them with numbers afterwards, so that a count of what is registered stops a model that its weights cannot fill
while it has taken hardly more memory than they do.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from headstart.kernel.errors import BackboneError

_TIMES = 3
_NUMBERS_BESIDES, _TENSORS_BESIDES = 32_000_000, 2_000
"""What a model may have beyond its weights on disk: what is registered twice, and tables that are computed."""

MOST_TENSORS = 20_000
"""Where it is not known how many there are; the largest models have as many."""


class Stored(NamedTuple):
    """Size of the stored weights, in numbers and in tensors."""

    numbers: int
    tensors: int = MOST_TENSORS

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Stored:
        """Return the size of some named tensors."""
        return cls(sum(tensor.numel() for tensor in state.values()), len(state))


@contextmanager
def weights_at_most(stored: Stored | None) -> Iterator[None]:
    """Watch the modules that this thread makes, which are to be filled with stored weights.

    With None they are to be drawn at random, and the machine's memory is the limit.

    Raises:
        BackboneError: more are declared by far.
    """
    if stored is None:
        most, of_tensors, why = _memory() // 4, MOST_TENSORS, f"this machine has memory for {_memory() // 4:,}"
    else:
        most, of_tensors = _TIMES * stored.numbers + _NUMBERS_BESIDES, _TIMES * stored.tensors + _TENSORS_BESIDES
        why = f"only {stored.numbers:,} are stored"
    thread, registered, tensors = threading.get_ident(), 0, 0

    def count(_: nn.Module, __: str, tensor: Tensor | None) -> None:
        nonlocal registered, tensors
        if tensor is None or threading.get_ident() != thread:
            return
        registered, tensors = registered + tensor.numel(), tensors + 1
        if registered > most or tensors > of_tensors:
            raise BackboneError(f"it declares {registered:,} weights and more, in {tensors:,} tensors, but {why}")

    hooks = register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _memory() -> int:
    """Bytes of this machine's memory; 16 GiB where it does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 16 << 30
