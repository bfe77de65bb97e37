"""Transcripts that the decoder of a backbone writes, with the times of their phrases where it can tell them.

Clips that are longer than the backbone reads are cut into windows that overlap, whose texts are joined where they agree
(`long_clips.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from pydantic import Field, NonNegativeInt, SerializeAsAny
from torch import nn

from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.generation import Decoder, Decoding, Phrase, TellsTimes
from headstart.contracts.prediction import Prediction
from headstart.contracts.task import Evaluation, FeatureSource, SplitPolicy, Targets, Tensors
from headstart.contracts.task_capabilities import Choice
from headstart.contracts.windows import Windows
from headstart.contracts.written_targets import texts_of
from headstart.kernel.errors import SettingsError
from headstart.kernel.settings import Settings
from headstart.tasks._teacher_forced import TeacherForced, live_decoder
from headstart.tasks.transcription.long_clips import PHRASES, cut_clips, joined_texts
from headstart.tasks.transcription.metrics import TEXT, TRANSCRIPT, transcription_metrics
from headstart.tasks.transcription.transcripts import by_length, transcripts_of


class Writing(Settings):
    """Settings of transcripts, of which a decoder that writes them knows these."""

    beam: int = Field(default=1, ge=1, le=1000)
    """Beginnings of transcripts that the search keeps; 1 takes the likeliest each time; 1 to 1000."""
    longest: int = Field(default=200, ge=1)
    """Tokens that a decoder writes of a clip at most; >= 1."""
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each token's probability that a decoder's loss spreads over the vocabulary; in [0, 1)."""
    times: bool = False
    """Whether a decoder that can, as Whisper's, also writes when each phrase begins and ends; training shows none."""


class WrittenTranscription(TeacherForced):
    """Transcription by the decoder of a backbone."""

    settings: SerializeAsAny[Writing]
    clips: NonNegativeInt
    """Clips that it was bound to."""
    too_long: NonNegativeInt
    """Those of them whose transcripts are longer than may be written."""

    @property
    def decoding(self) -> Decoding:
        """The search, by the settings."""
        return Decoding(beams=self.settings.beam, longest=self.settings.longest)

    @property
    def smoothing(self) -> float:
        """As of the settings."""
        return self.settings.label_smoothing

    @property
    def frame_seconds(self) -> float:
        """0: what is written has no times."""
        return 0.0

    @property
    def evaluation(self) -> Evaluation:
        """wer, cer, wer_normalised and cer_normalised, in percent."""
        return Evaluation(transcription_metrics(self.read), chosen_by="metric")

    def read(self, targets: Targets) -> list[str]:
        """The transcripts."""
        return texts_of(targets[TEXT])

    def labelled_texts(self, examples: Examples) -> list[str]:
        """The transcripts. Raises DataError on a missing one."""
        return list(transcripts_of(examples))

    def has_texts(self, examples: Examples) -> bool:
        """Return whether no clip lacks its transcript."""
        column = examples.schema.targets.get(TRANSCRIPT)
        return column is not None and not examples.table.column(column).null_count

    def training(self) -> Mapping[str, Any]:
        """Low rates and little patience: speech models forget quickly, and are at their best after an epoch or two."""
        return {"batch_size": 8, "learning_rate": 3e-5, "warmup": 0.1, "patience": 3, "epochs": 8}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """As of the base; with times also "phrases" (clips,) of (phrases, 3): where each begins in the text, and its
        start and end in seconds, which may be NaN. A text that does not end with times is written without any."""
        if not self.settings.times:
            return super().predict(head, features, inputs)
        decoder = require_times(live_decoder(head))
        rows = decoder.timed(features, self.searched)
        texts, phrases = np.empty(len(rows), object), np.empty(len(rows), object)
        for row, found in enumerate(rows):
            texts[row], phrases[row] = _together(found)
        open_end = np.array([bool(found) and math.isnan(found[-1].end) for found in rows])
        if open_end.any():  # with times a text may begin to repeat itself and never end
            again = super().predict(head, features.map(lambda values: values[torch.from_numpy(open_end)]), inputs)
            texts[open_end], phrases[open_end] = again.columns[TEXT], _of_one_phrase(again.columns[TEXT])
            open_end[open_end] = again.columns["unfinished"]
        return Prediction({TEXT: texts, "unfinished": open_end, PHRASES: phrases})

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:
        """Cut clips without transcripts into windows that overlap, where they are longer than the backbone reads."""
        return None if examples.schema.targets else cut_clips(examples, backbone)

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """Join the transcripts of each clip's windows where they agree."""
        return joined_texts(prediction, windows)

    def choices(self) -> tuple[Choice, ...]:
        """Tell of transcripts that are cut."""
        if not self.too_long:
            return ()
        reason = f"{self.too_long} of {self.clips} are longer and lose their end; task.longest allows more"
        return (Choice("transcripts", f"at most {self.most()} tokens", reason),)

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep short and long transcripts in proportion."""
        return by_length(transcripts_of(examples))

    def extended(self, examples: Examples, backbone: FeatureSource) -> WrittenTranscription:
        """The task with more clips. Raises DataError as `bind`."""
        transcripts_of(examples)
        return self.with_backbone(backbone)


def require_times(decoder: Decoder) -> TellsTimes:
    """Return the decoder. Raises SettingsError where it cannot tell times."""
    if not isinstance(decoder, TellsTimes) or not decoder.tells_times:
        raise SettingsError("task.times needs a decoder that writes times, such as Whisper's, and this one writes none")
    return decoder


def _of_one_phrase(texts: np.ndarray) -> np.ndarray:
    """The phrases (texts,) of texts without times."""
    found = np.empty(len(texts), object)
    for row, text in enumerate(texts):
        found[row] = np.array([[0.0, 0.0, np.nan]] if text else []).reshape(-1, 3)
    return found


def _together(phrases: Sequence[Phrase]) -> tuple[str, np.ndarray]:
    """The text of phrases, and (phrases, 3) where each begins in it and its times."""
    text, rows = "", []
    for phrase in phrases:
        own = phrase.text if text else phrase.text.lstrip()
        rows.append((len(text) + len(own) - len(own.lstrip()), phrase.start, phrase.end))
        text += own
    return text.rstrip(), np.array(rows, np.float64).reshape(-1, 3)
