"""A coarser runner: more than 1 % off, for features that only feed probes and evidence.

It counts where it is faster than the right one by the margin, and its features are no more than 1.5 times as far off
plain PyTorch's as those of PyTorch's own bfloat16. A probe is tried on them by whoever knows the labels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import torch

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.runner import CannotRun, Execute, Runner
from headstart.engine.device import run_halving
from headstart.engine.frozen.choose_runner import MARGIN, MEMO, SLOW, WORTH, Choosing, Trial
from headstart.engine.frozen.execution import Differs, described, difference, in_words, percent, started
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.pass_key import pass_key
from headstart.engine.frozen.reference_result import ReferenceResult
from headstart.engine.frozen.runner_choice import Choice, choice_from, read_json
from headstart.engine.frozen.work_locks import work_lock
from headstart.kernel.files import hash_json


def choose_coarser(
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec,
    device: torch.device,
    exact: Choice,
) -> Choice | None:
    """The fastest of those that are faster than `exact` by the margin; None where there is none."""
    if exact.runner.precision != "float32" or not exact.key:
        return None
    choosing = Choosing(backbone, examples, keys, spec, device, exact.key)
    entry = hash_json([choosing.entry.decode(), "by use", described(exact.runner)]).encode()
    kept = read_json(choosing.disk_cache.get([entry]).get(entry), list)
    if not kept:
        with work_lock(MEMO):
            trial = choosing.trial(None)
            found = None if trial is None else _fastest(trial, exact)
        kept = [None if found is None else found.document()]
        choosing.disk_cache.put({entry: json.dumps(kept).encode()})
    return choice_from(kept[0], exact.key, device)


def choose_named(
    runner: Runner,
    backbone: Backbone,
    examples: Examples,
    keys: Sequence[str | None],
    spec: FeatureSpec,
    device: torch.device,
) -> Choice:
    """The choice of a runner that was named, which says by use where its features are more than 1 % off."""
    key = hash_json(pass_key(backbone, spec))
    trial = None if runner.precision == "float32" else Choosing(backbone, examples, keys, spec, device, key).trial(None)
    if trial is None:
        return Choice(runner, "")
    reference = trial.reference()
    try:
        started(runner, trial.segment, trial.state, device, key, reference)
    except Differs:
        try:
            execute = started(runner, trial.segment, trial.state, device, key, reference, by_use=True)
        except CannotRun:  # the pass says why
            return Choice(runner, "", by_use=True)
        return Choice(runner, _how_far(trial, execute, reference), key=key, by_use=True)
    except CannotRun:
        pass
    return Choice(runner, "")


def _fastest(trial: Trial, exact: Choice) -> Choice | None:
    reference = trial.reference()
    slower = trial.seconds(started(exact.runner, trial.segment, trial.state, trial.device, trial.key, reference))
    best, found = slower, None
    for runner in (one for variants in trial.others() for one in variants if one.precision != "float32"):
        if runner.setup_seconds(trial.device) > WORTH * best:
            continue
        try:
            execute = started(runner, trial.segment, trial.state, trial.device, trial.key, reference, by_use=True)
            seconds = trial.seconds(execute, most=SLOW * best)
        except (CannotRun, RuntimeError):  # what was right once may fail on this machine today
            continue
        if seconds * MARGIN < best:
            best, times = seconds, f"{slower / seconds:.1f} times as fast as {in_words(exact.runner)}"
            reason = f"{times}; {_how_far(trial, execute, reference)}"
            found = replace(exact, runner=runner, reason=reason, seconds_each=best / trial.inputs, by_use=True)
    return found


def _how_far(trial: Trial, execute: Execute, reference: ReferenceResult) -> str:
    """The distance of its features in words."""
    far, own = (
        percent(difference(found, reference.result(0), trial.segment))
        for found in (run_halving(execute, trial.state), reference.autocast(0))
    )
    return f"its features are {far} off plain PyTorch's, those of PyTorch's own bfloat16 {own}"
