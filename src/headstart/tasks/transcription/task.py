"""Transcription: the words that are said in a clip, from its frames by CTC, or by the decoder of a model that writes.

By CTC (`ctc.py`) the frames come from any backbone that has some, frozen or moving. The alphabet is learnt from the
transcripts and saved. Clips with more characters than frames are counted and not learnt from: CTC's loss of them is
infinite. A backbone with a decoder, such as Whisper, writes the words itself (`tasks/_teacher_forced.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, field_validator
from torch import nn

from headstart.contracts.backbone import Backbone, HasFrames
from headstart.contracts.examples import Examples
from headstart.contracts.features import Features
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.spoken_characters import KnowsCharacters
from headstart.contracts.target_kinds import TOKEN_IDS
from headstart.contracts.targets import TargetKinds
from headstart.contracts.task import BoundTask, Evaluation, FeatureSource, Needs, SplitPolicy, Targets, Tensors
from headstart.contracts.task_capabilities import Choice
from headstart.contracts.windows import Windows
from headstart.kernel.errors import BackboneError, DataError, SettingsError
from headstart.tasks._learnt_state import distinct
from headstart.tasks._teacher_forced import decoder_of, writes
from headstart.tasks.transcription.alphabet import FIRST, characters, counted, decoded, encoded, in_case_of, strange
from headstart.tasks.transcription.character_ngram import EDGE, CharacterNgram, ngram_of
from headstart.tasks.transcription.ctc import Decoded, ctc_sums, greedy, needed, per_frame, prefix_beam
from headstart.tasks.transcription.frame_head import CharacterLayer, FrameHead
from headstart.tasks.transcription.long_clips import cut_clips, joined_clips
from headstart.tasks.transcription.metrics import TEXT, TRANSCRIPT, jiwer, transcription_metrics
from headstart.tasks.transcription.transcripts import by_length, transcripts_of
from headstart.tasks.transcription.written import Writing, WrittenTranscription, require_times

FRAME = 0.03
"""Seconds that frames are joined up to, where the transcripts leave room: about half of a short sound of speech."""
FITTING = 0.995
"""Share of clips whose transcripts must fit the joined frames."""
LACKING = 0.01
"""Share of the transcripts' characters up to which a model's own alphabet may lack them."""
BLANK_EPOCHS, BLANK_STEPS = 5, 1000
"""Epochs and steps from which on predictions that are all empty are a collapse: CTC begins with blanks alone."""


class Transcription(Writing):
    """Words that are said in a clip, character by character."""

    target: ClassVar[str] = TRANSCRIPT

    method: Literal["auto", "ctc", "decoder"] = "auto"
    """'ctc', or the backbone's own 'decoder'; 'auto' takes a decoder where there is one."""
    vocabulary: Literal["auto", "own", "data"] = "auto"
    """The characters of the transcripts ('data'), or the model's 'own' with its last layer, where it was trained by
    CTC; 'auto' takes its own where 99 % of the transcripts' characters are among them."""
    context: bool = True
    """Whether the head sees the frames around each by convolutions; false: a linear one, as wav2vec 2.0 is tuned."""
    hidden: int = Field(default=128, ge=8, le=4096)
    """Width of the convolutions; 8 to 4096."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of the head's activations zeroed in training; in [0, 1)."""
    masks: int = Field(default=4, ge=0, le=64)
    """Spans of frames hidden from the head in training, and half as many of features; 0 to 64."""
    join: int | None = Field(default=None, ge=1, le=16)
    """Frames of the backbone that become one; by default up to 30 ms where the transcripts leave room; 1 to 16."""
    language: str | None = None
    """A text file whose lines teach an n-gram of characters, which then helps a beam of 2 or more."""
    order: int = Field(default=5, ge=2, le=12)
    """Characters of the n-gram; 2 to 12."""
    language_weight: NonNegativeFloat = 0.5
    """Weight of the n-gram's log-probability; >= 0."""
    length_bonus: float = 0.5
    """Added for each character where an n-gram, which favours short transcripts, has a say."""

    @classmethod
    def suits(cls, examples: Examples) -> str | None:
        """Return why the targets are transcripts; None without any."""
        if TRANSCRIPT not in examples.schema.targets:
            return None
        return f"{len(examples)} clips have transcripts in column '{examples.schema.targets[TRANSCRIPT]}'"

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep short and long transcripts in proportion."""
        return by_length(transcripts_of(examples))

    def bind(self, examples: Examples, backbone: FeatureSource) -> BoundTranscription | WrittenTranscription:
        """Learn the alphabet, and how many frames are joined; or how many transcripts a decoder cuts.

        Raises:
            DataError: transcripts are missing, or all are empty; or the file of the n-gram cannot be read.
            BackboneError: method = decoder, and the backbone has none.
            SettingsError: times are asked of what cannot tell them.
        """
        jiwer()
        transcripts = transcripts_of(examples)
        if self.method == "decoder" or (self.method == "auto" and writes(backbone)):
            decoder = decoder_of(backbone)
            if self.times:
                require_times(decoder)
            long = sum(len(row) > min(self.longest, decoder.longest) for row in decoder.encode(transcripts))
            return WrittenTranscription(settings=self, clips=len(examples), too_long=long).with_backbone(backbone)
        if self.times:
            raise SettingsError("task.times is for models that write: by CTC each word has its time without it")
        if not any(transcripts):
            raise DataError(f"the transcripts of all {len(examples)} clips are empty")
        alphabet, own, why = self._alphabet(transcripts, backbone)
        numbers = {character: FIRST + k for k, character in enumerate(alphabet)}
        spans = [int(needed(torch.from_numpy(encoded(text, numbers))[None])[0]) for text in transcripts]
        frames, seconds = np.zeros(0), 0.0
        if isinstance(backbone, HasFrames):
            seconds = backbone.frame_seconds
            frames = np.array([backbone.frames(raw) for raw in raws_of(examples)])
        join = 1 if own else self.join or _joined(frames, np.array(spans), seconds)
        return BoundTranscription(
            settings=self,
            alphabet=alphabet,
            own=own,
            why=why,
            join=join,
            frame_seconds=seconds,
            crowded=int((frames // join < spans).sum()) if len(frames) else 0,
            clips=len(examples),
            ngram=ngram_of(self.language, self.order, alphabet) if self.language else None,
        )

    def _alphabet(self, transcripts: Sequence[str], backbone: FeatureSource) -> tuple[tuple[str, ...], bool, str]:
        """The characters, whether they are the model's own, and why."""
        layer = backbone.characters() if isinstance(backbone, KnowsCharacters) else None
        if layer is None:
            if self.vocabulary == "own":
                raise BackboneError("task.vocabulary = own: the backbone has no characters of its own, by CTC")
            return characters(transcripts), False, "those of the transcripts"
        own = in_case_of(layer.alphabet, transcripts)
        lacking = strange(transcripts, own)
        share = lacking.total() / max(1, sum(map(len, transcripts)))
        told = f"; of the transcripts' it lacks {counted(lacking)}" if lacking else ""
        if self.vocabulary == "own" or (self.vocabulary == "auto" and share <= LACKING):
            reason = f"the model's own, with its last layer{told}; --set task.vocabulary=data learns another"
            return own, True, reason
        return characters(transcripts), False, f"those of the transcripts, not the model's own{told}"

    def restore(self, learnt: Mapping[str, Any]) -> BoundTranscription | WrittenTranscription:
        """Take the alphabet as it was learnt; what a decoder writes needs the backbone as well, by `with_backbone`."""
        kind = BoundTranscription if "alphabet" in learnt else WrittenTranscription
        return kind.model_validate({**learnt, "settings": self})


