"""Partial tuning of a decoder: the encoder stays, its states are kept, and only the decoder's stages move."""

from __future__ import annotations

import pytest

from headstart.backbones.table_mlp import TableMlp
from headstart.kernel.errors import SettingsError
from headstart.objectives.supervised import Supervised
from headstart.pipeline.training import boundary
from headstart.tuning.partial import Partial
from tiny_translators import translator


def test_the_decoder_moves_and_batches_begin_behind_the_encoder() -> None:
    backbone = translator()
    recipe = Partial(depth="decoder").on(backbone)
    stages = len(backbone.stages)
    assert recipe.first_stage(stages) == stages - backbone.decoder_stages == 3
    names = [backbone.stages[rate.stage].name for rate in recipe.rates(stages) if rate.stage >= 0]
    assert names == ["decoder.layer.0", "decoder.layer.1"]
    recipe.check(backbone)
    assert boundary(recipe, Supervised(), backbone) == 3


def test_models_without_a_decoder_and_two_cuts_are_refused() -> None:
    backbone = TableMlp(columns=3, width=8).load()
    with pytest.raises(SettingsError, match="has no decoder"):
        Partial(depth="decoder").on(backbone).check(backbone)
    with pytest.raises(ValueError, match="last = 2 and depth = decoder"):
        Partial(depth="decoder", last=2)
