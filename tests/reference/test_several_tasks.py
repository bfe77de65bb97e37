"""Losses of several tasks: their sum where labels lack, weighed by noise, and PCGrad beside another implementation."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import nn

from head_shapes import SHAPES
from headstart.contracts.examples import SEVERAL, Examples, LabelRoles, Schema
from headstart.contracts.features import Features
from headstart.objectives.pcgrad import PCGrad
from headstart.objectives.uncertainty import NOISE, LogNoise, Uncertainty
from headstart.tasks.joint.task import Joint
from several_labels import several_labels

BOTH = "about, size"


def test_the_loss_of_each_task_is_a_mean_over_the_examples_with_its_label() -> None:
    examples = several_labels()
    task = Joint(weights={"size": 2.5}).bind(examples, SHAPES)
    targets = {name: torch.from_numpy(values) for name, values in task.targets(examples).items()}
    torch.manual_seed(0)
    head, pooled = task.head(SHAPES).double(), torch.randn(80, SHAPES.width, dtype=torch.float64)
    found = task.losses(task.forward(head, Features(pooled), {}), targets)
    known = np.array([k % 3 != 0 for k in range(80)])
    sizes = np.array([size for size in examples.of_label("size").target() if size is not None])
    standard = torch.from_numpy((sizes - sizes.mean()) / sizes.std())
    error = (head[1](pooled[known]).squeeze(1) - standard).square().mean()
    chances = head[0](pooled).log_softmax(dim=1)
    of_class = -chances[range(80), [int(kind == "warm") for kind in examples.of_label("kind").target()]].mean()
    torch.testing.assert_close(found, {"kind": of_class, "size": 2.5 * error}, rtol=1e-6, atol=1e-6)
    parts = [slice(0, 1), slice(1, 31), slice(31, 80)]
    sizes_of_parts = [
        task.losses(task.forward(head, Features(pooled[part]), {}), _cut(targets, part)) for part in parts
    ]
    mean = sum((part.stop - part.start) / 80 * loss["size"] for part, loss in zip(parts, sizes_of_parts))
    torch.testing.assert_close(mean, found["size"], rtol=1e-6, atol=1e-6)


def test_sums_of_tasks_add_up_over_parts_of_a_batch() -> None:
    examples = several_labels()
    task = Joint(options={"kind": {"class_weights": "balanced"}}, weights={"size": 2.5}).bind(examples, SHAPES)
    plain = Joint(weights={"size": 2.5}).bind(examples, SHAPES)
    targets = {name: torch.from_numpy(values) for name, values in task.targets(examples).items()}
    torch.manual_seed(0)
    head, pooled = task.head(SHAPES).double(), torch.randn(80, SHAPES.width, dtype=torch.float64)
    outputs = task.forward(head, Features(pooled), {})
    parts = [slice(0, 1), slice(1, 31), slice(31, 80)]
    each = [task.sums(_cut(outputs, part), _cut(targets, part)) for part in parts]
    total = task.losses_of({name: torch.stack([one[name] for one in each]).sum() for name in each[0]})
    alone = task.tasks["kind"].losses({"logits": outputs["kind.logits"]}, {"label": targets["kind.label"]})
    wanted = {"kind": alone["cross_entropy"], "size": plain.losses(outputs, targets)["size"]}
    torch.testing.assert_close(total, wanted, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(task.losses(outputs, targets), wanted, rtol=1e-6, atol=1e-6)


def test_uncertainty_weighs_losses_by_their_noise() -> None:
    noise = LogNoise(2)
    noise.values.data = torch.tensor([0.3, -1.2])
    base = torch.tensor([1.7, 0.4], requires_grad=True)
    step: Any = SimpleNamespace(
        batches={"source": None},
        features=lambda batch: batch,
        outputs=lambda features, batch: features,
        task_losses=lambda outputs, batch: {"a": base[0] ** 2, "b": base[1]},
        additions=nn.ModuleDict({NOISE: noise}),
    )
    losses = Uncertainty().losses(step)
    s, values = np.array([0.3, -1.2]), np.array([1.7**2, 0.4])
    by_hand = values / (2 * np.exp(s)) + s / 2
    np.testing.assert_allclose([losses["a"].item(), losses["b"].item()], by_hand, rtol=1e-6)
    total = Uncertainty().combine(losses, [])
    assert total is not None
    total.backward()
    assert noise.values.grad is not None and base.grad is not None
    np.testing.assert_allclose(noise.values.grad, 0.5 - values / (2 * np.exp(s)), rtol=1e-6)
    np.testing.assert_allclose(base.grad, [1.7 / np.exp(0.3), 0.5 / np.exp(-1.2)], rtol=1e-6)


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_pcgrad_projects_as_another_implementation_does(tasks: int) -> None:
    aggregation = pytest.importorskip("torchjd.aggregation")
    torch.manual_seed(tasks)
    wanted = torch.randn(tasks, 12)
    wanted[1] -= wanted[0]
    assert (wanted @ wanted.T).min() < 0, "none of the gradients conflict"
    own, first, second = (nn.Parameter(torch.randn(size)) for size in (tasks, 7, 5))
    still = nn.Parameter(torch.randn(3))
    losses = {str(k): wanted[k, :7] @ first + wanted[k, 7:] @ second + own[k] ** 2 for k in range(tasks)}
    alone = nn.Parameter(torch.tensor(2.0))
    losses["0"] = losses["0"] + alone**2
    torch.manual_seed(1)
    assert PCGrad().combine(losses, [first, second, alone, still]) is None
    torch.manual_seed(1)
    theirs = aggregation.PCGrad()(wanted.double())
    assert first.grad is not None and second.grad is not None
    torch.testing.assert_close(torch.cat([first.grad, second.grad]).double(), theirs, rtol=1e-6, atol=1e-6)
    assert alone.grad is not None and alone.grad.item() == 4.0 and still.grad is None


def test_pcgrad_of_two_tasks_by_hand() -> None:
    weight = nn.Parameter(torch.zeros(2))
    one, other = torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 1.0])
    PCGrad().combine({"one": one @ weight, "other": other @ weight}, [weight])
    # one - (-1 / 2) other = (0.5, 0.5); other - (-1 / 1) one = (0, 1)
    torch.testing.assert_close(weight.grad, torch.tensor([0.5, 1.5]))


def _cut(targets: Mapping[str, torch.Tensor], part: slice) -> dict[str, torch.Tensor]:
    return {name: values[part] for name, values in targets.items()}


def test_the_loss_of_a_set_of_labels_is_their_sum() -> None:
    rng = np.random.default_rng(0)
    rows, labels = 40, ["a", "b", "c"]
    sets = [[name for name in labels if rng.random() < 0.5] for _ in range(rows)]
    sizes = rng.normal(size=rows)
    both = pa.array([{"about": chosen, "size": size} for chosen, size in zip(sets, sizes)])
    table = pa.table({"x": rng.normal(size=rows), BOTH: both, "origin": [f"row {k}" for k in range(rows)]})
    each = {"about": LabelRoles(), "size": LabelRoles()}
    schema = Schema(modality="table", inputs=("x",), targets={SEVERAL: BOTH}, each_label=each, origin="origin")
    examples = Examples(table, schema)
    task = Joint(weights={"about": 0.5}).bind(examples, SHAPES)
    targets = {name: torch.from_numpy(values) for name, values in task.targets(examples).items()}
    outputs = task.forward(task.head(SHAPES).double(), Features(torch.randn(rows, SHAPES.width).double()), {})
    chances = outputs["about.logits"].sigmoid()
    truth = torch.tensor([[name in chosen for name in task.tasks["about"].classes] for chosen in sets])
    wanted = -0.5 * torch.where(truth, chances, 1 - chances).log().sum(dim=1).mean()
    torch.testing.assert_close(task.losses(outputs, targets)["about"], wanted, rtol=1e-6, atol=1e-6)
