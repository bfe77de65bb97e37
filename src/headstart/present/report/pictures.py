"""The pictures of a report: of one form only, and no more of them than there is room for."""

from __future__ import annotations

import re
from collections.abc import Sequence

from headstart.contracts.panels import Panel, Picture
from headstart.pipeline.record import Shown

PICTURE = re.compile(r"data:image/(jpeg|png|webp|gif);base64,[A-Za-z0-9+/]+=*")
"""The only form in which a picture is put into the page."""

THUMBNAIL_BYTES = 1_600_000
"""What the pictures may take of it; the mistakes come worst first, so the last ones lose theirs."""


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
    shown, left = [], THUMBNAIL_BYTES
    for card in cards:
        fits = len(card.thumbnail) <= left and PICTURE.fullmatch(card.thumbnail)
        shown.append(card.thumbnail if fits else "")
        left -= len(shown[-1])
    return shown
