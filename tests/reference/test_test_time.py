"""Statistics of the inputs against torch's BatchNorm in training mode, and the steps of Tent under SAR longhand."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from headstart.contracts.carriers import Batch, State
from headstart.contracts.features import Features
from headstart.contracts.network import Stage
from headstart.contracts.test_time import AdaptedModel
from headstart.kernel.errors import RunError, SettingsError
from headstart.test_time.adaptive_batch_norm import AdaptiveBatchNorm
from headstart.test_time.tent import Tent

CLASSES, WIDTH = 5, 6
MOVING = ("1.weight", "1.bias", "4.weight", "4.bias")


def network(norm: str = "batch") -> nn.Sequential:
    """Two convolutions with normalisation, in evaluation mode, whose statistics and weights are no trivial ones."""
    torch.manual_seed(0)
    norms = [nn.BatchNorm2d(WIDTH) if norm == "batch" else nn.GroupNorm(2, WIDTH) for _ in range(2)]
    found = nn.Sequential(
        nn.Conv2d(3, WIDTH, 3), norms[0], nn.ReLU(), nn.Conv2d(WIDTH, WIDTH, 3), norms[1], nn.ReLU()
    ).double()
    for layer in norms:
        for tensor in layer.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(0.5 + torch.rand_like(tensor))
    return found.eval()


def pictures(count: int, seed: int = 1) -> Tensor:
    torch.manual_seed(seed)
    return 2 * torch.randn(count, 3, 8, 8, dtype=torch.float64) + 1


def batch(values: Tensor) -> Batch:
    return Batch(State(values), {}, torch.arange(len(values)))


def subject(net: nn.Sequential, source: Tensor | None = None) -> tuple[AdaptedModel, nn.Linear]:
    """The network with a linear head; the training examples are gone without any."""
    torch.manual_seed(3)
    head = nn.Linear(WIDTH, CLASSES).double()
    with torch.no_grad():
        head.weight *= 1.02  # some predictions are sure

    def run(given: Batch) -> tuple[Features, Tensor]:
        pooled = net(given.state.hidden).mean((2, 3))
        return Features(pooled), head(pooled)

    def training_examples() -> Iterable[Batch]:
        if source is None:
            raise RunError("they are gone")
        return iter([batch(source)])

    stages = tuple(
        Stage(str(first), tuple(name for name, _ in net.named_parameters() if int(name[0]) // 3 == first))
        for first in (0, 1)
    )
    return AdaptedModel("net", net, stages, head, run, training_examples, scored=True, task="classification"), head


def test_without_the_source_the_layers_do_what_those_in_training_mode_do() -> None:
    net, values = network(), pictures(20)
    model, _ = subject(net)
    adaptation = AdaptiveBatchNorm(source_examples=0).begin(model)
    adaptation.look([batch(values)], 20)
    found = adaptation.features(batch(values)).pooled
    reference = network().train()
    torch.testing.assert_close(found, reference(values).mean((2, 3)), rtol=1e-6, atol=1e-6)


def test_statistics_of_several_batches_are_mixed_with_those_of_the_source_by_the_paper() -> None:
    net, values = network(), pictures(24)
    kept = [net.get_buffer(f"1.running_{name}").clone() for name in ("mean", "var")]
    adaptation = AdaptiveBatchNorm(source_examples=16).begin(subject(net)[0])
    adaptation.look([batch(values[:8]), batch(values[8:12])], 12)
    adaptation.look([batch(values[12:])], 12)
    seen = network()[0](values).transpose(0, 1).flatten(1)
    expected = [16 / 40 * old + 24 / 40 * new for old, new in zip(kept, (seen.mean(1), seen.var(1, correction=0)))]
    torch.testing.assert_close(
        [net.get_buffer(f"1.running_{name}") for name in ("mean", "var")], expected, rtol=1e-6, atol=1e-6
    )


def test_inputs_like_the_training_examples_change_nothing() -> None:
    net, values = network(), pictures(16)
    with torch.no_grad():
        plain = net(values).mean((2, 3))
    adaptation = AdaptiveBatchNorm().begin(subject(net, values)[0])
    adaptation.look([batch(values)], 16)
    torch.testing.assert_close(adaptation.features(batch(values)).pooled, plain, rtol=1e-6, atol=1e-6)


def test_a_shift_of_scale_and_place_is_undone_though_a_frozen_network_keeps_other_statistics() -> None:
    net, values = network(), pictures(16)
    net.get_parameter("0.bias").data.zero_()
    with torch.no_grad():
        plain = net(values).mean((2, 3))
    adaptation = AdaptiveBatchNorm(source_examples=0).begin(subject(net, values)[0])
    adaptation.look([batch(3 * values)], 16)
    torch.testing.assert_close(adaptation.features(batch(3 * values)).pooled, plain, rtol=1e-4, atol=1e-4)


def test_folded_layers_without_training_examples_are_refused() -> None:
    net = network()
    for layer in ("1", "4"):
        net.get_buffer(f"{layer}.running_mean").zero_()
        net.get_buffer(f"{layer}.running_var").fill_(1)
    with pytest.raises(SettingsError, match=r"folded into other weights.*they are gone"):
        AdaptiveBatchNorm().begin(subject(net)[0])


def entropies(net: nn.Sequential, head: nn.Module, values: Tensor) -> list[Tensor]:
    """H(p) of every picture, class by class."""
    found: list[Tensor] = []
    for logits in head(net(values).mean((2, 3))):
        powers = [logit.exp() for logit in logits]
        shares = [power / sum(powers) for power in powers]
        found.append(-torch.stack([share * share.log() for share in shares]).sum())
    return found


def longhand_step(net: nn.Sequential, head: nn.Module, values: Tensor, rate: float, radius: float) -> list[Tensor]:
    """Scale and shift of both layers after the two steps of SAR."""
    weights = [net.get_parameter(name) for name in MOVING]
    margin = 0.4 * math.log(CLASSES)
    first = entropies(net, head, values)
    reliable = [row for row, entropy in enumerate(first) if entropy < margin]
    assert 0 < len(reliable) < len(values)
    gradients = torch.autograd.grad(torch.stack([first[row] for row in reliable]).sum() / len(reliable), weights)
    length = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
    before = [weight.detach().clone() for weight in weights]
    with torch.no_grad():
        for weight, gradient in zip(weights, gradients):
            weight += radius * gradient / length
    second = entropies(net, head, values)
    still = [row for row in reliable if second[row] < margin]
    gradients = torch.autograd.grad(torch.stack([second[row] for row in still]).sum() / len(still), weights)
    return [weight - rate * gradient for weight, gradient in zip(before, gradients)]


@pytest.mark.parametrize("radius", [0.05, 0.0])
def test_a_step_of_tent_is_that_of_the_papers(radius: float) -> None:
    values = pictures(12)
    net, reference = network("group"), network("group")
    model, head = subject(net)
    with torch.no_grad():
        plain = reference(values).mean((2, 3))
    expected = longhand_step(reference, head, values, 0.1, radius)
    adaptation = Tent(rate=0.1, radius=radius, reset_below=0, diverse=0).begin(model)
    found = adaptation.features(batch(values))
    torch.testing.assert_close(found.pooled, plain)  # a batch is predicted before the step
    moved = [net.get_parameter(name) for name in MOVING]
    torch.testing.assert_close([weight.detach() for weight in moved], expected, rtol=1e-6, atol=1e-9)
    others = [net.get_parameter("0.weight"), net.get_parameter("3.weight"), head.weight]
    torch.testing.assert_close(
        others, [*map(reference.get_parameter, ("0.weight", "3.weight")), subject(network())[1].weight]
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"rate": 0.5, "reset_below": 3.0, "diverse": 0}, "entropy came close to 0"),
        ({"rate": 1.0, "reset_below": 0, "diverse": 0.99, "reliable": 1.0, "radius": 0}, "collapsed to few classes"),
    ],
)
def test_guards_take_the_saved_weights_again(settings: dict[str, Any], why: str) -> None:
    net = network("group")
    model, _ = subject(net)
    saved = [tensor.clone() for tensor in net.state_dict().values()]
    adaptation, notes = Tent(**settings).begin(model), ""
    for seed in range(8):
        if "reset" not in notes:
            adaptation.features(batch(pictures(12, seed)))
            notes = " ".join(adaptation.notes())
    assert why in notes and "reset 1 time as" in notes
    torch.testing.assert_close([*net.state_dict().values()], saved)


def test_the_last_stages_rest() -> None:
    net = network("group")
    adaptation = Tent(rate=0.1, resting=0.5, reset_below=0, diverse=0).begin(subject(net)[0])
    adaptation.features(batch(pictures(12)))
    assert not torch.equal(net.get_parameter("1.weight"), network("group").get_parameter("1.weight"))
    assert torch.equal(net.get_parameter("4.weight"), network("group").get_parameter("4.weight"))
