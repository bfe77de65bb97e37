"""One fit over several seeds: what its figures owe to chance.

A seed decides every draw of a run: the split where the data have none, first weights, order, views, folds. The inputs
are the same, so the frozen pass is made once and shared through the store. Each seed has a run folder of its own below
the common one; what is finished is not made again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from headstart.kernel.errors import RunError
from headstart.kernel.progress import Reporter
from headstart.kernel.replacement import destination
from headstart.pipeline.claim import claimed, is_done, refuse_taken
from headstart.pipeline.plan import Plan
from headstart.pipeline.plan_file import write_plan
from headstart.pipeline.record import RunRecord
from headstart.pipeline.run_folder import RunFolder
from headstart.verbs.study import study

One = Callable[[Plan, Path], RunFolder]
"""Carries out the plan of one seed in a folder."""


def over_seeds(plan: Plan, out: Path | None, one: One, reporter: Reporter, *, overwrite: bool) -> Path:
    """Fit `plan.seeds` times and sum up; the common folder, with plan, record and report.

    Raises:
        RunError: the folder is taken, or the data changed while the seeds ran.
    """
    refuse_taken(out, plan, overwrite=overwrite)
    with claimed(out, plan, overwrite=overwrite) as (folder, _):
        runs: list[RunFolder] = []
        for seed in range(plan.seed, plan.seed + plan.seeds):
            single, where = _single(plan, seed, runs), folder / f"seed-{seed}"
            if is_done(where, single):
                reporter.say(f"{destination(where)} is there already")
                runs.append(RunFolder(where))
            else:
                reporter.say(f"Seed {seed}, {len(runs) + 1} of {plan.seeds}")
                runs.append(one(single, where))
        _require_same_data(runs)
        write_plan(folder / "plan.toml", plan.anchored(), ())
        study(runs, folder, of="seeds", overlap=_overlap(runs))
    return out or folder


def _single(plan: Plan, seed: int, runs: Sequence[RunFolder]) -> Plan:
    """The plan of one seed; what was measured or found for the first one holds for all."""
    single = plan.model_copy(update={"seed": seed, "seeds": 1})
    if not runs:
        return single
    first = runs[0].plan
    settings = {**plan.settings, "runner": first.settings.get("runner", {})}
    return single.model_copy(update={"backbone": first.backbone, "runner": first.runner, "settings": settings})


def _require_same_data(runs: Sequence[RunFolder]) -> None:
    """A run that was finished before the data changed says nothing about the others."""
    for run in runs[1:]:
        same = run.parts.keys() == runs[0].parts.keys() and _classes(run.record) == _classes(runs[0].record)
        if not same:
            raise RunError(
                f"the data of {runs[0].folder} and {run.folder} are not the same: they changed in between. Give "
                "--overwrite to make all seeds anew."
            )


def _classes(record: RunRecord) -> Counter[str]:
    return sum((Counter(part.classes) for part in record.data.parts), Counter())


def _overlap(runs: Sequence[RunFolder]) -> float:
    """Test examples per example that is not one, where each seed drew its own split; 0 where the data have one."""
    tests = [{key for key, part in run.parts.items() if part == "test"} for run in runs]
    if all(test == tests[0] for test in tests):
        return 0.0
    return len(tests[0]) / (len(runs[0].parts) - len(tests[0]))
