"""The transfer gain in time: how much longer training from scratch takes to the accuracy of the model.

The clock of a training by steps runs over its epochs, up to the first as good on validation; a solved head's is that
of the frozen pass and the solver. Where the model's weights were fit on validation too, the other has to reach its
figure on the test part. A training that does not get there in all its time gives a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence

from headstart.contracts.figures import MetricInfo
from headstart.pipeline.numbers import in_sentence, seconds_text, value_text
from headstart.pipeline.record import Arm, Epoch
from headstart.pipeline.time_gain_row import TimeGain

SCRATCH = "scratch"


def time_gain(arms: dict[str, Arm], metric: str, info: MetricInfo, frozen_pass: float) -> TimeGain | None:
    """Return the gain over training from scratch; None without one, or for a metric that has no better and worse.

    `frozen_pass` is how many seconds the features of a solved head took.
    """
    model, scratch = arms["model"], arms.get(SCRATCH)
    if scratch is None or not scratch.history or info.greater_is_better is None:
        return None
    better = info.greater_is_better
    if model.history:
        wanted, where = _best(model.history, greater=better), "on validation"
        took = _seconds_to(model.history, wanted, greater=better) or model.seconds
    else:
        wanted, where, took = model.figures[metric].value, "on the test part", model.seconds + frozen_pass
    needed, total = _seconds_to(scratch.history, wanted, greater=better), sum(one.seconds for one in scratch.history)
    took = max(took, 1e-3)
    times = (total if needed is None else needed) / took
    its = f"{in_sentence(info.title)} {value_text(info.unit, wanted)} {where}"
    if needed is None:
        best = value_text(info.unit, _best(scratch.history, greater=better))
        more = f", more than {_times(times)} times as long" if times > 1 else ""
        told = f"in {seconds_text(total)} it did not get to the model's {its} ({best} at best), which took "
        told += f"{seconds_text(took)}{more}"
    else:
        told = f"it takes {seconds_text(needed)} to the model's {its}, {_times(times)} times the model's "
        told += seconds_text(took)
    return TimeGain(
        seconds=took, scratch_seconds=needed, times=times, sentence=f"Time against {scratch.title}: {told}."
    )


def _best(history: Sequence[Epoch], *, greater: bool) -> float:
    values = [one.val_metric for one in history]
    return max(values) if greater else min(values)


def _seconds_to(history: Sequence[Epoch], wanted: float, *, greater: bool) -> float | None:
    """Seconds up to the end of the first epoch as good as `wanted`; None where there is none."""
    passed = 0.0
    for one in history:
        passed += one.seconds
        if (one.val_metric >= wanted) if greater else (one.val_metric <= wanted):
            return passed
    return None


def _times(times: float) -> str:
    return f"{times:.2g}" if times < 10 else f"{times:.0f}"
