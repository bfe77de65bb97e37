"""The model card of a run: RUN/README.md in Hugging Face's form, drawn from the record alone.

The block at the top is YAML with a `model-index`, by which a hub lists figures. Names of data are those of their last
part: paths of this machine stay here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from headstart.kernel.files import write_atomic
from headstart.pipeline.numbers import difference_text, figure_text
from headstart.pipeline.record import RunRecord

FILE = "README.md"
MARK = "<!-- Written by Headstart. Delete this line, and the card is left as it is. -->"
MOST_SLICES = 20
SPDX = {"apache-2.0", "mit", "bsd-3-clause", "bsd-2-clause", "cc-by-4.0", "cc-by-nc-4.0", "cc-by-sa-4.0", "cc0-1.0"}
"""Names of licences that hubs know; any other is told in words."""


def write_card(folder: Path, record: RunRecord) -> None:
    """Write RUN/README.md, unless a person has made it their own."""
    path = folder / FILE
    if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
        return
    write_atomic(path, card(record).encode())


def card(record: RunRecord) -> str:
    """Return the card."""
    head = yaml.safe_dump(_metadata(record), sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n{MARK}\n\n" + "\n".join(_lines(record)) + "\n"


def _metadata(record: RunRecord) -> dict[str, object]:
    kind = f"{record.data.modality}-{record.task}"
    figures = [
        {"type": name, "name": record.title(name), "value": float(row.value)}
        for name, row in record.arms["model"].figures.items()
    ]
    licence = record.backbone_licence.lower()
    result = {
        "task": {"type": kind},
        "dataset": {"type": "private", "name": _data(record), "split": "test"},
        "metrics": figures,
    }
    return {
        "library_name": "headstart",
        "tags": ["headstart", kind],
        **({"license": licence} if licence in SPDX else {"license": "other", "license_name": record.backbone_licence}),
        "model-index": [{"name": record.name, "results": [result]}],
    }


def _lines(record: RunRecord) -> Iterator[str]:
    model, unit = record.arms["model"], record.info(record.primary_metric).unit
    yield f"# {record.name}\n\n{record.verdict}\n"
    yield f"- Task: {record.task}, of {record.data.modality} inputs"
    yield f"- Model: {model.title}"
    counts = ", ".join(f"{part.examples:,} {part.name}" for part in record.data.parts)
    yield f"- Data: {_data(record)} ({counts} examples), split before anything was learnt\n"
    yield "## Figures\n\nOn the test part, which nothing was chosen by, with 95 % intervals.\n"
    arms = [(key, arm) for key, arm in record.arms.items() if arm.figures]
    names = [name for name in model.figures if len(model.figures) <= 12 or name == record.primary_metric]
    yield "| | " + " | ".join(record.title(name) for name in names) + " |\n|" + "---|" * (len(names) + 1)
    for key, arm in arms:
        row = [figure_text(record.info(n).unit, arm.figures[n]) if n in arm.figures else "" for n in names]
        yield f"| {'**' + arm.title + '**' if key == 'model' else arm.title} | " + " | ".join(row) + " |"
    yield ""
    for one in record.comparisons:
        title = record.arms[one.against].title if one.against in record.arms else one.against
        yield f"- Against {title}: {difference_text(unit, one.difference)}, {one.verdict}"
    yield from _slices(record, unit)
    yield from _limits(record)
    yield "\n## How to run it\n\n```sh\npip install headstart"
    yield f"headstart predict {record.name} new-data/ --out predictions.csv\n```\n"
    yield "\n## Licence\n"
    yield f"The pretrained weights of {record.backbone} ({record.backbone_origin}): {record.backbone_licence}."


def _slices(record: RunRecord, unit: str) -> Iterator[str]:
    if not record.slices:
        return
    name = record.primary_metric
    yield f"\n## Subgroups\n\n| subgroup | examples | {record.title(name)} |\n|---|---|---|"
    for row in record.slices[:MOST_SLICES]:
        found = figure_text(unit, row.figures[name]) if name in row.figures else "too few examples"
        yield f"| {row.column} = {row.value} | {row.n:,} | {found} |"
    if len(record.slices) > MOST_SLICES:
        yield f"\n{len(record.slices) - MOST_SLICES} more are in the report."


def _limits(record: RunRecord) -> Iterator[str]:
    yield "\n## Limits\n"
    yield "- The figures hold for examples like those of the test part."
    yield f"- The test part has been read {record.test_reads} times."
    if record.negative_transfer:
        yield "- Negative transfer was measured: a model without pretraining is better."
    if record.worst_slice:
        yield f"- Worst subgroup: {record.worst_slice}"
    for note in record.data.notes[:5]:
        yield f"- {note.rstrip('.')}."


def _data(record: RunRecord) -> str:
    return Path(record.data.source).name or record.data.source
