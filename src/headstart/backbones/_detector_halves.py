"""Detectors of transformers in two halves: what makes maps of pictures, and the decoder that finds boxes in maps.

Both are the library's own modules. A decoder's classes are exchanged: its layers that read classes are made anew for as
many as are wanted, each class by itself (a sigmoid, as in Zhu et al. 2021, "Deformable DETR") also where the detector
was trained with a softmax. What only trains a decoder - queries of noisy boxes, more groups of queries - is left out.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headstart.kernel.errors import BackboneError

PRIOR = 0.01
"""Probability of a new class before anything is learnt."""

Maps = Sequence[Tensor]
"""Each (batch, channels, height, width), finest first."""


class Halves(nn.Module):
    """A detector without its decoder: `pictures`, then `encoded`."""

    def pictures(self, pixels: Tensor) -> list[Tensor]:
        """Pixels (batch, 3, side, side) -> the maps of the picture network."""
        raise NotImplementedError

    def encoded(self, maps: Maps) -> list[Tensor]:
        """Those maps -> what the decoder reads."""
        raise NotImplementedError


class Decoder(nn.Module):
    """The rest of a detector. Its boxes are centre across and down, width and height, as shares of the picture."""

    readers: tuple[str, ...]
    """Modules that read classes: linear layers, or lists of them."""

    def forward(self, maps: Maps) -> tuple[Tensor, Tensor]:
        """Maps -> logits (batch, layers, queries, classes) and boxes (batch, layers, queries, 4) of all layers, the
        last of which counts."""
        raise NotImplementedError

    def exchanged(self, classes: int) -> Decoder:
        """A copy of its own with new classes; it computes in float32, for positions are fine."""
        found = copy.deepcopy(self)
        for name in self.readers:
            parent, _, last = name.rpartition(".")
            setattr(found.get_submodule(parent), last, _anew(self.get_submodule(name), classes))
        return found


class _HybridTrunk(Halves):
    """RT-DETR (Zhao et al. 2024), RT-DETR v2 and D-FINE (Peng et al. 2025): a network of pictures and an encoder."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        inner = detector.model
        self.backbone, self.projections, self.encoder = inner.backbone.model, inner.encoder_input_proj, inner.encoder

    def pictures(self, pixels: Tensor) -> list[Tensor]:
        return list(self.backbone(pixels).feature_maps)

    def encoded(self, maps: Maps) -> list[Tensor]:
        return list(self.encoder([project(level) for project, level in zip(self.projections, maps)]).last_hidden_state)


class _HybridDecoder(Decoder):
    """The best cells of the encoder's maps are queries, whose boxes each layer refines."""

    readers = ("inner.enc_score_head", "inner.decoder.class_embed")

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.inner: Any = detector.model
        self.inner.backbone = self.inner.encoder = self.inner.encoder_input_proj = None
        self.inner.denoising_class_embed = None
        self.inner.decoder.class_embed, self.inner.decoder.bbox_embed = (
            nn.ModuleList(copy.deepcopy(layer) for layer in layers)
            for layers in (self.inner.decoder.class_embed, self.inner.decoder.bbox_embed)
        )

    def forward(self, maps: Maps) -> tuple[Tensor, Tensor]:
        found = self.inner(None, encoder_outputs=(maps,), inputs_embeds=maps[0])
        scores = torch.cat([found.enc_topk_logits[:, None], found.intermediate_logits], dim=1)
        return scores, torch.cat([found.enc_topk_bboxes[:, None], found.intermediate_reference_points], dim=1)


