from __future__ import annotations

from functools import cache

import pytest
import timm
import torch
from torch import Tensor, nn

from headstart.backbones._fx_cut import Cut, Whole, propose
from headstart.backbones._fx_segment import Layout
from headstart.backbones._fx_trace import trace
from headstart.contracts.carriers import State, Tap
from headstart.kernel.errors import BackboneError

pytestmark = pytest.mark.slow

BLOCKS = tuple(f"blocks.{i}" for i in range(12))
INCEPTION = "1a_3x3 2a_3x3 2b_3x3 3b_1x1 4a_3x3".split()
MIXED = "5b 5c 5d 6a 6b 6c 6d 6e 7a 7b 7c".split()

STAGES = {
    "resnet18": ("stem", "layer1", "layer2", "layer3", "layer4"),
    "vgg11_bn": ("features.0", "features.4", "features.8-11", "features.15-18", "features.22-25"),
    "inception_v3": ("stem", *(f"Conv2d_{n}" for n in INCEPTION[1:]), *(f"Mixed_{n}" for n in MIXED)),
    "mobilenetv2_100": ("stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3-4", "blocks.5-6", "conv_head"),
    "mobilenetv3_small_050": ("stem", "blocks.0", "blocks.1", "blocks.2-3", "blocks.4-5"),
    "efficientnet_b0": ("stem", "blocks.0", "blocks.1", "blocks.2", "blocks.3-4", "blocks.5-6", "conv_head"),
    "convnext_atto": ("stem", "stages.0", "stages.1", "stages.2", "stages.3"),
    "vit_tiny_patch16_224": ("stem", *BLOCKS),
    "swin_tiny_patch4_window7_224": ("stem", "layers.0", "layers.1", "layers.2", "layers.3"),
    "densenet121": (
        "features.conv0",
        "features.denseblock1-transition1",
        "features.denseblock2-transition2",
        "features.denseblock3-transition3",
        "features.denseblock4",
    ),
}
SIZED = {"vit_tiny_patch16_224": 64, "swin_tiny_patch4_window7_224": 112}


@cache
def images(side: int) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


@cache
def model_of(name: str) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        size = {"img_size": SIZED[name]} if name in SIZED else {}
        return timm.create_model(name, num_classes=0, **size).eval()


def layout_of(model: nn.Module) -> Layout:
    return Layout(getattr(model, "output_fmt", "NCHW") == "NHWC", getattr(model, "num_prefix_tokens", 0))


@cache
def cut_of(name: str) -> tuple[nn.Module, Cut, Tensor]:
    model, example = model_of(name), images(SIZED.get(name, 96))
    recorded = trace(model, example)
    assert recorded is not None
    return model, propose(recorded, layout_of(model)), example


@pytest.mark.parametrize("name", STAGES)
def test_stages_have_the_expected_names(name: str) -> None:
    _, cut, _ = cut_of(name)
    assert tuple(stage.name for stage in cut.stages) == STAGES[name]


@pytest.mark.parametrize("name", STAGES)
@torch.no_grad()
def test_every_boundary_is_bit_equal_and_leaves_its_input_alone(name: str) -> None:
    model, cut, example = cut_of(name)
    whole = model.forward_features(example.clone())
    end = len(cut.stages)
    assert end - 1 >= 4
    for k in range(1, end):
        given = State(example.clone())
        middle = cut.segment(0, k, ())(given)
        assert torch.equal(given.hidden, example)
        kept = middle.hidden.clone()
        assert torch.equal(cut.segment(k, end, ())(middle).hidden, whole), cut.stages[k].name
        assert torch.equal(middle.hidden, kept), cut.stages[k].name


@pytest.mark.parametrize("name", STAGES)
def test_every_weight_and_module_belongs_to_exactly_one_stage(name: str) -> None:
    model, cut, _ = cut_of(name)
    parameters = [name for stage in cut.stages for name in stage.parameters]
    buffers = [name for stage in cut.stages for name in stage.buffers]
    assert sorted(parameters) == sorted(name for name, _ in model.named_parameters())
    assert sorted(buffers) == sorted(name for name, _ in model.named_buffers())
    covered = [id(inner) for stage in cut.stages for m in stage.modules for inner in model.get_submodule(m).modules()]
    assert len(covered) == len(set(covered))
    leaves = {id(module) for module in model.modules() if not list(module.children())}
    assert leaves <= set(covered)


def test_weights_fall_to_the_stage_that_uses_them() -> None:
    _, vit, _ = cut_of("vit_tiny_patch16_224")
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight"} <= set(vit.stages[0].parameters)
    assert {"norm.weight", "blocks.11.attn.qkv.weight"} <= set(vit.stages[-1].parameters)
    _, vgg, _ = cut_of("vgg11_bn")
    assert "pre_logits.fc1.weight" in vgg.stages[-1].parameters
    _, mobile, _ = cut_of("mobilenetv3_small_050")
    assert "conv_head.weight" in mobile.stages[-1].parameters
    _, resnet, _ = cut_of("resnet18")
    assert "bn1.running_mean" in resnet.stages[0].buffers
    assert {"conv1", "bn1", "act1", "maxpool"} <= set(resnet.stages[0].modules)


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_gradients_reach_the_segment_and_nothing_else(name: str) -> None:
    model, cut, example = cut_of(name)
    model.zero_grad()
    last = len(cut.stages) - 1
    with torch.no_grad():
        middle = cut.segment(0, last, ())(State(example))
    cut.segment(last, last + 1, ())(middle).hidden.square().mean().backward()
    moved = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert moved == set(cut.stages[last].parameters)
    model.zero_grad()


