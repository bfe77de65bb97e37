"""pretrain: inputs without labels in; a backbone, the course of its training and a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headstart.contracts.format import Columns
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.user_settings import build
from headstart.pipeline.backbone_columns import with_columns_of_run
from headstart.pipeline.data import name_of
from headstart.pipeline.destination import require_new_run
from headstart.pipeline.plan_file import is_plan, repeated
from headstart.pipeline.pretraining.plan import PretrainPlan, read_plan
from headstart.pipeline.pretraining.pretrain_run import run_pretraining
from headstart.pipeline.run_folder import PretrainedRun
from headstart.present.report.write import report


def pretrain(
    data: Any,
    *,
    out: Path | str | None = None,
    text: str | Sequence[str] = (),
    image: str | None = None,
    numeric: str | Sequence[str] = (),
    categorical: str | Sequence[str] = (),
    date: str | Sequence[str] = (),
    leave_out: str | Sequence[str] = (),
    label: str | Sequence[str] | None = None,
    format: str | None = None,
    backbone: str = "auto",
    weights: str = "pretrained",
    objective: str = "auto",
    augmentation: str = "auto",
    labelled: Path | str | None = None,
    seed: int = 0,
    budget: float | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> PretrainedRun:
    """Train a backbone on data without labels; the run's folder is a backbone for `fit`.

    Args:
        data: a folder of images in any layout, a table of texts, of image paths or of numbers, a pandas frame, a
            Hugging Face dataset, or the plan.toml of an earlier pretraining, which is repeated. Labels are not used.
        out: the run folder; `runs/NAME` without it. The same request resumes an unfinished run.
        text: text column, or two for pairs. image: column of image paths.
        numeric, categorical, date, leave_out: as in `fit`.
        label: column of the labels in `labelled`. format: how the data lie; recognised without it.
        backbone: what is trained: a name, a folder or file, or a run, which goes on.
        weights: 'pretrained', 'random' to train from scratch, or a file for the architecture named by `backbone`.
        objective: what is learnt: a plug-in for data without labels; the one that suits data and backbone when 'auto'.
        augmentation: random views; those that the objective asks for when 'auto'.
        labelled: a labelled sample, perhaps of the same data, by which the result is judged: k-NN accuracy after each
            epoch, and the gain of a linear probe over the start. Nothing is learnt from its labels.
        seed: decides every random draw.
        budget: seconds of training at most, the look at the start included; as many of the epochs are planned as fit.
        settings: such as {"training": {"epochs": 20}, "objective": {"temperature": 0.1}}.
        overwrite: replace a run that lies in `out`, when the new one is whole.
        reporter: shows progress; silent without it.

    Returns:
        The finished run. Under a launcher such as torchrun this is so in the process of rank 0; the others train with
        it and then end by `SystemExit(0)`.

    Raises:
        HeadstartError: its subclasses say whether settings, data, backbone, run folder or training are at fault; a
            representation that has collapsed is a `TrainingError`. One that is broken off by a loss of NaN after an
            epoch was judged leaves a finished run all the same, which the message names.
    """
    cells = {"numeric": numeric, "categorical": categorical, "date": date, "leave_out": leave_out}
    columns = Columns.model_validate({"text": text, "image": image, **cells, "label": label})
    said = {
        "data": name_of(data),
        "format": format,
        "columns": columns,
        "backbone": backbone,
        "weights": weights,
        "objective": objective,
        "augmentation": augmentation,
        "labelled": None if labelled is None else str(labelled),
        "seed": seed,
        "budget": budget,
        "settings": {part: dict(values) for part, values in (settings or {}).items()},
    }
    plan = _settled(build(PretrainPlan, said, where="pretrain"))
    given = plan.data if is_plan(data) else data
    folder = None if out is None else Path(out)
    require_new_run(folder, plan, given, plan.labelled, plan.backbone, plan.weights)
    return PretrainedRun(run_pretraining(given, plan, folder, reporter or Quiet(), report, overwrite=overwrite))


def _settled(plan: PretrainPlan) -> PretrainPlan:
    """The plan that is carried out, or the one in the file that it names; checked."""
    if is_plan(plan.data):
        plan = repeated(plan, PretrainPlan(data=plan.data), read_plan, "pretrain")
    plan = with_columns_of_run(plan)
    plan.check()
    return plan
