"""MAE against He et al. 2022 written out longhand: what is seen, where missing tokens stand, what is painted."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from headstart.backbones.timm_images import TimmImages
from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import Batch, State
from headstart.contracts.objective import TARGET, Step
from headstart.kernel.errors import SettingsError
from headstart.kernel.randomness import draw_seed
from headstart.objectives.mae import Mae, places
from two_views import step_of

OBJECTIVE = Mae(hidden=0.7, width=32, depth=2)
PATCH, GRID, PICTURES, SEED = 8, 4, 2, 5
VIT = {
    "reference": "vit_tiny_patch16_224",
    "weights": "random",
    "architecture": {
        "name": "vit_tiny_patch16_224",
        "arguments": {"depth": 2, "embed_dim": 32, "num_heads": 2, "img_size": PATCH * GRID, "patch_size": PATCH},
        "configuration": {"input_size": [3, PATCH * GRID, PATCH * GRID], "fixed_input_size": True},
    },
}


@pytest.fixture(scope="module")
def step() -> Step:
    """Two pictures of noise on a ViT of 4 x 4 patches, in float64."""
    backbone = TimmImages(**VIT).load()
    torch.manual_seed(0)
    additions = nn.ModuleDict(dict(OBJECTIVE.additions(backbone))).double()
    backbone.module.double()
    side = PATCH * GRID
    pictures = Batch(State(torch.randn(PICTURES, 3, side, side, dtype=torch.float64)), {}, torch.tensor([7, 3]))
    return step_of({TARGET: pictures}, backbone, additions, seed=SEED)


def shown(picture: int) -> list[int]:
    """The patches that the encoder sees of a picture, in the order in which it sees them, then the others."""
    draws = np.random.default_rng(draw_seed(SEED, "patches hidden", (7, 3)[picture]))
    count = GRID * GRID
    return draws.permutation(count).tolist()


def longhand(step: Step) -> Tensor:
    """Picture by picture, with every token put back in its place before it is decoded."""
    vit, decoder, squares = step.backbone.module, step.additions["decoder"], []
    for number, picture in enumerate(step.batches[TARGET].state.hidden):
        order, keep = shown(number), round(0.3 * GRID * GRID)
        embedded = vit.patch_embed(picture[None])[0] + vit.pos_embed[0, 1:]
        start = vit.cls_token[0] + vit.pos_embed[0, :1]
        seen = vit.norm(vit.blocks(torch.cat([start, embedded[order[:keep]]])[None]))
        tokens = decoder.embedding(seen)[0]
        grid = [decoder.missing[0, 0] for _ in order]
        for token, place in zip(tokens[1:], order[:keep]):
            grid[place] = token
        with_places = torch.stack(grid) + places(GRID, GRID, 32).double()
        painted = decoder.pixels(decoder.norm(decoder.blocks(torch.cat([tokens[:1], with_places])[None])))[0, 1:]
        for place in order[keep:]:
            top, left = PATCH * (place // GRID), PATCH * (place % GRID)
            patch = picture[:, top : top + PATCH, left : left + PATCH].permute(1, 2, 0).reshape(-1)
            wanted = (patch - patch.mean()) / (patch.var() + 1e-6) ** 0.5
            squares.append((painted[place] - wanted).square().mean())
    return torch.stack(squares).mean()


def test_loss_and_gradients_are_those_of_the_longhand_version(step: Step) -> None:
    moved = [*step.additions.parameters(), *step.backbone.module.parameters()]
    expected, found = longhand(step), OBJECTIVE.losses(step)["patches"]
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=0)
    gradients = torch.autograd.grad(expected, moved, allow_unused=True)
    found_gradients = torch.autograd.grad(found, moved, allow_unused=True)
    assert [one is None for one in gradients] == [one is None for one in found_gradients]
    for one, other in zip(gradients, found_gradients):
        if one is not None and other is not None:
            torch.testing.assert_close(other, one, rtol=1e-7, atol=1e-10)


def test_hidden_pixels_are_not_looked_at(step: Step) -> None:
    decoder, pictures = step.additions["decoder"], step.batches[TARGET].state.hidden
    seen = torch.tensor([[0, 3, 5]] * PICTURES)
    other = pictures.clone()
    other[:, :, PATCH:, PATCH * 2 :] += 3.0
    one, two = (decoder.encoded(step.backbone, State(value), seen) for value in (pictures, other))
    assert torch.equal(one, two)


def test_places_differ_and_do_not_depend_on_the_size_of_the_grid() -> None:
    grid = places(3, 4, 16)
    assert len(torch.unique(grid, dim=0)) == 12
    assert torch.equal(grid[5], places(2, 2, 16)[3])


@pytest.mark.parametrize("name", ["test_resnet", "test_mambaout"])
def test_a_net_without_tokens_is_refused(name: str) -> None:
    net: Backbone = TimmImages(reference=name, weights="random").load()
    with pytest.raises(SettingsError, match=rf"{name} has no tokens\. Take a ViT"):
        OBJECTIVE.check(net)
