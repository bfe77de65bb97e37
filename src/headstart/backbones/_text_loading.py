"""From a local folder to a transformers model and its tokenizer, without executing a pickle or remote code."""

from __future__ import annotations

import inspect
import pickle
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import MODEL_MAPPING, AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from headstart.backbones._text_folder import require_own_files, stored_in, tokenizer_folder
from headstart.backbones._weights_file import read_weights, refuse_packed
from headstart.contracts.declared_size import Stored, weights_at_most
from headstart.contracts.sound_weights import unsound
from headstart.kernel.errors import BackboneError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.regular import require_regular


def load_config(folder: Path) -> Any:
    """The transformers configuration of a folder.

    Raises:
        BackboneError: it is missing, needs code or files from elsewhere, or is of no text encoder or decoder.
    """
    config = any_config(folder)
    if config.is_encoder_decoder:
        raise BackboneError(
            f"{folder} holds an encoder-decoder model ({config.model_type}), which hf_text does not take."
            " Give an encoder (BERT, RoBERTa, ...) or a decoder (GPT-2, Llama, ...), or texts to write with --task"
            " generation."
        )
    if type(config) not in MODEL_MAPPING or _model_class(config).main_input_name != "input_ids":
        raise BackboneError(f"{folder} holds a model of type '{config.model_type}', which does not read text")
    layers = getattr(config, "num_hidden_layers", 1)
    if not (isinstance(layers, int) and layers >= 1):
        raise BackboneError(f"{folder}: its config.json cannot be used: num_hidden_layers = {layers!r}, not >= 1")
    for extra in ("use_cache", "output_hidden_states", "output_attentions"):
        setattr(config, extra, False)
    return config


def any_config(folder: Path) -> Any:
    """The transformers configuration of a folder, of whatever model. Raises BackboneError as `load_config`."""
    require_own_files(folder)
    try:
        for path in folder.iterdir():
            if path.exists() and not path.is_dir():
                require_regular(path)
        with quiet():
            config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            config.torch_dtype = torch.float32  # the name that every supported version of transformers understands
    except Exception as error:  # transformers raises OSError, ValueError, KeyError and more, by version
        raise BackboneError(f"{folder}: its config.json cannot be used: {_first_line(error)}") from error
    return config


def load_tokenizer(folder: Path) -> Any:
    """The folder's tokenizer, the Rust one where there is one. Raises BackboneError."""
    try:
        with quiet(), tokenizer_folder(folder) as own:
            tokenizer = AutoTokenizer.from_pretrained(own, trust_remote_code=False, local_files_only=True)
    except BackboneError:
        raise
    except Exception as error:  # as in load_config
        raise BackboneError(f"{folder}: its tokenizer cannot be used: {_first_line(error)}") from error
    longest = tokenizer.model_max_length
    if not (isinstance(longest, (int, float)) and longest >= 1):
        raise BackboneError(f"{folder}: its tokenizer cannot be used: model_max_length = {longest!r} is not a length")
    return tokenizer


def tokenizer_files(tokenizer: Any) -> dict[str, bytes]:
    """The tokenizer as files, by name. Call it before first use: calls leave their truncation in the tokenizer."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        tokenizer.save_pretrained(folder)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir()) if path.is_file()}


def random_model(config: Any, seed: int, kind: Any = AutoModel) -> nn.Module:
    """The architecture with random weights, the same for the same seed; `kind` is that of its heads, or none.

    Raises:
        BackboneError: transformers does not build it, or it does not fit into memory.
    """
    try:
        with torch.random.fork_rng(devices=[]), quiet(), weights_at_most(None):
            torch.manual_seed(draw_seed(seed, "text backbone weights"))
            model: nn.Module = kind.from_config(config, trust_remote_code=False, **_choices(config))
    except Exception as error:  # as in load_config
        raise BackboneError(f"transformers cannot build a '{config.model_type}': {_first_line(error)}") from error
    return model.float().eval()


def pretrained_model(config: Any, source: Path, kind: Any = None) -> nn.Module:
    """The architecture with the weights of a folder, or of a safetensors or tensor-only checkpoint file.

    Args:
        config: as it was loaded. source: the folder or file.
        kind: class of the model; that of a bare encoder or decoder without one.

    Raises:
        BackboneError: there are none, they would need code to be read, they do not fit the architecture, or they
            hold what is not a number.
    """
    state = read_weights(source) if source.is_file() else None
    if state is None:
        require_own_files(source)
        for path in source.glob("*.bin"):
            refuse_packed(path)
    held = stored_in(source) if state is None else Stored.of(state)
    try:
        with quiet(), weights_at_most(held):
            model, report = (kind or _model_class(config)).from_pretrained(
                None if state is not None else source,
                state_dict=state,
                config=config,
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
                **_choices(config),
            )
    except pickle.UnpicklingError as error:
        raise BackboneError(_refusal(source)) from error
    except Exception as error:  # as in load_config
        if "weights_only" in str(error) or "Weights only" in str(error):
            raise BackboneError(_refusal(source)) from error
        raise BackboneError(f"{source}: its weights cannot be used: {_first_line(error)}") from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise BackboneError(
            f"{source}: {len(missing)} of the weights that a '{config.model_type}' needs are missing, such as"
            f" {missing[0]}. They belong to another architecture; put its own config.json beside them."
        )
    fault = unsound(model)
    if fault:
        raise BackboneError(f"{source} cannot be used: {fault}. Give weights from a training that did not diverge.")
    fitted: nn.Module = model.float().eval()
    return fitted


@contextmanager
def quiet() -> Iterator[None]:
    """Transformers without its progress bars and load reports; what matters in them is raised here."""
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _choices(config: Any) -> dict[str, Any]:
    """Attention that is the same everywhere, and no pooler: it is untrained in most checkpoints. A model with another
    inside, as a detector has one of pictures, chooses for each."""
    if getattr(config, "backbone_config", None) is not None:
        return {}
    kind = _model_class(config)
    choices: dict[str, Any] = {"attn_implementation": "sdpa" if kind._supports_sdpa else "eager"}
    if "add_pooling_layer" in inspect.signature(kind.__init__).parameters:
        choices["add_pooling_layer"] = False
    return choices


def _model_class(config: Any) -> Any:
    kind = MODEL_MAPPING[type(config)]
    return kind[0] if isinstance(kind, tuple) else kind


def _refusal(source: Path) -> str:
    return (
        f"{source}: the weights are a pickle that needs code to be read; it was refused, and nothing in it was run."
        " Give safetensors, or a checkpoint of tensors alone."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
