from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fake_runners import Behaviour, Clock, install, runner, times
from headstart.engine.frozen import choose_runner as module
from headstart.engine.frozen.choose_runner import FEWEST, MARGIN, MEMO, WORTH, choose_runner
from headstart.engine.frozen.disk_cache import DiskCache
from headstart.engine.frozen.feature_spec import FeatureSpec
from headstart.engine.frozen.runner_choice import NUMBERS, RUNNERS, Choice
from headstart.kernel import registry
from headstart.runners.eager import Eager
from tiny_backbones import TinyTable, TinyTexts, keys_of, table_examples, text_examples

CPU = torch.device("cpu")
Offer = Callable[..., None]


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Let these be the runners beside plain PyTorch, which takes a second for each input."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    clock = Clock()

    def known(**behaviours: Behaviour) -> None:
        everyone = {"plain": Behaviour(plain=True), **behaviours}
        install(monkeypatch, {name: runner(behaviour, clock) for name, behaviour in everyone.items()}, clock)

    return known


def choose(inputs: int = 400, seed: int = 0, backbone: TinyTable | None = None, work: Path | None = None) -> Choice:
    values = np.random.default_rng(0).standard_normal((inputs, 4))
    backbone = backbone or TinyTable("tiny_table", seed)
    spec = FeatureSpec.all_stages(backbone)
    return choose_runner(backbone, table_examples(values), keys_of(values), spec, CPU, work)


def name_of(choice: Choice) -> str:
    runner: Any = choice.runner
    return registry.name_of(runner)


def test_the_fastest_is_taken_and_says_why(offer: Offer) -> None:
    offer(good=Behaviour(0.5), better=Behaviour(0.25), worse=Behaviour(2.0))
    choice = choose()
    assert name_of(choice) == "better"
    assert choice.reason == "4.0 times as fast as plain PyTorch on 12 of the inputs"
    assert choice.most_inputs == math.inf


def test_where_nothing_is_faster_plain_pytorch_stays(offer: Offer) -> None:
    offer(worse=Behaviour(2.0), same=Behaviour(1.0))
    choice = choose()
    assert name_of(choice) == "plain"
    assert choice.reason == "the pass takes about 400 s in plain PyTorch, and nothing tried was faster"


def test_inputs_that_take_no_time_are_measured_as_a_whole_batch(offer: Offer) -> None:
    plain, fast = Behaviour(0.01, plain=True), Behaviour(0.001)
    offer(plain=plain, fast=fast)
    choice = choose(1000)
    assert name_of(choice) == "fast" and choice.seconds_each == pytest.approx(0.001)
    assert choice.reason == "10.0 times as fast as plain PyTorch on 31 of the inputs"
    offer(plain=plain, fast=fast)
    few = choose(100, seed=1)
    assert few.reason == "10.0 times as fast as plain PyTorch on 8 of the inputs"
    assert 16 in fast.ran and 24 not in fast.ran, "so many as take no longer than a measurement"


def test_the_fastest_variant_that_is_right_is_taken_and_others_are_named_in_one_line(offer: Offer) -> None:
    several = Behaviour(0.5, settings=({"times": 2.0}, {"times": 1.0}, {"times": 1.001}))
    offer(lacking=Behaviour(0.1, refusal="there is no compiler"), several=several)
    choice = choose()
    assert (name_of(choice), choice.runner) == ("several", several_of(1.0))
    assert choice.reason == (
        "2.0 times as fast as plain PyTorch on 12 of the inputs; lacking in float32: there is no compiler; several in "
        "float32: its features differ from plain PyTorch's by 100.00 %, more than 1 %"
    )


def test_the_numbers_of_threads_of_what_is_right_are_measured_where_the_pass_is_long(offer: Offer) -> None:
    threads: dict[str, Any] = {"settings": ({"threads": 1}, {"threads": 0}, {"threads": 9})}
    plain, other = Behaviour(0.4, plain=True, wait=0.05, **threads), Behaviour(0.1, wait=2, **threads)
    offer(plain=plain, other=other)
    assert choose(2, seed=1).runner == registry.plugin("runners", "plain")(threads=1)
    assert plain.ran.count(2) == 2, "once unmeasured, once measured, with one thread alone"
    many = choose(400)
    assert many.runner == registry.plugin("runners", "other")(threads=0)
    assert many.seconds_each == pytest.approx(0.1)
    assert other.ran[-3:] == [12, 4, 12], "what is right and very slow from the first is measured no further"


def test_a_precision_that_is_much_too_coarse_for_one_is_not_tried_in_another(offer: Offer) -> None:
    half: dict[str, Any] = {"precision": "bfloat16", "spoil": lambda state: times(state, 1.05)}
    first, second, full = Behaviour(0.5, setup=1, **half), Behaviour(0.2, setup=2, **half), Behaviour(0.25, setup=3)
    offer(first=first, second=second, full=full)
    choice = choose()
    assert name_of(choice) == "full" and first.started and not second.started
    assert "first in bfloat16: its features differ from plain PyTorch's by 5.00 %" in choice.reason


