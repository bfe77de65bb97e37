"""Contents of items: a table with a row for each item goes through a frozen backbone once, whatever its modality.

The column that names the items is the one whose values are those of the interactions; all others are inputs as of any
table: texts, paths of pictures, numbers and categories.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.interactions import SOURCE, ItemContents, catalogue_of, column_of_lists, numbers_of
from headstart.contracts.modality import raws_of
from headstart.contracts.recommender import Ranks
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.errors import DataError
from headstart.kernel.progress import Reporter
from headstart.pipeline.choose_backbone import choose_backbone
from headstart.pipeline.data import read_examples
from headstart.pipeline.embed import embed
from headstart.pipeline.plan import Plan
from headstart.pipeline.prepare import Prepared, with_notes


def with_contents(data: Prepared, plan: Plan, items: Any, reporter: Reporter) -> tuple[Prepared, ItemContents]:
    """Return the data with new items in the catalogue, a note on the contents, and these. Raises as `item_contents`."""
    if not isinstance(data.task, Ranks):
        raise DataError("contents of items are for tasks that rank a catalogue of items")
    source = catalogue_of(column_of_lists(data.examples, SOURCE))
    known = pa.concat_arrays([data.task.catalogue, source])
    found = item_contents(plan, items, known, reporter)
    new = found.names.filter(pa.array(numbers_of(found.names, source) < 0))
    task = data.task.with_items(new)
    targets = task.targets(data.examples)
    return replace(with_notes(data, (found.note,)), task=task, targets=targets), found


def item_contents(plan: Plan, items: Any, known: pa.Array, reporter: Reporter) -> ItemContents:
    """Read a table of items and send it through the usual backbone of its modality.

    Args:
        plan: of the fit. items: a path or a table in memory. known: the items of the interactions.

    Raises:
        DataError: no column names items that are known. BackboneError: there is no backbone for what the table holds.
    """
    try:
        seen, _ = read_examples(items, Columns(), labelled=False)
        column, share = _naming(seen, known)
        examples, words = read_examples(items, Columns(leave_out=(column,)), labelled=False)
    except DataError as error:
        raise DataError(f"the table of items: {error}") from error
    unread = sorted({*seen.table.column_names} - {*examples.schema.inputs, examples.schema.origin, column})
    names = examples.table.column(column).cast(pa.string()).combine_chunks()
    first = np.unique(names.to_numpy(zero_copy_only=False).astype(str), return_index=True)[1]
    examples, names = examples.take(first), names.take(pa.array(first))
    alone = plan.model_copy(update={"backbone": "auto", "weights": "pretrained", "settings": {}, "task": "auto"})
    backbone, reference, _ = choose_backbone(examples, alone)
    backbone.learn_decoding(raws_of(examples))
    passed = embed(backbone, examples, store=FeatureStore(), reporter=reporter)
    vectors = passed.pooled()
    spread = vectors.std(axis=0)
    vectors = (vectors - vectors.mean(axis=0)) / np.where(spread > 0, spread, 1)
    note = f"Contents of {len(passed.rows):,} items by {reference} ({words}); {share:.0%} of the items have some"
    if unread:
        note += f"; {', '.join(unread)} {'is' if len(unread) == 1 else 'are'} not read by it"
    return ItemContents(names.take(pa.array(passed.rows)), vectors.astype(np.float32), note)


def _naming(examples: Examples, known: pa.Array) -> tuple[str, float]:
    """The column that names most of the known items, and the share of these. Raises DataError where none names any."""
    shares = {}
    for name in examples.table.column_names:
        column = examples.table.column(name).combine_chunks()
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_integer(column.type):
            shares[name] = float((numbers_of(known, column.cast(pa.string()).unique()) >= 0).mean())
    best = max(shares, key=lambda name: shares[name], default="")
    if not shares or not shares[best]:
        raise DataError(
            f"no column of the table of items names any item of the interactions, such as '{known[0]}'. Columns: "
            f"{', '.join(examples.table.column_names)}"
        )
    return best, shares[best]
