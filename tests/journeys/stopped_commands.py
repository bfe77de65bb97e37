"""Commands that come to a certain moment and no further; each is for a process of its own, which is stopped there."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fake_runners import Behaviour, Clock, install, runner, times
from forked_processes import SECONDS, Forked
from headstart.__main__ import main
from headstart.engine.frozen import extract, feeding
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.store.space import Space
from headstart.engine.training import loop

HELD = "held"
"""A file that says that the moment has come."""


def stopped(by: signal.Signals, run: Callable[..., None], *arguments: object) -> tuple[int, str]:
    """Let a command come to the moment at which it waits, send it a signal: exit code and standard error."""
    with Forked(run, *arguments) as process:
        until_held(process)
        process.send(by)
        return process.wait(), process.err


def until_held(process: Forked) -> None:
    """Wait until the moment has come."""
    give_up = time.monotonic() + SECONDS
    while not Path(HELD).exists():
        assert process.alive() and time.monotonic() < give_up, process.err
        time.sleep(0.005)


def command(*line: object) -> None:
    """What the command line does."""
    sys.argv = ["headstart", *map(str, line)]
    main()


def held_in_training(checkpoint: str, epoch: int, *line: object) -> None:
    """A command that writes checkpoints after every step, and waits in the second step of an epoch of one training.

    Args:
        checkpoint: the name of that training's file.
        epoch: from 0; so many are done then, and a checkpoint says so.
    """
    loop.CHECKPOINT_SECONDS = 0.0
    step = loop.Loop.step

    def held(training: loop.Loop, batches: Mapping[str, Any]) -> None:
        progress, file = training.progress, training.checkpoint
        if file is not None and file.path.name == checkpoint and (progress.epoch, progress.step) == (epoch, 1):
            wait(lambda: training.interruption.asked)
        step(training, batches)

    loop.Loop.step = held  # type: ignore[method-assign]
    command(*line)


def held_in_the_frozen_pass(processes_from: int, *line: object) -> None:
    """A command that stores the first batch of its frozen pass at once, and waits before it stores the second.

    Args:
        processes_from: pictures from which worker processes read them.
    """
    append, stored = Space.append, []

    def held(space: Space, keys: Sequence[str], fields: Mapping[str, Any]) -> None:
        if stored:
            wait(lambda: False)
        append(space, keys, fields)
        stored.extend(keys)

    Space.append = held  # type: ignore[method-assign]
    feeding.PROCESSES_FROM = processes_from
    extract.usual_batch_size = lambda device: 4  # type: ignore[assignment]
    FeatureStore.__init__.__kwdefaults__["flush_seconds"] = 0.0  # type: ignore[index]
    command(*line)


def killed_at_step(number: int, *line: object) -> None:
    """A command that is killed before a step of a training, counted over all its trainings from 0."""
    step, steps = loop.Loop.step, itertools.count()

    def counted(training: loop.Loop, batches: Mapping[str, Any]) -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        step(training, batches)

    loop.Loop.step = counted  # type: ignore[method-assign]
    command(*line)


def killed_before_writing(name: str, *line: object) -> None:
    """A command that is killed when a file of that name is written, but not yet in its place."""
    replace = os.replace

    def killing(source: Path, target: Path) -> None:
        if Path(target).name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = killing  # type: ignore[assignment]
    command(*line)


def killed_where_another_runner_takes(seconds: float, name: str, *line: object) -> None:
    """As `killed_before_writing`, where there is `another_runner`."""
    another_runner(pytest.MonkeyPatch(), seconds)
    killed_before_writing(name, *line)


def another_runner(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let there be plain PyTorch, at a second for each input, and a runner of other bits that takes so many."""
    clock = Clock()
    behaviours = {"plain": Behaviour(plain=True), "other": Behaviour(seconds, spoil=lambda state: times(state, 1.002))}
    install(patch, {key: runner(behaviour, clock) for key, behaviour in behaviours.items()}, clock)


def killed_while_replacing(number: int, *line: object) -> None:
    """A command that is killed before a rename of a folder, counted from 0."""
    rename, renames = os.rename, itertools.count()

    def killing(source: Path, target: Path) -> None:
        if next(renames) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(source, target)

    os.rename = killing  # type: ignore[assignment]
    command(*line)


def held_in_the_report(*line: object) -> None:
    """A command that waits before it writes its report."""
    replace = os.replace

    def held(source: Path, target: Path) -> None:
        if Path(target).name == "report.html":
            wait(lambda: False)
        replace(source, target)

    os.replace = held  # type: ignore[assignment]
    command(*line)


def with_closed(numbers: Sequence[int], *line: object) -> None:
    """A command whose standard streams of these numbers are closed, as by `>&-`."""
    for number in numbers:
        os.close(number)
        setattr(sys, ("stdin", "stdout", "stderr")[number], None)
    command(*line)


def with_output_to(path: str, *line: object) -> None:
    """A command with its standard output to a file or device."""
    os.dup2(os.open(path, os.O_WRONLY), 1)
    command(*line)


def with_output_that_nobody_reads(streams: Sequence[int], *line: object) -> None:
    """A command that writes to a pipe whose reader has gone."""
    reading, writing = os.pipe()
    os.close(reading)
    for stream in streams:
        os.dup2(writing, stream)
        setattr(sys, ("stdin", "stdout", "stderr")[stream], os.fdopen(stream, "w"))  # the old one had a file's position
    command(*line)


def wait(until: Callable[[], Any]) -> None:
    """Say that the moment has come, and go on when something holds."""
    Path(HELD).touch()
    give_up = time.monotonic() + SECONDS
    while not until() and time.monotonic() < give_up:
        time.sleep(0.01)
