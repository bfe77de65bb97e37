"""Sound encoders of transformers: what they say of a clip alone is what they say of it in any batch, cut anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from headstart.backbones.hf_audio import HfAudio
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import LENGTH_MASK
from headstart.contracts.generation import Decoding
from headstart.contracts.targets import PADDED_TARGET
from headstart.kernel.errors import BackboneError
from headstart.media.audio import as_file
from tiny_sound_models import END, KINDS, NO_TIMES, START, WAVES, save_sound_model, save_writer
from tiny_text_models import save_tiny

pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")

SECONDS = (0.7, 0.31, 0.5, 0.31)
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}


def clips() -> list[bytes]:
    draws = np.random.default_rng(0)
    return [as_file(draws.normal(0, 0.1, round(16000 * s)).astype(np.float32), 16000) for s in SECONDS]


def load(folder: Path, kind: str, **changes: Any) -> Backbone:
    return HfAudio(reference=str(save_sound_model(folder, kind, **changes))).load()


def alone(backbone: Any, raw: bytes) -> torch.Tensor:
    """What the library's own forward says of a clip by itself."""
    given = backbone.prepare([raw]).hidden
    model = backbone.module
    if backbone._config.is_encoder_decoder:
        model = model.get_encoder()
    found: torch.Tensor = model(given.transpose(1, 2) if backbone._config.model_type == "whisper" else given)[0]
    return found[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "changes"), [*((kind, {}) for kind in KINDS), *((kind, STABLE) for kind in WAVES if "data" not in kind)]
)
def test_frames_in_a_batch_are_those_of_the_clip_alone_by_the_library(
    tmp_path: Path, kind: str, changes: dict[str, Any]
) -> None:
    backbone = load(tmp_path, kind, **changes)
    assert backbone.padding_exact == (kind not in (*WAVES, "moonshine") or bool(changes))
    state = backbone.prepare(clips())
    with torch.no_grad():
        found = backbone.segment(0, len(backbone.stages)).eval()(state)
        for row, raw in enumerate(clips()):
            expected = alone(backbone, raw)
            assert torch.allclose(found.hidden[row, : len(expected)], expected, atol=1e-5)
    assert found.context[LENGTH_MASK].shape == found.hidden.shape[:2]
    assert len(backbone.stages) == 4, "the front and three layers"


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_the_mean_is_over_the_clip_alone(tmp_path: Path, kind: str) -> None:
    backbone = load(tmp_path, kind)
    state = backbone.prepare(clips())
    with torch.no_grad():
        features = backbone.features(backbone.segment(0, len(backbone.stages)).eval()(state))
    assert features.tokens is not None and features.mask is not None
    frames = features.mask.sum(dim=1)
    assert torch.allclose(features.pooled[1], features.tokens[1, : frames[1]].mean(dim=0), atol=1e-6)
    seconds = frames * backbone.frame_seconds
    assert torch.allclose(seconds, torch.tensor(SECONDS), atol=0.05)
    assert all(abs(backbone.frames(raw) - int(count)) <= 3 for raw, count in zip(clips(), frames))


def test_a_padded_batch_would_have_other_frames_without_the_check(tmp_path: Path) -> None:
    backbone: Any = load(tmp_path, "wav2vec2")
    expected = alone(backbone, clips()[1])
    backbone.padding_exact = True  # as if nobody had looked
    with torch.no_grad():
        found = backbone.segment(0, len(backbone.stages)).eval()(backbone.prepare(clips()))
    assert not torch.allclose(found.hidden[1, : len(expected)], expected, atol=1e-3)


def test_clips_that_are_shorter_than_the_convolutions_are_filled_up(tmp_path: Path) -> None:
    backbone = load(tmp_path, "hubert")
    assert len(backbone.prepare([as_file(np.full(20, 0.1, np.float32), 16000)]).hidden[0]) == 1600


def test_what_does_not_read_sounds_is_refused(tmp_path: Path) -> None:
    text = save_tiny(tmp_path / "text", "bert")
    assert not HfAudio.suits(str(text))
    with pytest.raises(BackboneError, match=r"of sounds these are read: .*wav2vec2"):
        HfAudio(reference=str(text)).load()
    folder = save_sound_model(tmp_path / "sound", "wav2vec2")
    assert HfAudio.suits(str(folder))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(BackboneError, match=r"preprocessor_config\.json cannot be used"):
        HfAudio(reference=str(folder)).load()


