"""RunRecord: everything a run found out, as it lies in RUN/record.json. Reports and comparisons read only this."""

from __future__ import annotations

import math
from typing import Any

from pydantic import AliasChoices, Field, model_validator

from headstart.contracts.architecture_edits import Edit
from headstart.contracts.figures import MetricInfo
from headstart.contracts.panels import Mistake, Panel
from headstart.kernel.settings import Settings
from headstart.pipeline.adaptation.rows import AdaptationRow
from headstart.pipeline.figure_rows import FigureRow, Number
from headstart.pipeline.layer_rows import Layers
from headstart.pipeline.time_gain_row import TimeGain

TUNED = "tuned"
"""Key, and folder below that of the run, of a fine-tuning that was asked for where the probe is the model."""

SOURCE_MODEL = "source"
"""Key of the arm that was fit on the source alone, beside a model that was adapted to a target."""

CLASSICAL, CONSTANT = "classical", "constant"
"""Keys of the arms that are classical baselines: the best of them, and the same prediction for every example."""

SINGLE = "single"
"""Key of the arm that is a model for each of several tasks, trained alone."""

SMALL_NETWORK = "small network from scratch"
"""Title of a training from scratch of a smaller architecture than the backbone's."""

WITHOUT_TRANSFER = "without transfer"
"""End of the title of a model of the target alone, which stands for training from scratch."""

UPPER_BOUND = "upper bound"
"""Verdict of a comparison where the model is better than a training from scratch that was cut short."""

FORMAT_NUMBER = 1
"""Rises when a field changes its meaning; older numbers stay readable."""

FILE_NAME = "record.json"
"""Name of the record in a run folder."""

REPORT = "report.html"
"""Name of the report in a run folder."""


class Measured(Settings):
    """A record that names its metrics, so that figures can be shown without the task that computed them."""

    metrics: dict[str, MetricInfo] = {}
    """Metric or monitor -> its title, unit, direction and bounds."""

    @model_validator(mode="before")
    @classmethod
    def _from_directions(cls, given: Any) -> Any:
        """Records of Headstart 0.1 held only the direction of each metric."""
        if not isinstance(given, dict) or "greater_is_better" not in given:
            return given
        directions = given["greater_is_better"]
        infos = {name: MetricInfo(title=readable(name), greater_is_better=up) for name, up in directions.items()}
        return {"metrics": infos} | {key: value for key, value in given.items() if key != "greater_is_better"}

    def info(self, metric: str) -> MetricInfo:
        """Title, unit and direction of a metric; one that the record does not describe goes by its name."""
        return self.metrics.get(metric) or MetricInfo(title=readable(metric))

    def title(self, metric: str) -> str:
        """'Balanced accuracy'."""
        return self.info(metric).title

    def unit(self, metric: str) -> str:
        """As in `MetricInfo.unit`."""
        return self.info(metric).unit


def readable(name: str) -> str:
    """'balanced_accuracy' -> 'Balanced accuracy'."""
    return name[:1].upper() + name[1:].replace("_", " ")


class Epoch(Settings):
    """One pass of training, for the learning curves."""

    epoch: int
    train_loss: float
    val_loss: float
    val_metric: Number
    """The primary metric on validation."""
    learning_rate: float
    seconds: float
    monitors: dict[str, Number] = {}
    """What was looked at beside them, by name, where training went without labels."""


class Arm(Settings):
    """One way that was tried: the model, the frozen probe, training from scratch."""

    title: str
    """'linear probe on resnet18', 'resnet18 from scratch'."""
    figures: dict[str, FigureRow]
    """Metric -> figure on the test part."""
    history: tuple[Epoch, ...] = ()
    """Empty when the arm was solved rather than trained by steps."""
    seconds: float
    chosen: dict[str, int | str | Number] = {}
    """What was chosen on the way: regularisation, best epoch, temperature."""
    stopped: str = ""
    """Why training ended, in words."""
    cut_off: str = ""
    """How far it came, as '3 of 100 epochs', where the budget ended it before its recipe did; else empty."""
    fit_on: tuple[str, ...] = ("train",)
    """Parts of the split that its weights were fit on: 'train', 'val'."""
    shortcoming: str = ""
    """Why training from scratch may fall short of what it can reach: 'cut off after 1 of 67 epochs'; else empty."""


