"""Some inputs beside the views of them that the training saw, for the report."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from headstart.contracts.backbone import Backbone
from headstart.contracts.inputs import Pixels
from headstart.engine.streams import Stream
from headstart.kernel.errors import DataError
from headstart.pipeline.pretraining.record import ViewRow
from headstart.pipeline.pretraining.unlabelled import Unlabelled

SHOWN = 6
"""Inputs."""

SIDE = 112
"""Pixels of a shown picture at most; small ones are shown larger."""


def view_rows(backbone: Backbone, data: Unlabelled, streams: Mapping[str, Stream]) -> tuple[ViewRow, ...]:
    """The first pictures that are held out, each in the views of the first epoch; none of other inputs."""
    kind = backbone.input_kind()
    if not isinstance(kind, Pixels):
        return ()
    first = next(iter(streams.values()))
    try:
        rows = first.rows[:SHOWN] if first.screen is None else first.screen(first.rows[:SHOWN])
    except DataError:  # none of them can be read
        return ()
    shown = [_pictures(first.batch(rows).state.hidden, kind)]
    if first.augmentation is not None and first.augmentation.first_stage(1) == 0:
        seen = [*streams.values()] if len(streams) > 1 else [first]
        shown += [_pictures(stream.batch(rows, 0).state.hidden, kind) for stream in seen]
    origins = data.examples.take(rows).origins()
    return tuple(ViewRow(origin=origin, pictures=pictures) for origin, *pictures in zip(origins, *shown))


def _pictures(hidden: Tensor, kind: Pixels) -> list[str]:
    """Data URIs of normalised pictures (batch, 3, height, width)."""
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (kind.mean, kind.std))
    values = ((hidden.cpu() * std + mean).clamp(0, 1) * 255).round().to(torch.uint8)
    return [_data_uri(np.asarray(picture)) for picture in values.permute(0, 2, 3, 1)]


def _data_uri(pixels: np.ndarray) -> str:
    image = Image.fromarray(pixels)
    if max(image.size) < SIDE // 2:
        image = image.resize((image.width * 2, image.height * 2), resample=0)
    image.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
