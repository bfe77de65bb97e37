"""Pictures with masks in folders: a class for every pixel. `_mask_layout.py` says which layouts, `_legend.py` how the
values of masks get their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from headstart.contracts.examples import Examples, Schema
from headstart.contracts.format import Columns
from headstart.formats._box_annotations import annotated
from headstart.formats._exif_turns import Exif, turns_of
from headstart.formats._given_paths import is_folder
from headstart.formats._image_groups import groups_of
from headstart.formats._image_scan import Leftovers, walk_files
from headstart.formats._legend import FILES, read_legend
from headstart.formats._mask_layout import Pair, has_mask_endings, has_mask_folders, pair_up, without_unlabelled_test
from headstart.kernel.errors import DataError, some
from headstart.kernel.settings import Settings
from headstart.media.masks import THRESHOLD


class MaskFolder(Settings):
    """Pictures and masks in folders of their own, or side by side."""

    threshold: int | None = THRESHOLD
    """Grey value of masks from which on a pixel is of the second of two classes; >= 1, for soft edges and JPEG."""
    exif: Exif | None = None
    """'stored' or 'upright': how masks lie over pictures that EXIF turns; by default as sizes tell."""

    @classmethod
    def recognises(cls, source: Any) -> str | None:
        """Return how many pictures and masks, where folders or names say that there are masks."""
        if not is_folder(source):
            return None
        paths = list(walk_files(Path(source), Leftovers()))
        if not paths or not (has_mask_folders(Path(source)) or has_mask_endings(paths)) or annotated(source):
            return None
        found = pair_up(paths)
        if not found.pairs:
            return None
        masks = sum(pair.mask is not None for pair in found.pairs)
        return f"{len(found.pairs)} pictures, {masks} of them with a mask"

    def read(self, source: Any, columns: Columns, *, labelled: bool = True) -> Examples:
        """One row per picture: path, mask, part where parts are given, group where `columns.group` is.

        Raises:
            DataError: no pictures; or, where labels are wanted, pictures without a mask or masks without a picture.
        """
        root = Path(source)
        leftovers = Leftovers(frozenset(FILES))
        found = pair_up(list(walk_files(root, leftovers)))
        if not found.pairs:
            raise DataError(f"{root} holds no pictures" + (" but masks" if found.lone_masks else ""))
        pairs, notes = found.pairs, [*leftovers.notes()]
        if labelled:
            pairs, without = without_unlabelled_test(pairs)
            _require_masks(root, pairs, found.lone_masks)
            notes += without
        examples = _examples(root, pairs, columns, notes, labelled=labelled)
        return self._as_masks_lie(root, pairs, examples) if labelled else examples

    def _as_masks_lie(self, root: Path, pairs: Sequence[Pair], examples: Examples) -> Examples:
        """The examples with how their masks are read. Raises DataError as `turns_of`."""
        masks = ((pair.picture, root / str(pair.mask)) for pair in pairs)
        as_stored, notes = turns_of(root, masks, self.exif, "masks")
        legend = examples.schema.legend
        if self.threshold is not None and len(legend) == 2:
            legend = dict(zip(("0", "255"), legend.values()))
        how = {"threshold": self.threshold, "as_stored": as_stored, "legend": legend}
        return Examples(examples.table, examples.schema.model_copy(update=how), (*examples.notes, *notes))

    def stream(self, source: Any, columns: Columns, rows: int) -> Iterator[Examples]:
        """The pictures without their masks, some `rows` at a time."""
        examples = self.read(source, columns.model_copy(update={"group": None}), labelled=False)
        numbers = iter(range(len(examples)))
        while some := list(islice(numbers, rows)):
            yield examples.take(some)


def _require_masks(root: Path, pairs: Sequence[Pair], lone: Sequence[str]) -> None:
    without = [pair.picture for pair in pairs if pair.mask is None]
    if len(without) == len(pairs):
        raise DataError(
            f"{root}: labels are wanted, and none of the {len(pairs)} pictures has a mask: there are no masks, or they "
            "are called otherwise than the pictures"
        )
    faults = []
    if without:
        faults.append(f"{len(without)} of {len(pairs)} pictures have no mask: {some(without, 3)}")
    if lone:
        faults.append(f"{len(lone)} masks have no picture: {some(lone, 3)}")
    if faults:
        raise DataError(f"{root}: labels are wanted, but {'; '.join(faults)}. Add what is missing, or take these out.")


def _examples(root: Path, pairs: Sequence[Pair], columns: Columns, notes: list[str], *, labelled: bool) -> Examples:
    table = {"path": pa.array([pair.picture for pair in pairs], pa.string())}
    schema: dict[str, Any] = {}
    if labelled:
        table["mask"] = pa.array([pair.mask for pair in pairs], pa.string())
        legend = read_legend(root)
        schema |= {"targets": {"mask": "mask"}, "legend": legend.names, "unknown": legend.unknown}
        notes += legend.notes
        if any(pair.part for pair in pairs):
            table["part"] = pa.array([pair.part for pair in pairs], pa.string())
            schema["part"] = "part"
    if columns.group is not None:
        table["group"], more = groups_of(columns.group, [pair.picture for pair in pairs])
        schema["group"], notes = "group", [*notes, *more]
    found = Schema(modality="image", inputs=("path",), origin="path", root=str(root), **schema)
    return Examples(pa.table(table), found, tuple(notes))
