"""Models that write texts, exported as two graphs: the encoder, and the decoder for the tokens written so far.

Both are exports of their own, in folders of these names. The decoder is compared on the texts that the model itself
writes for validation examples: where it gives each next token the same score, every search finds the same texts.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from headstart.contracts.carriers import State
from headstart.contracts.exporter import Arrays, CannotExport, Exporter
from headstart.contracts.generation import Decoder, DecoderHead, Decoding, Searches
from headstart.contracts.model import Model
from headstart.contracts.retrieval import MemoryHead
from headstart.engine.exported.encoder_decoder import LOGITS, decoder_graph, decoder_inputs, encoder_graph
from headstart.kernel import registry
from headstart.kernel.files import write_atomic
from headstart.pipeline.exporting.artefact import CHECKER, Exported, Writes
from headstart.pipeline.exporting.check_file import check_file_of_parts
from headstart.pipeline.exporting.gate import Prepared
from headstart.pipeline.exporting.one_graph import Held, hashes, write_graph

ENCODER, DECODER = "encoder", "decoder"
TOKENS = 64
"""Of a text on which decoders are compared, at most."""
REAL = "real"
"""Where a batch has tokens."""


def write_parts(
    exporter: Exporter,
    model: Model,
    state: State,
    batches: Sequence[Prepared],
    raws: Sequence[bytes],
    folder: Path,
    origins: Sequence[str],
) -> Exported:
    """Write both graphs of a model into an empty folder, and what a search must know; the description is not written.

    Args:
        state: a real batch of two or more inputs, as it is fed.
        batches: real inputs to compare on, the golden ones last; of these `raws` are the raw inputs.

    Raises:
        CannotExport: the decoder asks a memory, or no way of writing a graph passes the gate.
    """
    head, task = model.heads["head"], model.task
    if isinstance(head, MemoryHead):
        raise CannotExport("its decoder asks a memory of states at each token, which no graph does")
    if not isinstance(head, DecoderHead) or not isinstance(task, Searches):
        raise CannotExport(f"the task '{registry.name_of(task)}' does not say how its texts are searched for")
    decoding = task.searched
    search = decoding.model_copy(update={"beams": 1, "longest": min(decoding.longest, TOKENS)})
    decoder, encoder = head.decoder, encoder_graph(model, state)
    *asked, golden = (_asking(encoder.module, batch, decoder, search) for batch in batches)
    several = max((*asked, golden), key=lambda batch: len(batch.rows)).tensors
    *read, last = (batch._replace(asked={}) for batch in batches)
    parts = {
        ENCODER: Held(encoder, read, _undecided, last, raws),
        DECODER: Held(decoder_graph(model, decoder, state, several), asked, _next_tokens, golden),
    }
    found = {}
    for name, held in parts.items():
        (folder / name).mkdir()
        found[name] = write_graph(exporter, model, held, folder / name, origins)
    write_atomic(folder / CHECKER, check_file_of_parts(tuple(parts)).encode())
    first, second = (part.gate for part in found.values())
    both = {"difference": max(first.difference, second.difference), "ties": first.ties + second.ties}
    whole: dict[str, Any] = {"inputs": (), "outputs": (), "preparation": None, "parts": tuple(parts)}
    whole |= {"gate": first.model_copy(update=both), "writes": _writes(decoder, decoding), "files": hashes(folder)}
    return found[ENCODER].model_copy(update=whole)


def _asking(encoder: nn.Module, batch: Prepared, decoder: Decoder, search: Decoding) -> Prepared:
    """The batch as the decoder is asked about it."""
    with torch.no_grad():
        tensors, real = decoder_inputs(encoder(*batch.tensors), decoder, search)
    return Prepared(batch.rows, tensors, (), {REAL: real})


def _undecided(outputs: Arrays, batch: Prepared) -> tuple[None, Sequence[Any]]:  # noqa: ARG001
    return None, [None] * len(batch.rows)


def _next_tokens(outputs: Arrays, batch: Prepared) -> tuple[None, Sequence[Any]]:
    """The likeliest token at each place of the texts."""
    real = batch.asked[REAL].numpy()
    best = outputs[LOGITS][:, -real.shape[1] :].argmax(axis=-1)
    return None, [row[known].tolist() for row, known in zip(best, real)]


def _writes(decoder: Decoder, decoding: Decoding) -> Writes:
    known = {"begins": decoder.begins(), "end": decoder.end, "pad": decoder.pad, "never": decoder.never()}
    longest = min(decoding.longest, decoder.longest)
    return Writes(**known, longest=longest, beams=decoding.beams, length_penalty=decoding.length_penalty)