class Comparison(Settings):
    """The model against another arm on the same test examples."""

    against: str
    """Key in `RunRecord.arms`."""
    metric: str
    difference: FigureRow
    """Model minus the other, signed so that more is better."""
    verdict: str
    """'better', 'worse', 'not significant', `UPPER_BOUND`, or 'undecided' where there is no interval."""


class Decision(Settings):
    """Something that was chosen for the user."""

    what: str
    value: str
    reason: str


class StageRow(Settings):
    """A stage of the backbone and what became of it."""

    name: str
    parameters: int
    state: str
    """'frozen' or 'trained'."""
    learning_rate: float
    """Peak rate; 0 where frozen."""
    trained: int = 0
    """How many parameters moved; adapters that were merged into the others afterwards count here alone."""
    start: float = 0.0
    """Share of the training after which the stage began to move, in [0, 1)."""


class CandidateRow(Settings):
    """A way of training that was tried on the way to the model, judged on validation."""

    name: str
    """Of its own: 'full, 3e-05'."""
    tuning: str
    """Which weights moved."""
    learning_rate: Number
    """Peak rate of the backbone, or of the head where it alone moved; undefined where nothing was trained by steps."""
    epochs: int
    """Passes over the training data when it ended; 0 where it was solved."""
    seconds: float
    val_metric: Number
    """The primary metric on validation at its best."""
    val_low: Number = math.nan
    """Where the 95 % interval of `val_metric` begins; undefined where none was computed."""
    val_high: Number = math.nan
    """Where it ends."""
    fate: str
    """'kept' for the one that became the model, else what became of it: 'dropped after round 1'."""


class BudgetRow(Settings):
    """The time that was allowed, and what was used of it."""

    seconds: float
    """What the user allowed, from where data and backbone are there to the final model."""
    used: float
    """What these steps took together."""
    steps: dict[str, float] = {}
    """Step of `RunRecord.times` -> seconds it was allowed; a step that had no limit of its own is not named."""


class PartRow(Settings):
    """One part of the split."""

    name: str
    examples: int
    groups: int | None = None
    classes: dict[str, int] = {}
    leaks: int = 0
    """Examples with a copy in the train part, where the split was given."""


class DataIssue(Settings):
    """A file or row that could not be used, or should be looked at."""

    origin: str
    reason: str


class DataSummary(Settings):
    """Summary of the data."""

    source: str
    seen: str
    """What the format recognised, in words."""
    modality: str
    parts: tuple[PartRow, ...]
    unreadable: tuple[DataIssue, ...] = ()
    duplicates: int = 0
    """Examples that are exact or near copies of an earlier one."""
    leaks: tuple[DataIssue, ...] = ()
    """Copies on both sides of a given split."""
    notes: tuple[str, ...] = ()


class SliceRow(Settings):
    """The figures of one subgroup."""

    column: str
    value: str
    n: int
    figures: dict[str, FigureRow]


class Shown(Settings):
    """An example as a page shows it."""

    origin: str
    text: str = ""
    """The input in words; empty where it is a picture."""
    thumbnail: str = ""
    """A data URI of a small JPEG; empty where the input is not a picture."""
    sound: str = ""
    """A data URI of the beginning as MP3; empty where the input cannot be heard."""


class Card(Mistake, Shown):
    """A mistake with what is needed to show it."""


class FrozenPass(Settings):
    """Work of the frozen pass."""

    computed: int = 0
    """Distinct inputs that went through the backbone."""
    reused: int = 0
    """Examples whose features were stored already."""
    seconds: dict[str, float] = {}
    """For how long each part was at work: 'prepare' (the mean of its threads), 'runner' and 'store'."""


class Forgetting(Settings):
    """Retention: old and new model on the test part of the run that it went on from, or on a kept domain."""

    run: str
    """The run folder that it went on from, or the data of the kept domain."""
    kept: bool = False
    """Whether these are examples of a kept domain."""
    examples: int = 0
    """Test examples of that run that were compared; 0 where there were none."""
    metric: str = ""
    """The primary one, of `difference`."""
    before: dict[str, FigureRow] = {}
    """Metric -> figure of the earlier run."""
    after: dict[str, FigureRow] = {}
    """Metric -> figure of this run's model on the same examples."""
    difference: FigureRow | None = None
    """After minus before, paired, signed so that more is better; forgetting where the interval is below zero."""
    verdict: str = ""
    """'better', 'worse' or 'not significant'."""
    leaked: tuple[DataIssue, ...] = ()
    """Old test examples that this run learnt from; they are not compared."""
    notes: tuple[str, ...] = ()
    """Why nothing, or less than the whole old test part, was compared."""


