"""Data sets whose pictures have annotations in files of their own: they are not read as folders or tables."""

from __future__ import annotations

from typing import Any

from headstart.formats._box_tables import box_tables
from headstart.formats._coco_files import coco_files
from headstart.formats._frame_labels import sequences
from headstart.formats._voc_files import voc_files
from headstart.formats._yolo_files import has_labels, yolo_yaml


def annotated(source: Any) -> bool:
    """Return whether there are files of COCO, Pascal VOC, YOLO or MOT, or a table of boxes."""
    in_files = coco_files(source) or voc_files(source) or yolo_yaml(source) or has_labels(source) or sequences(source)
    return bool(in_files or box_tables(source))
