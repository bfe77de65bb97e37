"""Pictures of a data set that are not read as they stand: pages, transparency, inks; counted by their headers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from headstart.media.images import Crop, open_image

ONE_PICTURE = ("MPO", "PSD", "ICO", "ICNS")
"""Formats whose further frames are previews, views or layers of the same picture."""

_PAGES = "have several pages or frames, of which only the first is read"
_CLEAR = "are transparent in places and are laid on white"
_INKS = "are in inks (CMYK) or another colour space, and are converted to RGB without a colour profile"


def picture_notes(raws: Sequence[Path | bytes | Crop], origins: Sequence[str]) -> tuple[str, ...]:
    """A sentence for each kind, with its number and one of them by its origin."""
    found: dict[str, list[str]] = {}
    for raw, origin in zip(raws, origins):
        for kind, about in _kinds(raw.source if isinstance(raw, Crop) else raw):
            found.setdefault(kind, []).append(f"{origin}{about}")
    return tuple(f"{len(some)} of {len(raws)} pictures {kind}, such as {some[0]}" for kind, some in found.items())


def _kinds(source: Path | bytes) -> list[tuple[str, str]]:
    try:
        with open_image(source) as image:
            pages = 1 if image.format in ONE_PICTURE else getattr(image, "n_frames", 1)
            found = [(_PAGES, f" with {pages}")] if pages > 1 else []
            return found + [(kind, "") for kind in _kinds_of_colours(image)]
    except Exception:  # what is damaged is named where it is read
        return []


def _kinds_of_colours(image: Image.Image) -> list[str]:
    found = [_CLEAR] if image.has_transparency_data else []
    return found + ([_INKS] if image.mode in ("CMYK", "LAB", "YCbCr", "HSV") else [])