@pytest.mark.parametrize("kind", ["whisper", "moonshine"])
def test_what_is_written_from_kept_states_is_what_the_library_writes_from_the_sound(tmp_path: Path, kind: str) -> None:
    backbone: Any = HfAudio(reference=str(save_writer(tmp_path, kind))).load()
    decoder, model = backbone.decoder(), backbone.module
    with torch.no_grad():
        for raw in clips()[:2]:
            state = backbone.prepare([raw])
            features = backbone.features(backbone.segment(0, len(backbone.stages)).eval()(state))
            found = decoder.generate(features, Decoding(beams=1, longest=9))
            given = state.hidden.transpose(1, 2) if kind == "whisper" else state.hidden
            prefix = torch.tensor([decoder._prefix])
            own = {"decoder_input_ids": prefix, "max_new_tokens": 9, "do_sample": False, "num_beams": 1}
            theirs = transformers.GenerationMixin.generate(model, given, pad_token_id=END, **own)
            assert found.shape[1] > 2 and torch.equal(found, theirs[:, prefix.shape[1] :])
            tokens = decoder.encode(["ab c"])[0]
            assert tokens.tolist() == [1, 2, 0, 3, END] and decoder.decode([tokens]) == ["ab c"]
            before = torch.cat([prefix, torch.from_numpy(tokens[:-1])[None]], dim=1)
            logits = model(given, decoder_input_ids=before, use_cache=False).logits[:, prefix.shape[1] - 1 :]
            padded = torch.from_numpy(np.append(tokens, PADDED_TARGET))[None]
            assert torch.allclose(decoder.scored(features, padded).logits[:, :-1], logits, atol=1e-5)
    assert decoder._prefix[0] == START


@pytest.mark.parametrize("kind", ["whisper", "moonshine"])
def test_the_layers_of_a_decoder_are_the_last_stages_and_reading_leaves_them_out(tmp_path: Path, kind: str) -> None:
    backbone: Any = HfAudio(reference=str(save_writer(tmp_path, kind))).load()
    names = [stage.name for stage in backbone.stages]
    assert names == ["front", "layer.0", "layer.1", "layer.2", "decoder.0", "decoder.1"]
    for part in ("parameters", "buffers"):
        held = sorted(name for stage in backbone.stages for name in getattr(stage, part))
        assert held == sorted(name for name, _ in getattr(backbone.module, f"named_{part}")())
    reading = backbone.reading()
    assert [stage.name for stage in reading.stages] == names[:4] and reading.decoder_stages == 0
    with torch.no_grad():
        state = backbone.prepare(clips())
        whole, alone = backbone.segment(0, 6).eval()(state), reading.segment(0, 4).eval()(state)
    assert torch.equal(whole.hidden, alone.hidden)
    with pytest.raises(BackboneError, match="has no decoder"):
        reading.decoder()
    (tmp_path / "assets").mkdir()
    for name, content in backbone.assets().items():
        (tmp_path / "assets" / name).write_bytes(content)
    again = HfAudio(**backbone.describe()["settings"]).rebuild(tmp_path / "assets")
    again.module.load_state_dict(backbone.module.state_dict())
    assert again.stages == backbone.stages and again.weights_hash() == backbone.weights_hash()


def test_times_are_those_that_the_library_writes_and_stand_around_phrases(tmp_path: Path) -> None:
    backbone: Any = HfAudio(reference=str(save_writer(tmp_path, "whisper"))).load()
    decoder, model = backbone.decoder(), backbone.module
    assert decoder.tells_times
    state = backbone.prepare(clips()[:2])
    with torch.no_grad():
        features = backbone.features(backbone.segment(0, len(backbone.stages)).eval()(state))
        found = decoder.timed(features, Decoding(beams=1, longest=12))
        model.generation_config.no_timestamps_token_id = NO_TIMES
        model.generation_config.max_initial_timestamp_index = 50
        theirs = model.generate(
            state.hidden.transpose(1, 2), return_timestamps=True, max_new_tokens=12, num_beams=1, do_sample=False
        )
    for phrases, row in zip(found, theirs.tolist()):
        times = [0.02 * (token - NO_TIMES - 1) for token in row if token > NO_TIMES]
        told = [time for phrase in phrases for time in (phrase.start, phrase.end)]
        assert phrases and told[0] == times[0] and sorted(told[:-1]) == told[:-1]
        written = backbone._tokenizer.decode([token for token in row if token < END])
        assert written.startswith("".join(phrase.text for phrase in phrases)), (
            "the library goes on where this one stops"
        )
    row = [NO_TIMES + 1, 0, 1, 2, NO_TIMES + 11, NO_TIMES + 11, 0, 3, NO_TIMES + 16, 0, 4, END, END]
    one, other, last = decoder._phrases(np.array(row))
    assert one == (" ab", 0.0, 0.2) and other == (" c", 0.2, pytest.approx(0.3)) and np.isnan(last.end)


def test_a_decoder_without_times_says_so(tmp_path: Path) -> None:
    assert not HfAudio(reference=str(save_writer(tmp_path, "moonshine"))).load().decoder().tells_times  # type: ignore[attr-defined]
