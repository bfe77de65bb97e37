from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fake_runners import Behaviour, install, only, runner, times
from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun, Execute
from headstart.engine.frozen import execution
from headstart.engine.frozen.execution import Differs, described, difference, plain_runner, runner_of, started
from headstart.engine.frozen.feature_spec import FeatureSpec, FrozenSegment
from headstart.kernel.errors import SettingsError
from headstart.runners.compiled import Compiled
from headstart.runners.eager import Eager
from headstart.runners.openvino import OpenVino
from tiny_backbones import TinyTable, TinyTexts

CPU = torch.device("cpu")
TEXTS = ["a b c d e f", "a b c d", "a b c", "a b", "b", "c"]


@pytest.fixture
def plain() -> Behaviour:
    return Behaviour(plain=True)


@pytest.fixture
def fake(plain: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Behaviour:
    """The one runner beside plain PyTorch."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    behaviour = Behaviour()
    install(monkeypatch, {"fake": runner(behaviour), "plain": runner(plain)})
    return behaviour


def start(key: str = "a key", texts: list[str] = TEXTS, keep: Any = "tokens", **settings: float) -> Execute:
    """The fake runner on a small model of texts."""
    backbone = TinyTexts("tiny_texts")
    fake = execution.registry.plugin("runners", "fake")(**settings)
    return started(fake, FrozenSegment(backbone, FeatureSpec(keep)), backbone.prepare(texts), CPU, key)


def test_one_that_is_right_is_compared_once_on_two_sizes(fake: Behaviour, plain: Behaviour) -> None:
    for _ in range(3):
        execute = start()
    assert len(fake.started) == 3
    assert fake.ran == plain.ran == [6, 2]
    backbone = TinyTexts("tiny_texts")
    expected = backbone.features(backbone.segment(0, 3)(backbone.prepare(TEXTS))).pooled
    torch.testing.assert_close(execute(backbone.prepare(TEXTS)).hidden, expected)


@pytest.mark.parametrize("texts, sizes", [(["a b"], [1, 2]), (["a b", "a"], [2, 1]), (TEXTS[:5], [5, 1])])
def test_the_two_sizes_differ_whatever_the_batch(fake: Behaviour, texts: list[str], sizes: list[int]) -> None:
    start(texts=texts)
    assert fake.ran == sizes


@pytest.mark.parametrize("change", ["key", "settings", "version", "machine"])
def test_what_may_change_the_results_is_compared_again(
    change: str, fake: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    if change in ("version", "machine"):
        what = "versions" if change == "version" else "machine"
        monkeypatch.setattr(execution, what, lambda: {"torch": "99", "processor": "another"})
    start(key="other weights" if change == "key" else "a key", times=1.001 if change == "settings" else 1.0)
    assert fake.ran == [6, 2, 6, 2]


def test_one_percent_is_the_limit(fake: Behaviour) -> None:
    start(times=1.0099)
    with pytest.raises(Differs, match=r"differ from plain PyTorch's by 1\.01 %, more than 1 %$"):
        start(times=1.0101)


def test_a_refusal_is_remembered(fake: Behaviour) -> None:
    for _ in range(2):
        with pytest.raises(Differs, match=r"by 50\.00 %"):
            start(times=1.5)
    assert len(fake.started) == 1
    start(times=1.0)


def test_every_kind_of_feature_counts(fake: Behaviour) -> None:
    fake.spoil = only("context.tokens", lambda tokens: tokens * 1.1)
    with pytest.raises(Differs, match=r"10\.00 %"):
        start()
    start(keep="pooled", key="without tokens")


def test_a_fault_in_another_size_of_batch_counts(fake: Behaviour) -> None:
    fake.spoil = lambda state: state if len(state.hidden) == 6 else only("hidden", lambda value: value * 2)(state)
    with pytest.raises(Differs):
        start()


@pytest.mark.parametrize("name", ["hidden", "context.tokens"])
def test_not_a_number_is_refused_wherever_it_is(name: str, fake: Behaviour) -> None:
    fake.spoil = only(name, lambda value: value * float("nan"))
    with pytest.raises(Differs, match="NaN or have another shape"):
        start()


def test_another_shape_is_refused(fake: Behaviour) -> None:
    fake.spoil = only("hidden", lambda value: value[:, :1])
    with pytest.raises(Differs, match="NaN or have another shape"):
        start()


def test_what_lies_in_the_padding_does_not_count(fake: Behaviour) -> None:
    def spoil(state: State) -> State:
        return only("context.tokens", lambda tokens: tokens + 9 * (state.context["attention_mask"][..., None] == 0))(
            state
        )

    fake.spoil = spoil
    start()


def test_whole_numbers_must_be_equal() -> None:
    segment = FrozenSegment(TinyTable("tiny_table"), FeatureSpec())
    numbers = torch.arange(6).reshape(2, 3)
    assert difference(State(numbers), State(numbers), segment) == 0
    assert difference(State(numbers + 1), State(numbers), segment) == float("inf")


def test_one_that_fails_on_a_batch_cannot_run_and_may_try_again(fake: Behaviour) -> None:
    def fail(state: State) -> State:
        if len(state.hidden) == 6:
            return state
        raise RuntimeError("no kernel for this\nand much more")

    fake.spoil = fail
    with pytest.raises(CannotRun, match=r"^it fails on a batch of shape \(2, 1\): no kernel for this$"):
        start()
    fake.spoil = lambda state: state
    start()


def test_plain_pytorch_is_compared_with_nothing(fake: Behaviour, plain: Behaviour) -> None:
    backbone = TinyTexts("tiny_texts")
    started(plain_runner(), FrozenSegment(backbone, FeatureSpec()), backbone.prepare(TEXTS), CPU, "a key")
    assert (len(plain.started), plain.ran, fake.started) == (1, [], [])


def test_a_runner_comes_back_from_its_description() -> None:
    for kind in (Eager(), OpenVino(computes_in="bfloat16"), Compiled(half=False)):
        found = described(kind)
        assert runner_of({"runner": found["plugin"], "runner_settings": found["settings"]}) == kind


def test_models_of_before_runners_had_settings_are_read() -> None:
    assert runner_of({"runner": "eager", "precision": "float32"}) == Eager()


def test_a_runner_that_is_not_here_is_named() -> None:
    with pytest.raises(SettingsError, match="'tensorrt' is not known"):
        runner_of({"runner": "tensorrt", "runner_settings": {}})
    with pytest.raises(SettingsError, match=r"runner\.speed is not a setting"):
        runner_of({"runner": "eager", "runner_settings": {"speed": 2}})


def test_plain_pytorch_is_among_the_runners() -> None:
    assert plain_runner() == Eager()


def off(share: float) -> Callable[[State], State]:
    """Results that are off by this share of their norm."""
    return lambda state: times(state, 1 + share)


@pytest.mark.parametrize(
    ("error", "autocast", "strict", "by_use"),
    [
        (0.009, 0.0, "", ""),
        (0.059, 0.04, "5.90 %, more than 1 %", ""),
        (0.061, 0.04, "6.10 %, more than 1 %", "6.10 %, more than 1.5 times the "),
        (0.02, 0.001, "2.00 %, more than 1 %", "2.00 %, more than 1.5 times the "),
    ],
)
def test_features_for_probes_may_be_as_far_off_as_one_and_a_half_times_autocast(
    error: float, autocast: float, strict: str, by_use: str, fake: Behaviour, plain: Behaviour
) -> None:
    fake.spoil = off(error)
    plain.spoil = lambda state: off(autocast * torch.is_autocast_enabled("cpu"))(state)
    backbone = TinyTexts("tiny_texts")
    state, segment = backbone.prepare(TEXTS), FrozenSegment(backbone, FeatureSpec())
    with torch.no_grad():
        expected = segment(state).hidden.numpy()
    ours, theirs = (off(share)(State(torch.from_numpy(expected))).hidden.numpy() for share in (error, autocast))
    far, usual = (float(np.sqrt(((one - expected) ** 2).sum() / (expected**2).sum())) for one in (ours, theirs))
    assert (far > 0.01, far > max(0.01, 1.5 * usual)) == (bool(strict), bool(by_use)), "by hand"
    runner = execution.registry.plugin("runners", "fake")()
    for use, reason in ((False, strict), (True, by_use)):
        with pytest.raises(Differs) if reason else nullcontext() as fault:
            started(runner, segment, state, CPU, "a key", by_use=use)
        assert not reason or str(fault.value).startswith(f"its features differ from plain PyTorch's by {reason}")


def test_each_kind_of_feature_is_held_against_the_same_kind_of_autocast(fake: Behaviour, plain: Behaviour) -> None:
    plain.spoil = lambda state: (
        only("hidden", lambda value: value * 1.5)(state) if torch.is_autocast_enabled("cpu") else state
    )
    fake.spoil = only("context.tokens", lambda value: value * 1.5)
    backbone = TinyTexts("tiny_texts")
    with pytest.raises(Differs, match=r"more than 1\.5 times the 0\.\d\d % of PyTorch"):
        segment, runner = FrozenSegment(backbone, FeatureSpec("tokens")), execution.registry.plugin("runners", "fake")()
        started(runner, segment, backbone.prepare(TEXTS), CPU, "a key", by_use=True)
