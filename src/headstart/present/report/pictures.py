"""The pictures and sounds of a report: of one form only, and no more of them than there is room for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headstart.contracts.panels import Panel, Picture
from headstart.pipeline.record import Shown

PICTURE = re.compile(r"data:image/(jpeg|png|webp|gif);base64,[A-Za-z0-9+/]+=*")
"""The only form in which a picture is put into the page."""

THUMBNAIL_BYTES = 1_600_000
"""What the pictures may take of it; the mistakes come worst first, so the last ones lose theirs."""


SOUND = re.compile(r"data:audio/mpeg;base64,[A-Za-z0-9+/]+=*")
"""The only form in which a sound is put into the page."""

SOUND_BYTES = 1_600_000
"""What the sounds may take of it, as of pictures."""

DRAWN_BYTES = 800_000
"""What the panels that tasks drew themselves may take of it."""


def with_room(panels: tuple[Panel, ...]) -> list[Panel]:
    """The panels; pictures beyond `DRAWN_BYTES` are without their image."""
    shown, left = [], DRAWN_BYTES
    for panel in panels:
        if isinstance(panel, Picture):
            left -= len(panel.image)
            panel = panel if left >= 0 else panel.model_copy(update={"image": ""})
        shown.append(panel)
    return shown


def pictures(cards: Sequence[Shown]) -> list[str]:
    """Per example the picture to show; empty where there is none, none that is embedded, or no room any more."""
    return _fitting([card.thumbnail for card in cards], PICTURE, THUMBNAIL_BYTES)


def sounds(cards: Sequence[Shown]) -> list[str]:
    """Per example the sound to play; empty as of `pictures`."""
    return _fitting([card.sound for card in cards], SOUND, SOUND_BYTES)


def _fitting(embedded: Sequence[str], form: re.Pattern[str], left: int) -> list[str]:
    shown = []
    for one in embedded:
        shown.append(one if len(one) <= left and form.fullmatch(one) else "")
        left -= len(shown[-1])
    return shown
