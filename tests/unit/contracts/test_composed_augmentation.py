from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headstart.augmentations.crop import Crop
from headstart.augmentations.flip import Flip
from headstart.contracts.augmentation import augmented
from headstart.contracts.carriers import Batch, State
from headstart.contracts.composed_augmentation import composed, rebuilt
from headstart.contracts.inputs import Pixels, Tokens
from headstart.contracts.placed_targets import ClassMaps
from headstart.contracts.target_kinds import CLASS_IDS
from headstart.kernel.errors import SettingsError
from headstart.kernel.randomness import draw_seed
from headstart.kernel.user_settings import parse_assignments
from headstart.pipeline.plan import Plan, read_plan
from headstart.pipeline.plan_file import write_plan

PIXELS = Pixels(mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
SEEDS = [3, 4, 5, 6]


def pictures() -> State:
    return State(torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(0)))


def test_parts_act_in_their_order_each_with_seeds_of_its_own() -> None:
    both = composed("crop+flip", {"crop.scale": (0.2, 0.5)})
    cropped = Crop(scale=(0.2, 0.5)).view(pictures(), [draw_seed(seed, "crop") for seed in SEEDS])
    expected = Flip().view(cropped, [draw_seed(seed, "flip") for seed in SEEDS])
    assert torch.equal(both.view(pictures(), SEEDS).hidden, expected.hidden)
    maps = torch.arange(4 * 144).reshape(4, 12, 12)
    moved = Crop(scale=(0.2, 0.5)).move_maps(maps, [draw_seed(seed, "crop") for seed in SEEDS])
    assert torch.equal(
        both.move(ClassMaps(), maps, SEEDS, (12, 12)),
        Flip().move_maps(moved, [draw_seed(seed, "flip") for seed in SEEDS]),
    )


@pytest.mark.parametrize("key", ["crop.scale", "crop", "scale"])
def test_settings_reach_their_part(key: str) -> None:
    value = {"scale": (0.5, 0.6)} if key == "crop" else (0.5, 0.6)
    assert composed("crop", {key: value}).parts == (Crop(scale=(0.5, 0.6)),)
    if key != "scale":
        assert composed("flip+crop", {key: value}).parts == (Flip(), Crop(scale=(0.5, 0.6)))


def test_a_plan_with_several_parts_comes_back_as_it_was(tmp_path: Path) -> None:
    settings = parse_assignments(["augmentation.crop.scale=[0.5, 0.9]", "augmentation.flip.vertical=true"])
    plan = Plan(data="x", tuning="full", augmentation="crop+flip+mixup", settings=settings)
    plan.check()
    write_plan(tmp_path / "plan.toml", plan, ())
    again = read_plan(tmp_path / "plan.toml").plugin("augmentation")
    assert again == plan.plugin("augmentation")
    assert again.parts[:2] == (Crop(scale=(0.5, 0.9)), Flip(vertical=True))
    nested = tmp_path / "mine.toml"
    nested.write_text('data = "x"\naugmentation = "crop+flip"\n[settings.augmentation.crop]\nscale = [0.5, 0.9]\n')
    assert read_plan(nested).plugin("augmentation").parts == (Crop(scale=(0.5, 0.9)), Flip())


@pytest.mark.parametrize(
    ("names", "settings", "fault"),
    [
        ("crop+flop", {}, "augmentation 'flop' is not known. Did you mean 'flip'"),
        ("crop+flip+crop", {}, "has 'crop' twice"),
        (
            "crop+flip",
            {"scale": 1},
            "augmentation.scale is a setting of no part of 'crop+flip': write augmentation.crop.scale",
        ),
        ("crop+flip", {"mixup.alpha": 1}, "augmentation.mixup.alpha is a setting of no part"),
        ("crop+flip", {"crop.scales": 1}, "augmentation.crop.scales is not a setting. Did you mean 'scale'?"),
        ("crop", {"scales": 1}, "augmentation.scales is not a setting. Did you mean 'scale'?"),
        ("crop", {"scale": (0.9, 0.2)}, "the smaller first"),
        ("flip", {"horizontal": False}, "flip would do nothing"),
        ("erasing", {"least": 0.5}, "least = 0.5 is more than most"),
        ("crop", {"views": -1}, "augmentation.views = -1"),
        ("none", {"views": 4}, "augmentation.views = 4 would do nothing: 'none' makes no views of inputs"),
    ],
)
def test_what_is_wrong_with_names_and_settings_is_said(names: str, settings: dict[str, object], fault: str) -> None:
    with pytest.raises(SettingsError) as raised:
        composed(names, settings)
    assert fault in str(raised.value)