class BoundTranscription(BoundTask):
    """Transcription whose alphabet is known."""

    target_kinds: ClassVar[TargetKinds] = {TRANSCRIPT: TOKEN_IDS}
    in_sums: ClassVar[bool] = True

    settings: Transcription
    alphabet: tuple[str, ...] = Field(min_length=1)
    """Characters, by their number less 2: 0 is the blank, 1 a character that is not in it."""
    own: bool = False
    """Whether the alphabet is the model's own, and the head its last layer."""
    why: str = "those of the transcripts"
    """Why these characters, in words."""
    join: int = Field(ge=1)
    """Frames of the backbone that become one."""
    frame_seconds: NonNegativeFloat
    """From one frame of the backbone to the next; 0 where they have no time."""
    crowded: NonNegativeInt
    """Clips whose transcript does not fit their frames."""
    clips: NonNegativeInt
    """Of which these are some."""
    ngram: CharacterNgram | None = None
    """Learnt from the file `settings.language`."""

    _distinct = field_validator("alphabet")(distinct)

    @property
    def begins_learnt(self) -> bool:
        """Return whether the head is the model's own."""
        return self.own

    @property
    def needs(self) -> Needs:
        """Frames."""
        return Needs("tokens")

    @property
    def evaluation(self) -> Evaluation:
        """wer, cer, wer_normalised and cer_normalised, in percent."""
        return Evaluation(transcription_metrics(self.read), chosen_by="metric")

    def read(self, targets: Targets) -> list[str]:
        """The transcripts, of their numbers."""
        return [decoded(row, self.alphabet) for row in targets[TRANSCRIPT]]

    def training(self) -> Mapping[str, Any]:
        """Small batches at a high rate, and patience: the first epochs learn blanks alone. A layer that is trained
        already forgets at such a rate."""
        if self.own:
            return {"batch_size": 8, "head_learning_rate": 3e-4, "patience": 5}
        return {"batch_size": 8, "head_learning_rate": 5e-3, "patience": 20}

    def choices(self) -> tuple[Choice, ...]:
        """Report the alphabet, the frames, and clips that nothing is learnt from."""
        shown = "".join(self.alphabet)
        known = Choice("alphabet", f"{len(self.alphabet)} characters: {shown[:80]!r}", self.why)
        every = f"{1000 * self.join * self.frame_seconds:.0f} ms" if self.frame_seconds else f"{self.join} frames"
        why = "the backbone's frames joined, as far as transcripts leave room; --set task.join=N"
        found = [known, Choice("frames", f"one every {every}", why)]
        if self.crowded:
            told = (
                f"{self.crowded} of {self.clips} clips have more characters than frames, and nothing is learnt of them"
            )
            found.append(Choice("clips left out of training", str(self.crowded), told))
        return tuple(found)

    def warnings(self, examples: Examples) -> tuple[str, ...]:
        """Characters that the alphabet lacks, each with its number."""
        if TRANSCRIPT not in examples.schema.targets:
            return ()
        counts = strange(transcripts_of(examples), self.alphabet)
        if not counts:
            return ()
        found = f"{counts.total()} characters of the transcripts were not learnt and count as wrong: {counted(counts)}"
        return (found,)

    def split_policy(self, examples: Examples) -> SplitPolicy:
        """Keep short and long transcripts in proportion."""
        return by_length(transcripts_of(examples))

    def extended(self, examples: Examples, backbone: FeatureSource) -> BoundTranscription:
        """New characters come after the known ones. Raises DataError as `bind`."""
        new = [character for character in characters(transcripts_of(examples)) if character not in self.alphabet]
        return self.model_copy(update={"alphabet": (*self.alphabet, *new)})

    def targets(self, examples: Examples) -> Targets:
        """{"transcript": (clips,) of (characters,) int64}. Raises DataError on a missing one."""
        numbers = {character: FIRST + k for k, character in enumerate(self.alphabet)}
        found = np.empty(len(examples), dtype=object)
        for row, text in enumerate(transcripts_of(examples)):
            found[row] = encoded(text, numbers)
        return {TRANSCRIPT: found}

    def cut(self, examples: Examples, backbone: Backbone) -> Windows | None:
        """Cut clips without transcripts into windows that overlap, where they are longer than the backbone reads."""
        return None if examples.schema.targets else cut_clips(examples, backbone)

    def merged(self, prediction: Prediction, windows: Windows) -> Prediction:
        """Join the transcripts of each clip's windows, by their times."""
        return joined_clips(prediction, windows)

    def head(self, backbone: FeatureSource) -> nn.Module:
        """Return the head of frames: fresh, or the model's own as it was trained."""
        numbers, settings = FIRST + len(self.alphabet), self.settings
        if self.own:
            layer = backbone.characters() if isinstance(backbone, KnowsCharacters) else None
            same = layer is not None and FIRST + len(layer.alphabet) == numbers  # it grows where a run goes on
            return CharacterLayer(backbone.width, numbers, settings.dropout, layer if same else None)
        widths = backbone.stage_widths if isinstance(backbone, Backbone) else ()
        return FrameHead(
            backbone.width,
            numbers,
            settings.hidden,
            self.join,
            settings.dropout,
            settings.masks,
            context=settings.context,
            stages=len(widths) if len(set(widths)) == 1 else 1,
        )

    def forward(self, head: nn.Module, features: Features, inputs: Tensors) -> Tensors:
        """{"log_probs": (batch, frames, numbers), "frames": (batch,) real ones}. Raises BackboneError without any."""
        if features.tokens is None or features.mask is None:
            raise BackboneError("transcription needs frames, and the backbone has pooled features alone")
        log_probs, frames = head(features.tokens, (features.mask != 0).sum(dim=1))
        return {"log_probs": log_probs, "frames": frames}

    def losses(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """{"ctc": scalar}: the mean over the characters of the clips whose transcripts fit."""
        return self.losses_of(self.sums(outputs, targets))

    def sums(self, outputs: Tensors, targets: Tensors) -> Tensors:
        """Sums over the clips of a batch, as `ctc_sums`."""
        return ctc_sums(outputs["log_probs"], outputs["frames"], targets[TRANSCRIPT])

    def losses_of(self, sums: Tensors) -> Tensors:
        """Return the mean over characters."""
        return {"ctc": sums["ctc"] / sums["characters"].clamp(min=1)}

    def predict(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """Columns "text", "starts" (characters,) in seconds, "score": the log-probability for each frame, and
        "seconds" of the clip."""
        return self._found(self.forward(head, features, inputs), self._decoded)

    def draft(self, head: nn.Module, features: Features, inputs: Tensors) -> Prediction:
        """The same by the likeliest path, without a beam: for the epochs of a training."""
        return self._found(self.forward(head, features, inputs), greedy)

    def _found(self, outputs: Tensors, decode: Callable[[np.ndarray], Decoded]) -> Prediction:
        step = self.join * (self.frame_seconds or 1.0)
        rows = per_frame(outputs["log_probs"], outputs["frames"])
        found = [decode(row) for row in rows]
        texts, starts = np.empty(len(found), object), np.empty(len(found), object)
        for row, one in enumerate(found):
            texts[row] = decoded(one.numbers, self.alphabet)
            starts[row] = step * np.array(one.frames, np.float64)
        seconds = step * np.array([len(row) for row in rows], np.float64)
        score = np.array([one.score / max(1, len(row)) for one, row in zip(found, rows)])
        return Prediction({TEXT: texts, "starts": starts, "score": score, "seconds": seconds})

    def collapse(self, prediction: Prediction, epoch: int, steps: int) -> str:
        """Return what is wrong where nothing but blanks is predicted long after the beginning; '' elsewhere."""
        if epoch < BLANK_EPOCHS or steps < BLANK_STEPS or any(prediction.columns[TEXT]):
            return ""
        return (
            f"after {steps} steps every transcript is empty: CTC has collapsed to blanks. Try a higher "
            "tuning.head_learning_rate, a smaller tuning.batch_size, shorter clips, or --set task.join=1"
        )

    def _decoded(self, log_probs: np.ndarray) -> Decoded:
        settings = self.settings
        if settings.beam == 1:
            return greedy(log_probs)
        if self.ngram is None:
            return prefix_beam(log_probs, settings.beam)
        ngram, weight, length = self.ngram, settings.language_weight, settings.length_bonus
        return prefix_beam(
            log_probs,
            settings.beam,
            lambda prefix, n: weight * ngram.log_probability(prefix, n) + length,
            lambda prefix: weight * ngram.log_probability(prefix, EDGE),
        )


def _joined(frames: np.ndarray, spans: np.ndarray, seconds: float) -> int:
    """Return the number of frames that become one; 1 where frames are not known, `frames` being empty."""
    if not len(frames):
        return 1
    most = int(FRAME / seconds + 1e-9) if seconds else 1
    roomy = frames >= spans  # the others do not fit in any case
    frames, spans = frames[roomy], spans[roomy]
    fitting = [join for join in range(2, most + 1) if len(frames) and (frames // join >= spans).mean() >= FITTING]
    return max(fitting, default=1)
