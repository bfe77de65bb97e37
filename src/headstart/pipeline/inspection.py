"""Inspection: what was found in the data before training, as `inspect` returns it and `--json` prints it."""

from __future__ import annotations

from typing import Literal

from headstart.contracts.domains import ShiftKind
from headstart.kernel.settings import Settings
from headstart.pipeline.record import DataIssue, Number, Shown

Severity = Literal["error", "warning", "note"]


class Finding(Settings):
    """One thing that the user should know."""

    severity: Severity
    """'error': training refuses such data; 'warning': it would learn or be judged wrongly; 'note': good to know."""
    text: str
    """A plain sentence."""


class Copy(Settings):
    """Two examples with the same input, or nearly the same."""

    one: str
    """Origin of the first."""
    other: str
    """Origin of the second."""
    exact: bool
    """True where the inputs are the same to the bit."""


class Conflict(Settings):
    """Copies of one input that have different labels."""

    origins: tuple[str, ...]
    labels: tuple[str, ...]
    """In the order of the origins."""


class Spread(Settings):
    """Least, middle and greatest of a quantity over the examples."""

    minimum: float
    median: float
    maximum: float
    unit: str = ""
    """As it stands behind the numbers: 'px'; empty for plain numbers."""


class FaultRow(Shown):
    """One thing that looks wrong: with an example, or with the data where `origin` is empty."""

    kind: str
    """Such as 'wrong label', 'outlier' or 'near copy'."""
    score: float | None = None
    """Number by which it is ranked within its kind; `detail` says what it measures. None where there is no order."""
    given: str = ""
    """The label as it is."""
    likely: str = ""
    """The label that the model has for it."""
    other: str = ""
    """Origin of the other example, or the other class."""
    detail: str = ""
    """The evidence in a few words."""


class ShiftTest(Settings):
    """A respect in which two sets may differ."""

    name: str
    """As in `Question` of `evidence/shift_kind.py`: 'inputs', 'labels', 'inputs of a class'."""
    statistic: str
    """Name of what is measured."""
    value: Number
    p: float
    corrected: float
    """The p-value, corrected for all tests (Holm)."""
    found: bool
    """True where the sets differ in this respect."""
    basis: str
    """Examples or labels that it rests on."""


class ClassShare(Settings):
    """Share of a class in both sets."""

    name: str
    data: float
    other: float | None
    """Among the labels of the other set; None where it has too few."""
    estimated: float
    """In the other set, from its inputs alone (EM, Saerens et al. 2002), where inputs of a class are alike."""
    low: float
    """Ends of the 95 % interval of the estimate."""
    high: float
    black_box: float
    """The same by BBSE (Lipton et al. 2018)."""


class ShiftRow(Settings):
    """The data against another set, on frozen features."""

    against: str
    """Path of the other set, or what it is."""
    backbone: str
    auc: float
    """Area under the ROC curve of a linear classifier of the set, in [0, 1]; 0.5 where nothing differs."""
    p: float
    """Probability of such an area or a larger one where the sets do not differ."""
    distance: float
    """Proxy A-distance, in [0, 2]."""
    examples: int
    """Number of each set that were compared."""
    labels: int
    """Number of the compared examples of the other set that have a label."""
    kind: ShiftKind
    """Of the shift: 'none', 'covariate', 'label', 'concept', 'support' or 'cannot tell'."""
    reason: str
    tests: tuple[ShiftTest, ...]
    classes: tuple[ClassShare, ...] = ()
    """Empty where the data have no classes."""
    missing_classes: dict[str, str] = {}
    """Class -> the set that lacks it, 'data' or 'other'."""
    faults: tuple[FaultRow, ...] = ()
    """Inputs of each set that are least like those of the other."""

    @property
    def mix_holds(self) -> bool:
        """Return whether the estimated mix may be believed: inputs of a class are not found to differ."""
        return not any(one.found and one.name == "inputs of a class" for one in self.tests)


class DeepLook(Settings):
    """Findings from frozen features."""

    backbone: str
    examples: int
    """Number of usable examples."""
    folds: int = 0
    """Folds of the probe whose predictions labels are held against; 0 where there is none."""
    faults: tuple[FaultRow, ...] = ()
    """Kind by kind, the gravest first in each."""


class Inspection(Settings):
    """Everything that was found."""

    source: str
    """Path of the data, or what they are."""
    seen: str
    """Description of how they lie."""
    modality: str
    """Of the inputs: 'image', 'text', 'table' or that of a plug-in."""
    examples: int
    """Examples in all, unreadable ones included."""
    parts: dict[str, int] = {}
    """Given part -> examples; empty when no split is given."""
    classes: dict[str, int] = {}
    """Class -> examples; empty without labels, and when labels are quantities."""
    several: bool = False
    """Whether an example may have any number of these classes."""
    missing_labels: int = 0
    unreadable: tuple[DataIssue, ...] = ()
    """Every input that cannot be read, with the reason."""
    unusable: tuple[DataIssue, ...] = ()
    """Every input that nothing can be learnt from, such as a blank text or a row with an infinite number."""
    constant_images: tuple[str, ...] = ()
    """Origins of images that are one plain colour."""
    exact_duplicates: int = 0
    """Examples whose input came before, to the bit."""
    near_duplicates: int = 0
    """Examples whose input came before nearly so, exact ones not counted."""
    copies: tuple[Copy, ...] = ()
    """Some of the duplicates."""
    conflicts: tuple[Conflict, ...] = ()
    """Copies with different labels."""
    leaks: tuple[Copy, ...] = ()
    """Copies across the given split: the first outside the train part, the second in it."""
    spreads: dict[str, Spread] = {}
    """Sizes: width and height in pixels, characters and words of texts, the values of numeric columns and targets."""
    shift: ShiftRow | None = None
    """The comparison with another set; None where none was asked for or too few inputs are of use."""
    deep: DeepLook | None = None
    """Findings from frozen features; None where none were asked for, or there is no backbone or no usable data."""
    assumed: tuple[str, ...] = ()
    """Sentences, also among the findings, on what a fit would leave out, cut, convert or assume."""
    findings: tuple[Finding, ...] = ()
    """All of it in sentences, gravest first."""
