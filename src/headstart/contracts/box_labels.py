"""Labelled boxes as examples carry them: for each picture a list of `BOX`, in the target column of `TARGET`."""

from __future__ import annotations

import pyarrow as pa

TARGET = "boxes"
"""The target's name in `Schema.targets`."""

BOX = pa.struct(
    [
        ("label", pa.string()),
        ("left", pa.float64()),
        ("top", pa.float64()),
        ("right", pa.float64()),
        ("bottom", pa.float64()),
        ("crowd", pa.bool_()),
        ("track", pa.int64()),
    ]
)
"""A box over the picture as it is shown, turned by its EXIF: edges in pixels from the left upper corner, continuous, so
that a box over the whole picture is 0, 0, width, height. `crowd` marks a group that is neither learnt nor counted as
missed; `track` is the object's number in its video, or null."""

BOXES = pa.list_(BOX)
"""The column: an empty list is a picture without objects, null a picture without labels."""