class _DetrTrunk(Halves):
    """DETR (Carion et al. 2020): a network of pictures, and a transformer over the cells of its coarsest map."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        inner = detector.model
        self.backbone, self.projection, self.encoder = inner.backbone, inner.input_projection, inner.encoder
        self.places = inner.position_embedding

    def pictures(self, pixels: Tensor) -> list[Tensor]:
        everywhere = torch.ones_like(pixels[:, 0])
        return [self.backbone(pixels, everywhere)[-1][0]]

    def encoded(self, maps: Maps) -> list[Tensor]:
        projected = self.projection(maps[-1])
        everywhere = torch.ones_like(projected[:, 0], dtype=torch.bool)
        places = self.places(shape=projected.shape, device=projected.device, dtype=projected.dtype, mask=everywhere)
        cells = self.encoder(
            inputs_embeds=_cells(projected), attention_mask=None, spatial_position_embeddings=_cells(places)
        ).last_hidden_state
        return [cells.transpose(1, 2).reshape(projected.shape)]


class _DetrDecoder(Decoder):
    """Learnt queries."""

    readers = ("outer.class_labels_classifier",)

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.outer: Any = detector
        detector.model.backbone = detector.model.input_projection = detector.model.encoder = None

    def forward(self, maps: Maps) -> tuple[Tensor, Tensor]:
        cells = _cells(maps[-1])
        layers = self.outer.model(inputs_embeds=cells, encoder_outputs=_Encoded(cells)).intermediate_hidden_states
        layers = layers.transpose(0, 1)
        return self.outer.class_labels_classifier(layers), self.outer.bbox_predictor(layers).sigmoid()


class _RfDetrTrunk(Halves):
    """RF-DETR (Robinson et al. 2025): DINOv2 in windows, and a projector of some of its layers."""

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.backbone, self.projector = detector.model.backbone.backbone, detector.model.backbone.projector

    def pictures(self, pixels: Tensor) -> list[Tensor]:
        return list(self.backbone(pixels).feature_maps)

    def encoded(self, maps: Maps) -> list[Tensor]:
        return [self.projector(tuple(maps))]


class _RfDetrDecoder(Decoder):
    """Queries at the best cells; of the groups that it was trained with the one that predicts."""

    readers = ("outer.class_embed", "outer.model.enc_out_class_embed")

    def __init__(self, detector: Any) -> None:
        super().__init__()
        self.outer: Any = detector
        inner, queries = detector.model, detector.config.num_queries
        inner.backbone = _Given()
        inner.group_detr = detector.config.group_detr = 1
        for name in ("enc_output", "enc_output_norm", "enc_out_bbox_embed", "enc_out_class_embed"):
            setattr(inner, name, getattr(inner, name)[:1])
        for name in ("reference_point_embed", "query_feat"):
            setattr(inner, name, nn.Embedding.from_pretrained(getattr(inner, name).weight[:queries].detach(), False))

    def forward(self, maps: Maps) -> tuple[Tensor, Tensor]:
        found = self.outer.model(maps[-1])
        scores, boxes = self.outer.predict_class_and_boxes(
            found.intermediate_hidden_states, found.intermediate_reference_points[-1]
        )
        first = self.outer.predict_encoder_class_logits(found.enc_outputs_class)
        scores = torch.cat([first[:, None], scores.transpose(0, 1)], dim=1)
        return scores, torch.cat([found.enc_outputs_coord_logits[:, None], boxes.transpose(0, 1)], dim=1)


KINDS: dict[str, tuple[type[Any], type[Any]]] = {
    "rt_detr": (_HybridTrunk, _HybridDecoder),
    "rt_detr_v2": (_HybridTrunk, _HybridDecoder),
    "d_fine": (_HybridTrunk, _HybridDecoder),
    "detr": (_DetrTrunk, _DetrDecoder),
    "rf_detr": (_RfDetrTrunk, _RfDetrDecoder),
}
"""`model_type` of transformers -> the halves of such a detector."""


def halves(detector: Any) -> tuple[Halves, Decoder]:
    """Take a detector apart. Raises BackboneError where the library's parts are called otherwise."""
    first, second = KINDS[detector.config.model_type]
    try:
        found = first(detector), second(detector)
    except AttributeError as error:
        raise BackboneError(
            f"this version of transformers has other parts in a {detector.config.model_type}: {error}"
        ) from error
    for parameter in found[0].parameters():
        parameter.requires_grad_(True)
    return found


class _Given(nn.Module):
    """In the place of a network of pictures where its maps are there."""

    def forward(self, maps: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return maps, mask.bool()


class _Encoded:
    """In the place of an encoder's output."""

    def __init__(self, cells: Tensor) -> None:
        self.last_hidden_state, self.hidden_states, self.attentions = cells, None, None


def _cells(level: Tensor) -> Tensor:
    """(batch, channels, height, width) -> (batch, cells, channels)."""
    return level.flatten(2).transpose(1, 2)


def _anew(old: nn.Module, classes: int) -> nn.Module:
    """Linear layers that read classes, for other classes."""
    if isinstance(old, nn.ModuleList):
        return nn.ModuleList(_anew(layer, classes) for layer in old)
    width: Any = old.in_features
    layer = nn.Linear(width, classes)
    nn.init.constant_(layer.bias, math.log(PRIOR / (1 - PRIOR)))
    return layer