def test_a_precision_that_is_a_little_too_coarse_for_one_may_do_in_another(offer: Offer) -> None:
    half: dict[str, Any] = {"precision": "bfloat16"}
    first = Behaviour(0.5, setup=1, spoil=lambda state: times(state, 1.02), **half)
    second = Behaviour(0.2, setup=2, **half)
    offer(first=first, second=second)
    assert name_of(choose()) == "second"


def test_plain_pytorch_sees_the_inputs_once_for_all_that_are_held_against_it(offer: Offer) -> None:
    plain = Behaviour(plain=True)
    offer(plain=plain, good=Behaviour(0.5), better=Behaviour(0.25))
    assert name_of(choose()) == "better"
    assert plain.ran == [12, 12, 4], "unmeasured, measured, and in another size for both"


def several_of(number: float) -> Any:
    return registry.plugin("runners", "several")(times=number)


def test_what_takes_long_to_set_up_is_left_out_until_there_is_enough_to_run(offer: Offer) -> None:
    slow = Behaviour(0.1, setup=WORTH * 400 * 0.5 + 1)
    offer(slow=slow, quick=Behaviour(0.5))
    choice = choose(400)
    assert name_of(choice) == "quick"
    assert not slow.started
    assert choice.most_inputs == pytest.approx(slow.setup / (WORTH * 0.5))
    assert name_of(choose(401)) == "quick"
    assert not slow.started
    more = choose(int(choice.most_inputs) + 1)
    assert (name_of(more), more.most_inputs) == ("slow", math.inf)
    assert [name_of(choose(n)) for n in (400, 10)] == ["quick"] * 2, "the same pass keeps its runner"


def test_what_is_set_up_soonest_is_tried_first(offer: Offer) -> None:
    quick, slow = Behaviour(0.1, setup=1), Behaviour(0.05, setup=30)
    offer(a_slow=slow, z_quick=quick)
    assert name_of(choose(400)) == "z_quick"
    assert not slow.started, "beside the quick one it is no longer worth it"


def test_a_choice_is_remembered(offer: Offer) -> None:
    fast = Behaviour(0.25)
    offer(fast=fast)
    first = choose()
    again = choose()
    assert (again.reason, again.runner) == (first.reason, first.runner)
    assert len(fast.started) == 1