def test_all_faults_come_at_once() -> None:
    with pytest.raises(SettingsError) as raised:
        composed("crop+flip", {"crop.scales": 1, "flip.horizontal": False, "views": -1, "zoom": 2})
    assert len(str(raised.value).splitlines()) == 4


def test_of_several_that_mix_one_is_drawn_for_each_batch() -> None:
    both = composed("mixup+cutmix", {})
    labels = {"label": torch.arange(4)}
    blended = 0
    for shift in range(200):
        batch = augmented(
            both, Batch(pictures(), labels, torch.arange(4)), [seed + shift for seed in SEEDS], {"label": CLASS_IDS}
        )
        assert batch.mixed is not None
        kept = batch.state.hidden == pictures().hidden
        pasted = (batch.state.hidden[:, None] == pictures().hidden[None]).any(1)
        blended += not bool((kept | pasted).all())
    assert 70 < blended < 130


def test_what_is_described_can_be_made_again_with_all_that_was_learnt() -> None:
    bound = composed("crop+trivial", {"trivial.strength": 0.5}).bind(PIXELS, 100)
    again = rebuilt(bound.describe())
    assert again.parts == bound.parts
    assert torch.equal(again.view(pictures(), SEEDS).hidden, bound.view(pictures(), SEEDS).hidden)
    assert str(bound) == "crop + trivial (strength 0.5)"


def test_views_and_mixtures_are_told_apart() -> None:
    everything = composed("crop+mixup+manifold_mixup", {})
    assert [type(part).__name__ for part in everything.of_inputs().parts] == ["Crop"]
    assert [type(part).__name__ for part in everything.of_batches().parts] == ["Mixup", "ManifoldMixup"]
    assert everything.changes_inputs and not composed("manifold_mixup", {}).changes_inputs
    assert composed("manifold_mixup", {}).acts and not composed("none", {}).acts


def test_the_standard_is_stronger_the_fewer_the_examples() -> None:
    strengths = {}
    for examples in (20, 100, 1000, 10**4, 10**7):
        crop = composed("standard", {}).bind(PIXELS, examples).parts[0]
        assert isinstance(crop, Crop)
        strengths[examples] = 1 - crop.scale[0]
    assert strengths[20] == strengths[100] > strengths[1000] > strengths[10**4] > strengths[10**7] > 0
    bound = composed("standard", {}).bind(PIXELS, 1000)
    assert "for 1000 training examples" in bound.because
    assert composed("standard", {"strength": 0.3}).bind(PIXELS, 1000).because == "strength 0.3"


def test_the_standard_mirrors_nothing_unless_it_is_told_to() -> None:
    def names(settings: dict[str, object]) -> list[str]:
        return [type(part).__name__ for part in composed("standard", settings).bind(PIXELS, 50).parts]

    assert names({}) == ["Crop", "Trivial", "Erasing"]
    assert names({"flip": True}) == ["Crop", "Flip", "Trivial", "Erasing"]
    with pytest.raises(SettingsError, match="texts cannot be mirrored"):
        composed("standard", {"flip": True}).bind(Tokens(mask=4), 50)
    with pytest.raises(SettingsError, match="has 'crop' twice"):
        composed("standard+crop", {}).bind(PIXELS, 50)


def test_the_standard_hides_tokens_of_texts() -> None:
    (part,) = composed("standard", {}).bind(Tokens(mask=4, special=(1,)), 50).parts
    assert part.model_dump(include={"rate", "how"}) == {"rate": 0.1, "how": "mask"}  # type: ignore[attr-defined]
    (part,) = composed("standard", {}).bind(Tokens(), 50).parts
    assert part.how == "hide"  # type: ignore[attr-defined]


def test_parts_that_cannot_act_are_refused_with_the_reason() -> None:
    with pytest.raises(SettingsError, match="'crop' changes image inputs, the data are text"):
        composed("token_dropout+crop", {}).suit("text")
    with pytest.raises(SettingsError, match="does not say what range its pixels have"):
        composed("trivial", {}).bind(None, 10)
    with pytest.raises(SettingsError, match="not square"):
        composed("flip", {"quarter_turns": True}).view(State(torch.rand(1, 3, 4, 6)), [1])