class CurvePoint(Settings):
    """A metric with a number of labels, and its 90 % interval."""

    labels: int
    value: Number
    low: Number
    high: Number


class LabelGain(Settings):
    """Labels that another arm needs for the same figure, as a multiple of those of the probe, and the 90 % interval."""

    against: str
    """Key in `RunRecord.arms`."""
    value: Number
    """0 where the probe is not expected to get there, undefined beyond what was measured; `low` and `high` too."""
    low: Number
    high: Number
    sentence: str = ""


class LabelCurveRow(Settings):
    """The forecast of the probe with more labels."""

    metric: str
    labelled: int
    """Labels that there are."""
    unit: str = ""
    """What the labels are, in the plural, such as 'boxes'; '' for labelled examples."""
    measured: dict[int, Number] = {}
    """Labels -> the metric of probes on so many, cross-validated."""
    expected: tuple[CurvePoint, ...] = ()
    """Forecasts at those numbers of labels, at `labelled` and at multiples of it, in order."""
    gains: tuple[LabelGain, ...] = ()
    sentence: str = ""
    """The answer: "With twice the labels (2,000), expect accuracy 93.1 % (91.8-94.2)"."""
    reason: str = ""
    """Why there is no curve; empty where there is one."""


class AnyRecord(Measured):
    """Shared fields of the record of a run, of whichever verb."""

    format: int = FORMAT_NUMBER
    headstart: str
    """Version that made the run."""
    name: str
    verdict: str
    """The answer in a sentence or two."""
    fault: str = ""
    """Reason why the training was broken off; the command then ended in an error."""
    command: str
    """The exact command that repeats the run."""
    started: str
    """ISO 8601, UTC."""
    seed: int
    backbone: str
    backbone_origin: str
    """Where the weights came from that the training began with."""
    backbone_licence: str = "unknown"
    """Licence of the pretrained weights, as their publisher states it."""
    stages: tuple[StageRow, ...]
    head: StageRow | None = None
    """What was trained beside the backbone: heads and additions; None where nothing was, or records do not say."""
    decisions: tuple[Decision, ...]
    times: dict[str, float] = {}
    """Where the time went: step -> seconds, in order."""
    budget: BudgetRow | None = None
    """None where no time was set."""
    versions: dict[str, str] = {}
    machine: dict[str, str] = {}
    model_hash: str = ""
    """Of model/model.json, which has that of the weights; '' in records that do not say."""


class RunRecord(AnyRecord):
    """The record of a fit."""

    negative_transfer: bool = False
    task: str
    primary_metric: str
    data: DataSummary
    arms: dict[str, Arm]
    """'model' first; 'probe' or 'tuned', 'scratch', 'classical' and 'constant' where they ran."""
    cut_off: str = ""
    """A sentence on how far a budget let the training come that was asked for; empty where it ended by itself."""
    comparisons: tuple[Comparison, ...] = ()
    slices: tuple[SliceRow, ...] = ()
    worst_slice: str = ""
    edits: tuple[Edit, ...] = ()
    """Edits of the backbone's architecture; empty where it is as its weights were trained."""
    layers: Layers | None = None
    """None where it was not asked for."""
    candidates: tuple[CandidateRow, ...] = ()
    """What was tried to find the model, in order; empty where there was nothing to choose."""
    panels: tuple[Panel, ...] = Field(default=(), validation_alias=AliasChoices("panels", "exhibits"))
    """What the task shows of its predictions; called `exhibits` in older records."""
    mistakes: tuple[Card, ...] = ()
    frozen_pass: FrozenPass = FrozenPass()
    test_reads: int = 1
    """How often the test part has been read."""
    label_curve: LabelCurveRow | None = None
    """None where none was asked for, or records do not say."""
    time_gain: TimeGain | None = None
    """None where nothing was trained from scratch, or records do not say."""
    adaptation: AdaptationRow | None = None
    """None without a target."""
    forgetting: Forgetting | None = None
    """None where the run went on from no other."""
    tuned: str = ""
    """Folder, relative to its own, of the run of the fine-tuning that was asked for, where the probe is the model."""
    runs: tuple[str, ...] = ()
    """Where this sums up several runs: their folders, relative to its own."""
    spreads: dict[str, dict[str, Number]] = {}
    """Then arm -> metric -> standard deviation over the runs."""
