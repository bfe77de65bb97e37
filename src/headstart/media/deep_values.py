"""Values of more than 8 bits a channel, as they stand in a file.

Of 16-bit colours Pillow gives the upper 8 bits. Read once more in the other byte order the file gives the lower ones.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import ImageFile

STEP = 257
"""Times 8 bits is 16 bits."""

SWAPPED = str.maketrans("BL", "LB")


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Return whether an opened image, not loaded yet, has more than 8 bits a channel."""
    return image.mode.startswith(("I", "F")) or _order(image) is not None


def deep_values(image: ImageFile.ImageFile, open_again: Callable[[], ImageFile.ImageFile]) -> np.ndarray:
    """Values (height, width), or (height, width, channels) of colours, of an opened image that is deep; it is loaded.

    Raises:
        Exception: of many kinds, as Pillow's decoders do.
    """
    order = _order(image)
    upper = np.asarray(image)
    if order is None:
        return upper
    try:
        with open_again() as again:
            again.tile = [tile._replace(args=_other(tile.args, order)) for tile in again.tile]
            return upper.astype(np.uint16) << 8 | np.asarray(again)
    except ValueError:  # Pillow knows the one order alone
        return upper.astype(np.uint16) * STEP


def _order(image: ImageFile.ImageFile) -> str | None:
    """Order of the bytes of 16-bit colours, such as 'RGB;16B'; None where the image has none."""
    if image.mode not in ("RGB", "RGBA", "LA") or not image.tile:
        return None
    given = image.tile[0].args
    found = given[0] if isinstance(given, tuple) and given else given
    return found if isinstance(found, str) and ";16" in found else None


def _other(arguments: str | tuple[object, ...] | None, order: str) -> str | tuple[object, ...]:
    name, kind = order.split(";")
    swapped = f"{name};{kind.translate(SWAPPED)}"
    return (swapped, *arguments[1:]) if isinstance(arguments, tuple) else swapped