@pytest.mark.parametrize("change", ["weights", "machine"])
def test_other_weights_and_other_machines_are_measured_anew(
    change: str, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = Behaviour(0.25)
    offer(fast=fast)
    choose()
    if change == "machine":
        monkeypatch.setattr(module, "here", lambda device: {"machine": "another"})
    choose(seed=int(change == "weights"))
    assert len(fast.started) == 2


class Forgetful(DiskCache):
    """Keeps something else than it is given."""

    kept = b""

    def put(self, values: Mapping[bytes, bytes]) -> None:
        super().put(dict.fromkeys(values, self.kept))


@pytest.mark.slow
@pytest.mark.parametrize(
    "kept",
    [
        b"damaged",
        b"[" * 100_000,
        b"7",
        json.dumps([7, None, {"settings": {}}]).encode(),
        *(
            json.dumps([{**document, **change}]).encode()
            for document in [{"plugin": "slow", "settings": {}, "reason": "", **dict.fromkeys(NUMBERS, 1e9)}]
            for change in (
                {"plugin": "gone"},
                {"settings": {"gone": 1}},
                {"settings": {"times": 2.0}},
                {"settings": [1]},
                {"most_inputs": "many"},
                {"most_inputs": None},
                {"plugin": ["slow"]},
            )
        ),
        json.dumps([{"plugin": "slow", "settings": {}}]).encode(),
    ],
)
def test_a_choice_of_another_version_counts_for_nothing(
    kept: bytes, offer: Offer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = Behaviour(0.25)
    offer(fast=fast, slow=Behaviour(2.0))
    with monkeypatch.context() as patch:
        patch.setattr(module, "DiskCache", Forgetful)
        patch.setattr(Forgetful, "kept", kept)
        choose()
    assert name_of(choose()) == "fast"
    assert len(fast.started) == 2


def test_what_is_faster_by_less_than_the_margin_changes_nothing(offer: Offer) -> None:
    offer(quick=Behaviour(0.5), as_quick=Behaviour(0.5 / MARGIN + 0.01, setup=1), little=Behaviour(1 / MARGIN + 0.01))
    assert name_of(choose()) == "quick"
    offer(little=Behaviour(1 / MARGIN + 0.01))
    assert name_of(choose(seed=1)) == "plain"


def test_for_more_inputs_the_choice_changes_only_by_the_margin(offer: Offer) -> None:
    slow = Behaviour(0.49, setup=WORTH * 400 * 0.5 + 1)
    offer(slow=slow, quick=Behaviour(0.5, setup=50))
    most = choose(400).most_inputs
    assert name_of(choose(int(most) + 1)) == "quick" and slow.started


def test_a_run_goes_on_with_its_own_choice_whatever_the_machine_measures_today(offer: Offer, tmp_path: Path) -> None:
    work = tmp_path / "work"
    offer(fast=Behaviour(0.25))
    first = choose(work=work)
    first.keep(work)
    DiskCache(MEMO).path.unlink()
    offer(fast=Behaviour(4.0))
    assert choose(work=work).document() == first.document()
    assert name_of(choose()) == "plain"
    offer()
    assert name_of(choose(work=work)) == "plain", "what this machine does not have"
    (work / RUNNERS).write_bytes(b"[[[")
    assert name_of(choose(work=work)) == "plain"


def test_who_comes_while_another_measures_waits_and_takes_its_choice(offer: Offer) -> None:
    fast = Behaviour(0.25)
    offer(fast=fast)
    found: list[str] = []
    backbone = TinyTable("tiny_table")
    threads = [threading.Thread(target=lambda: found.append(name_of(choose(backbone=backbone)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == ["fast"] * 3
    assert len(fast.started) == 1


def test_a_known_choice_waits_for_nobody(offer: Offer) -> None:
    offer(fast=Behaviour(0.25))
    backbone = TinyTable("tiny_table")
    choose(backbone=backbone)
    with module.work_lock(MEMO):
        thread = threading.Thread(target=lambda: choose(backbone=backbone), daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("inputs, measured", [(3, 3), (100, FEWEST), (640, 20), (3000, 32)])
def test_few_inputs_are_measured_with_few(inputs: int, measured: int, offer: Offer) -> None:
    fast = Behaviour(0.25)
    offer(fast=fast)
    choose(inputs)
    assert [len(state.hidden) for state in fast.started] == [measured]


def test_texts_of_usual_length_are_measured_with(offer: Offer) -> None:
    fast = Behaviour(0.25)
    offer(fast=fast)
    texts = [" ".join(["word"] * (40 if k % 4 == 0 else 1 if k % 4 == 1 else 5)) + f" {k}" for k in range(200)]
    backbone = TinyTexts("tiny_texts")
    choose_runner(backbone, text_examples(texts), keys_of(texts), FeatureSpec(), CPU)
    assert fast.started[0].hidden.shape == (FEWEST, 6)


def test_a_choice_holds_for_inputs_of_about_the_same_length_and_tells_the_speed_of_no_other_data(offer: Offer) -> None:
    fast, backbone = Behaviour(0.25), TinyTexts("tiny_texts")
    offer(fast=fast)

    def reason_for(*words: int) -> str:
        texts = [" ".join(["word"] * words[k % len(words)]) + f" {k}" for k in range(200)]
        return choose_runner(backbone, text_examples(texts), keys_of(texts), FeatureSpec(), CPU).reason

    first = reason_for(5)
    assert first == reason_for(5) == "4.0 times as fast as plain PyTorch on 8 of the inputs"
    assert reason_for(6, 5, 5) == "the fastest on other inputs of about this length, by an earlier measurement"
    assert len(fast.started) == 1
    assert reason_for(40) == first and len(fast.started) == 2


def test_inputs_that_cannot_be_read_are_left_out(offer: Offer) -> None:
    fast = Behaviour(0.25)
    offer(fast=fast)
    texts = [*(f"text {k}" for k in range(40)), *[""] * 40]
    keys = [*keys_of(texts[:40]), *[None] * 40]
    backbone = TinyTexts("tiny_texts")
    assert name_of(choose_runner(backbone, text_examples(texts), keys, FeatureSpec(), CPU)) == "fast"
    assert len(fast.started[0].hidden) == FEWEST


@pytest.mark.parametrize("keys", [[None] * 5, keys_of([f"{k}" for k in range(5)]), []])
def test_with_nothing_to_measure_plain_pytorch_is_taken_for_now(keys: list[Any], offer: Offer) -> None:
    offer(fast=Behaviour(0.25))
    backbone = TinyTexts("tiny_texts")
    for _ in range(2):
        choice = choose_runner(backbone, text_examples([""] * len(keys)), keys, FeatureSpec(), CPU)
        assert name_of(choice) == "plain"
        assert choice.reason == "no input could be read to measure others with"
    texts = [f"text {k}" for k in range(40)]
    assert name_of(choose_runner(backbone, text_examples(texts), keys_of(texts), FeatureSpec(), CPU)) == "fast"


def test_with_the_real_runners_one_is_chosen_and_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    values = np.random.default_rng(0).standard_normal((30, 4))
    choice = choose_runner(TinyTable("tiny_table"), table_examples(values), keys_of(values), FeatureSpec(), CPU)
    assert choice.runner == Eager(), "there is too little to run to set another one up"
    assert choice.most_inputs > 30
