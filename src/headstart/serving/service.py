"""A run that answers: raw inputs in, a JSON document for each, with the nearest training examples as the reason."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import HasPicture, HasTexts, InFiles, modality_named
from headstart.contracts.presentation import presentation_of
from headstart.contracts.task_capabilities import SeveralRows, WritesFiles
from headstart.engine.frozen.infer import Predicted, Predictor
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.pipeline.data import reader_of
from headstart.pipeline.given_inputs import given_examples
from headstart.pipeline.histories import format_of
from headstart.pipeline.kept_reference import LikenessNote, read_reference
from headstart.pipeline.listing import UNREAD
from headstart.pipeline.mask_files import mask_files
from headstart.pipeline.prediction_table import ERROR, ORIGIN, frames
from headstart.pipeline.run_folder import RunFolder
from headstart.serving.limits import Limits, TooMuch

NEAREST = 3
"""Training examples that are named as the reason."""


class Service:
    """A loaded run. One thread at a time asks it."""

    def __init__(self, run: RunFolder, limits: Limits, reporter: Reporter) -> None:
        """Read the model; nothing is started before the first inputs."""
        self.run, self.limits, self.model = run, limits, run.model
        self.name = run.folder.resolve().name
        self.kind = modality_named(self.model.backbone.modality)
        self.shown = presentation_of(self.model.task)
        self._predictor = Predictor(self.model, reporter=reporter, keep_pooled=True)
        self._reporter, self._kept = reporter, read_reference(run.folder)
        self._beside = [] if self._kept is None else [LikenessNote(self._kept.reference).columns, self._nearest]

    @property
    def takes(self) -> str:
        """Kind of its inputs: 'file', 'text', 'texts' or 'record'."""
        if isinstance(self.kind, InFiles):
            return "file"
        if isinstance(self.kind, HasTexts) and not (self.model.columns.numeric or self.model.columns.categorical):
            return "text" if len(self.model.columns.text) < 2 else "texts"
        return "record"

    def answers(self, inputs: Sequence[Any]) -> list[dict[str, Any]]:
        """A document for each input: its prediction and scores, 'unlike', 'nearest', boxes or a mask; or an 'error'.

        Raises:
            DataError: the inputs are of another kind than the model's.
        """
        examples = self._examples(inputs)
        if not isinstance(self.shown, WritesFiles):
            return self._documents(self._frame(examples, None), len(inputs))
        with TemporaryDirectory() as folder:
            with mask_files(Path(folder, "files")) as masks:
                frame = self._frame(examples, masks)
            return self._documents(frame, len(inputs), Path(folder))

    def check(self, given: Any) -> None:
        """Refuse one input before it waits for others. Raises TooMuch or DataError."""
        if not isinstance(self.kind, HasPicture) or not isinstance(given, bytes):
            return
        width, height = self.kind.size(given)
        if width * height > self.limits.pixels:
            raise TooMuch(f"the picture has {width}x{height} pixels, at most {self.limits.pixels:,} are allowed")

    def _frame(self, examples: Examples, masks: Any) -> pd.DataFrame:
        every = frames(self._predictor, iter([examples]), masks, self._reporter, self._beside)
        return pd.concat([*every])

    def _examples(self, inputs: Sequence[Any]) -> Examples:
        if self.takes == "file":
            if not all(isinstance(one, bytes) for one in inputs):
                raise DataError("the model reads files: send one as the body, or as base64")
            origins = [f"input {row}" for row in range(len(inputs))]
            table = pa.table({"input": pa.array(inputs, pa.binary()), ORIGIN: pa.array(origins)})
            return Examples(table, Schema(modality=self.model.backbone.modality, inputs=("input",), origin=ORIGIN))
        rows = [tuple(one) if isinstance(one, list) else one for one in inputs]
        if (found := given_examples(rows, self.model)) is not None:
            return found
        if not all(isinstance(one, Mapping) for one in rows):
            raise DataError('the model reads the columns of a table: send records such as {"age": 31}')
        own = self.run.plan.settings.get("format", {})
        source, reader = reader_of(pd.DataFrame(rows), format_of(self.run.plan), own, {})
        (found,) = reader.stream(source, self.model.columns.model_copy(update=UNREAD), len(rows))
        return found

    def _nearest(self, predicted: Predicted) -> Mapping[str, np.ndarray]:
        """ "nearest": the training examples whose features lie nearest."""
        if predicted.pooled is None or self._kept is None:
            return {}
        kept, found = self._kept, np.empty(len(predicted.pooled), object)
        for row, (near, far) in enumerate(zip(*kept.reference.nearest(predicted.pooled, NEAREST))):
            names = ((kept.origins[k], kept.labels[k]) for k in near)
            found[row] = [{"origin": o, "label": m, "distance": round(float(d), 4)} for (o, m), d in zip(names, far)]
        return {"nearest": found}

    def _documents(self, frame: pd.DataFrame, count: int, folder: Path = Path()) -> list[dict[str, Any]]:
        documents = []
        given = {ORIGIN, *self.model.columns.named()} if self.takes != "file" else {ORIGIN}
        for row in range(count):
            some = [_plain(record) for record in frame.loc[[row]].to_dict("records")]
            first: dict[str, Any] = {
                name: value for name, value in some[0].items() if name not in given and value is not None
            }
            if ERROR in first:
                documents.append({"error": first[ERROR]})
                continue
            if isinstance(self.shown, SeveralRows):
                boxes = [{k: r[k] for k in r if k not in (ORIGIN, ERROR, "unlike", "nearest", "file")} for r in some]
                beside: dict[str, Any] = {name: first[name] for name in ("unlike", "nearest") if name in first}
                first = {"prediction": [box for box in boxes if box.get("score") is not None], **beside}
            if "file" in first:
                first["mask"] = _data_url(folder / str(first.pop("file")))
            documents.append(first)
        return documents


def _plain(record: Mapping[Any, Any]) -> dict[str, Any]:
    """The cells of a row as JSON values; numbers that are none are left out, and texts that are JSON are read."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, float) and not math.isfinite(value):
            value = None
        if name in ("prediction", "set") and isinstance(value, str) and value[:1] in ("[", "{"):
            with suppress(ValueError):
                value = json.loads(value)
        found[str(name)] = value
    return found


def _data_url(file: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(file.read_bytes()).decode()
