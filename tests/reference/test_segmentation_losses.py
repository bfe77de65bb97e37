"""The losses of segmentation against their formulas written out pixel by pixel, values and gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from headstart.contracts.targets import PADDED_TARGET
from headstart.tasks.segmentation.losses import LOSSES

SHOWN = (1, 2)


def given() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    target = torch.randint(0, 3, (2, 4, 5), generator=generator)
    target[0, 0] = PADDED_TARGET
    return logits, target


def longhand(name: str, logits: np.ndarray, target: np.ndarray) -> float:
    """Loops over the pixels whose class is known."""
    pixels = []
    for b in range(2):
        for y in range(4):
            for x in range(5):
                if target[b, y, x] != PADDED_TARGET:
                    powers = [math.exp(v) for v in logits[b, :, y, x]]
                    pixels.append(([p / sum(powers) for p in powers], int(target[b, y, x])))
    if name == "cross_entropy":
        return -sum(math.log(p[k]) for p, k in pixels) / len(pixels)
    terms = []
    for k in SHOWN:
        both = sum(p[k] for p, t in pixels if t == k)
        predicted, true = sum(p[k] for p, _ in pixels), sum(1 for _, t in pixels if t == k)
        if name == "dice":
            terms.append(1 - (2 * both + 1) / (predicted + true + 1))
        else:
            index = (both + 1) / (both + 0.7 * (true - both) + 0.3 * (predicted - both) + 1)
            terms.append((1 - index) ** 0.75)
    return sum(terms) / len(terms)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_its_formula(name: str) -> None:
    logits, target = given()
    found = LOSSES[name](logits, target, SHOWN)
    assert found.shape == () and float(found) == pytest.approx(longhand(name, logits.numpy(), target.numpy()), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_its_gradient_is_that_of_the_formula(name: str) -> None:
    logits, target = given()
    leaf = logits.clone().requires_grad_()
    LOSSES[name](leaf, target, SHOWN).backward()
    assert leaf.grad is not None
    for place in ((0, 1, 1, 2), (1, 2, 3, 4), (1, 0, 0, 0), (0, 2, 0, 3)):
        step = torch.zeros_like(logits)
        step[place] = 1e-4
        above, below = (longhand(name, (logits + sign * step).numpy(), target.numpy()) for sign in (1, -1))
        assert float(leaf.grad[place]) == pytest.approx((above - below) / 2e-4, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_right_costs_next_to_nothing_and_what_is_unknown_nothing(name: str) -> None:
    _, target = given()
    known = target.clamp(min=0)
    right = 30 * torch.nn.functional.one_hot(known, 3).permute(0, 3, 1, 2).float()
    assert float(LOSSES[name](right, target, SHOWN)) < 1e-4
    spoilt = right.clone()
    spoilt[0, :, 0] = -spoilt[0, :, 0]  # where the class is not known
    assert torch.equal(LOSSES[name](spoilt, target, SHOWN), LOSSES[name](right, target, SHOWN))
