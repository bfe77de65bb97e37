"""Windows of long texts, and the places of tokens."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from headstart.backbones.hf_text import HfText
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import PLACES
from headstart.kernel.errors import BackboneError, DataError
from tiny_text_models import SENTENCES, save_tiny

LONG = " ".join(f"{SENTENCES[k % 4]} and {k}" for k in range(20))


@pytest.fixture(scope="module", params=["bert", "gpt2"])
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return HfText(reference=str(save_tiny(tmp_path_factory.mktemp("models"), request.param))).load()


@pytest.mark.parametrize("text", [LONG, LONG.replace(" ", ""), "ü" * 500, f"a {'b' * 300} c", LONG + "\n" * 200])
def test_windows_are_read_whole_overlap_and_cover_the_text(backbone: Backbone, text: str) -> None:
    windows = backbone.windows(text)
    assert len(windows) > 1 and windows[0][0] == 0 and windows[-1][1] == len(text)
    assert all(one[0] < other[0] < one[1] <= other[1] for one, other in pairwise(windows))
    placed = backbone.placed()
    for start, stop in windows:
        places = placed.prepare([text[start:stop]]).context[PLACES]
        last = len(text[start:stop].rstrip())
        assert int(places[0, :, 1].max()) >= last, "the window was cut off"


def test_windows_begin_and_end_between_words(backbone: Backbone) -> None:
    windows = backbone.windows(LONG)
    assert all(LONG[start - 1].isspace() or LONG[start].isspace() for start, _ in windows[1:])
    assert all(LONG[stop - 1].isspace() or LONG[stop].isspace() for _, stop in windows[:-1])


def test_windows_of_a_long_text_are_found_in_time_that_grows_with_its_length(backbone: Backbone) -> None:
    text = "a and " * 30_000
    started = time.process_time()
    assert len(backbone.windows(text)) > 1400
    assert time.process_time() - started < 3


def test_a_text_that_is_read_whole_has_no_windows(backbone: Backbone) -> None:
    assert backbone.windows(SENTENCES[0]) == () and backbone.windows("") == ()
    assert backbone.windows((LONG, LONG)) == ()


def test_places_change_nothing_but_the_space_before_the_first_word(tmp_path: Path) -> None:
    backbone = HfText(reference=str(save_tiny(tmp_path, "bert"))).load()
    placed = backbone.placed()
    plain, more = backbone.prepare([f" {text}" for text in SENTENCES]), placed.prepare(SENTENCES)
    assert PLACES not in plain.context and more.context[PLACES].shape == (*more.hidden.shape, 2)
    assert torch.equal(plain.hidden, more.hidden)
    assert placed.module is backbone.module
    assert placed.preparation() != backbone.preparation() and placed.describe() != backbone.describe()


def test_places_survive_saving_and_stages(backbone: Backbone) -> None:
    placed = backbone.placed()
    state = placed.prepare(SENTENCES)
    half = placed.segment(0, 2)(state)
    assert torch.equal(half.context[PLACES], state.context[PLACES])
    again = HfText(**placed.describe()["settings"])
    assert again.places


def test_places_lie_in_one_text(backbone: Backbone) -> None:
    with pytest.raises(DataError, match="pair of texts"):
        backbone.placed().prepare([("one", "two")])


def test_a_backbone_of_other_inputs_has_no_places() -> None:
    from headstart.backbones.table_features import TableFeatures

    with pytest.raises(BackboneError, match="takes table inputs and has no token positions"):
        TableFeatures(columns=2).load().placed()