def test_train_mode_of_the_model_is_that_of_its_segments() -> None:
    model = timm.create_model("resnet10t", num_classes=0).eval()
    recorded = trace(model, images(96))
    assert recorded is not None
    cut = propose(recorded, Layout(False, 0))
    segment = cut.segment(1, 2, ())
    with torch.no_grad():
        middle = cut.segment(0, 1, ())(State(images(96)))
        before = model.layer1[0].bn1.running_mean.clone()
        segment(middle)
        assert torch.equal(model.layer1[0].bn1.running_mean, before)
        segment.train()
        assert model.layer1[0].training and not model.layer2[0].training
        segment(middle)
    assert not torch.equal(model.layer1[0].bn1.running_mean, before)


def test_hooks_and_new_weights_of_the_model_act_in_a_segment() -> None:
    model = timm.create_model("resnet10t", num_classes=0).eval()
    recorded = trace(model, images(96))
    assert recorded is not None
    segment = propose(recorded, Layout(False, 0)).segment(0, 2, ())
    seen: list[nn.Module] = []
    hook = model.layer1[0].conv1.register_forward_hook(lambda module, *_: seen.append(module))
    with torch.no_grad():
        before = segment(State(images(96))).hidden
        model.conv1[0].weight.mul_(2)
        assert not torch.equal(segment(State(images(96))).hidden, before)
    hook.remove()
    assert seen == [model.layer1[0].conv1] * 2


@torch.no_grad()
def test_taps_are_what_forward_hooks_see() -> None:
    model, cut, example = cut_of("resnet18")
    seen: dict[str, Tensor] = {}
    hooks = [
        getattr(model, name).register_forward_hook(lambda _, __, output, name=name: seen.update({name: output.clone()}))
        for name in ("layer1", "layer3", "layer4")
    ]
    model(example)
    for hook in hooks:
        hook.remove()
    taps = (Tap("layer1", "map"), Tap("layer3"), Tap("layer4"), Tap("layer4", "map"))
    state = cut.segment(0, 5, taps)(State(example))
    assert list(state.taps) == ["layer1.map", "layer3.pooled", "layer4.pooled", "layer4.map"]
    assert torch.equal(state.taps["layer1.map"], seen["layer1"])
    assert torch.equal(state.taps["layer3.pooled"], seen["layer3"].mean((2, 3)))
    assert torch.equal(state.taps["layer4.map"], state.hidden)
    assert torch.equal(state.taps["layer4.pooled"], seen["layer4"].mean((2, 3)))


@torch.no_grad()
def test_pooled_taps_of_a_vit_leave_the_class_token_out() -> None:
    model, cut, example = cut_of("vit_tiny_patch16_224")
    seen: list[Tensor] = []
    hook = model.blocks[3].register_forward_hook(lambda _, __, output: seen.append(output))
    model(example)
    hook.remove()
    state = cut.segment(2, 7, (Tap("blocks.3"),))(cut.segment(0, 2, ())(State(example)))
    assert torch.equal(state.taps["blocks.3.pooled"], seen[0][:, 1:].mean(1))


@torch.no_grad()
def test_pooled_taps_of_a_swin_average_over_space() -> None:
    model, cut, example = cut_of("swin_tiny_patch4_window7_224")
    seen: list[Tensor] = []
    hook = model.layers[1].register_forward_hook(lambda _, __, output: seen.append(output))
    model(example)
    hook.remove()
    tapped = cut.segment(0, 5, (Tap("layers.1"),))(State(example)).taps["layers.1.pooled"]
    assert tapped.shape == (2, 192)
    torch.testing.assert_close(tapped, seen[0].mean((1, 2)))


@pytest.mark.parametrize("boundary", ["input", "layer1", "layer9"])
def test_a_tap_outside_of_the_segment_is_an_error(boundary: str) -> None:
    _, cut, _ = cut_of("resnet18")
    with pytest.raises(BackboneError, match=f"'{boundary}' cannot be tapped.*layer2, layer3"):
        cut.segment(2, 4, (Tap(boundary),))


def test_a_dropped_boundary_joins_its_stages() -> None:
    model, cut, example = cut_of("resnet18")
    fewer = cut.without([2, 3])
    assert [stage.name for stage in fewer.stages] == ["stem", "layer1-layer3", "layer4"]
    assert len(fewer.stages[1].parameters) == sum(len(cut.stages[k].parameters) for k in (1, 2, 3))
    with torch.no_grad():
        middle = fewer.segment(0, 2, (Tap("layer1-layer3"),))(State(example))
        assert torch.equal(fewer.segment(2, 3, ())(middle).hidden, model.forward_features(example))


def test_a_model_that_does_not_trace_is_whole_or_nothing() -> None:
    model = timm.create_model("test_vit", num_classes=0, img_size=64, dynamic_img_size=True).eval()
    assert trace(model, images(64)) is None
    whole = Whole(model, "forward_features", layout_of(model))
    assert [stage.name for stage in whole.stages] == ["whole"]
    assert sorted(whole.stages[0].parameters) == sorted(name for name, _ in model.named_parameters())
    with torch.no_grad():
        state = whole.segment(0, 1, (Tap("whole"),))(State(images(64)))
        assert torch.equal(state.hidden, model.forward_features(images(64)))
        assert torch.equal(state.taps["whole.pooled"], state.hidden[:, 1:].mean(1))
        assert torch.equal(whole.segment(1, 1, ())(state).hidden, state.hidden)
