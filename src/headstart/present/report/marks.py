"""A text with its labelled places marked, as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from headstart.contracts.panels import Mark

MOST_LETTERS = 500
"""Characters of a text that are shown."""


def marked(text: str, marks: Sequence[Mark]) -> Markup:
    """The beginning of the text, each place in it followed by its label if it has one; the marks are in order."""
    shown, parts, done = text[:MOST_LETTERS], [], 0
    for mark in marks:
        if mark.end > len(shown):
            break
        parts.append(escape(shown[done : mark.start]))
        label = Markup(" <small>{}</small>").format(mark.label) if mark.label else ""
        parts.append(Markup("<mark>{}{}</mark>").format(shown[mark.start : mark.end], label))
        done = mark.end
    parts.append(escape(shown[done:] + ("…" if len(text) > len(shown) else "")))
    return Markup("").join(parts)
