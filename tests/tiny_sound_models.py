"""Tiny sound models of transformers with random weights, as folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers

SIZES = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {
    "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 3, 3),
    "conv_stride": (5, 4, 4),
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
WAVES = ("wav2vec2", "hubert", "wavlm", "data2vec-audio", "unispeech", "unispeech-sat")
KINDS = (*WAVES, "whisper", "moonshine", "audio-spectrogram-transformer")


SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|translate|>", "<|notimestamps|>")
END, START, NO_TIMES = 27, 28, 32


def save_writer(folder: Path, kind: str = "whisper") -> Path:
    """Write a model with its decoder, and a tokenizer of single letters."""
    torch.manual_seed(0)
    ends = {"pad_token_id": END, "bos_token_id": END, "eos_token_id": END, "decoder_start_token_id": START}
    config, extractor = _of(kind, ends)
    model = transformers.AutoModelForSpeechSeq2Seq.from_config(config)
    with torch.no_grad():  # or it would end at once
        for name, parameter in model.named_parameters():
            if "decoder" in name:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    vocabulary = {token: number for number, token in enumerate(["Ġ", *"abcdefghijklmnopqrstuvwxyz", *SPECIAL])}
    end = dict.fromkeys(("bos_token", "eos_token", "unk_token"), SPECIAL[0])
    tokenizer = transformers.WhisperTokenizer(vocab=vocabulary, merges=[], **end)
    tokenizer.add_special_tokens({"additional_special_tokens": list(SPECIAL[1:])})
    tokenizer.save_pretrained(folder)
    return folder


def save_sound_model(folder: Path, kind: str = "wav2vec2", seed: int = 0, **changes: Any) -> Path:
    """Write a model and its preprocessing, and return the folder."""
    torch.manual_seed(seed)
    config, extractor = _of(kind, changes)
    model = transformers.AutoModel.from_config(config)
    with torch.no_grad():  # normalisation begins with ones and zeros, under which mistakes could hide
        for name, parameter in model.named_parameters():
            if "norm" in name or "position_embeddings" in name:
                parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    return folder


def _of(kind: str, changes: dict[str, Any]) -> tuple[Any, Any]:
    if kind == "whisper":
        sizes = {"d_model": 16, "encoder_layers": 3, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
        heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
        more = {"num_mel_bins": 8, "max_source_positions": 50, "vocab_size": 60, "max_target_positions": 20}
        tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
        tokens |= {"suppress_tokens": None, "begin_suppress_tokens": None}
        config = transformers.WhisperConfig(**{**sizes, **heads, **more, **tokens, **changes})
        return config, transformers.WhisperFeatureExtractor(feature_size=8, chunk_length=1)
    if kind == "moonshine":
        sizes = {"hidden_size": 16, "encoder_num_hidden_layers": 3, "decoder_num_hidden_layers": 2}
        heads = {"encoder_num_attention_heads": 2, "decoder_num_attention_heads": 2, "intermediate_size": 32}
        config = transformers.MoonshineConfig(**{**sizes, **heads, "vocab_size": 60, **changes})
        return config, transformers.Wav2Vec2FeatureExtractor(do_normalize=False, return_attention_mask=True)
    if kind == "audio-spectrogram-transformer":
        config = transformers.ASTConfig(**{**SIZES, "max_length": 64, "num_mel_bins": 32, **changes})
        return config, transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=32)
    config = transformers.AutoConfig.for_model(kind, **{**SIZES, **CONVOLUTIONS, "mask_time_prob": 0.0, **changes})
    return config, transformers.Wav2Vec2FeatureExtractor(do_normalize=True)


def save_speller(folder: Path, letters: str = "ABNOESY", **changes: Any) -> Path:
    """Write a wav2vec 2.0 that was trained by CTC, so to say, with a vocabulary of letters, and return the folder."""
    torch.manual_seed(0)
    tokens = ["<pad>", "<s>", "</s>", "<unk>", "|", *letters]
    config, extractor = _of("wav2vec2", {"vocab_size": len(tokens), "pad_token_id": 0, **changes})
    model = transformers.Wav2Vec2ForCTC(config)
    with torch.no_grad():
        model.lm_head.weight.mul_(40)
        model.lm_head.bias.normal_()
    model.save_pretrained(folder)
    extractor.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({token: row for row, token in enumerate(tokens)}), "utf-8")
    return folder
