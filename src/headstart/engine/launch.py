"""Launch: which of several processes this is, where a launcher such as torchrun has started one job as several.

Launchers say it in the environment: RANK of WORLD_SIZE processes, LOCAL_RANK among those of this machine.
"""

from __future__ import annotations

import os

from headstart.kernel.errors import SettingsError


def rank() -> int:
    """The number of this process, from 0; 0 where there is one only. Raises SettingsError as `world_size` does."""
    return _number("RANK", 0) if world_size() > 1 else 0


def local_rank() -> int:
    """The number of this process among those of its machine, from 0. Raises SettingsError as `world_size` does."""
    return _number("LOCAL_RANK", 0)


def world_size() -> int:
    """Return the number of processes of the job, >= 1.

    Raises:
        SettingsError: the environment holds something that is not a number.
    """
    return max(1, _number("WORLD_SIZE", 1))


def _number(variable: str, otherwise: int) -> int:
    given = os.environ.get(variable) or str(otherwise)
    if not given.isdecimal():
        raise SettingsError(
            f"{variable}={given} is not a process number. A launcher such as torchrun sets it; otherwise unset it"
        )
    return int(given)
