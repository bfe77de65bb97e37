"""Pictures as baselines see them: all by one scale of grey values, that of the training pictures, as the model does."""

from __future__ import annotations

from headstart.contracts.examples import Examples
from headstart.contracts.modality import HasPicture, modality_named, raws_of


def pictures_of(training: Examples) -> HasPicture:
    """The modality of training examples, which shows every picture by their scale."""
    kind = modality_named(training.schema.modality)
    if not isinstance(kind, HasPicture):
        raise TypeError(f"{training.schema.modality} inputs are not pictures")
    return kind.alike(raws_of(training))
