from __future__ import annotations

import torch

from headstart.contracts.backbone import state_hash
from headstart.engine.training.averaging import Average
from headstart.engine.training.loop import Loop
from small_trainings import changed, small_loop


def test_the_average_follows_its_formula() -> None:
    live = {"weight": torch.tensor([1.0, 2.0]), "count": torch.tensor(0)}
    average, expected = Average(live, decay=0.3), live["weight"].clone()
    for step in range(6):
        live["weight"].add_(step + 1)
        live["count"].add_(1)
        average.update(step)
        d = min(0.3, (1 + step) / (10 + step))
        expected = d * expected + (1 - d) * live["weight"]
        torch.testing.assert_close(average.values["weight"], expected)
    assert average.values["count"] == 6


def test_in_place_it_takes_the_place_of_the_weights_and_gives_it_back_bit_for_bit() -> None:
    live = {"weight": torch.randn(5)}
    average, before = Average(live, decay=0.9), live["weight"].clone()
    live["weight"].mul_(3)
    changed_weights = live["weight"].clone()
    with average.in_place():
        assert torch.equal(live["weight"], before)
    assert torch.equal(live["weight"], changed_weights)


def test_the_average_is_what_is_validated_and_kept() -> None:
    loop = small_loop(changed(averaging=0.8, epochs=1))
    by_hand = small_loop(changed(epochs=1))
    live = by_hand.weights.live()
    expected = {name: tensor.clone() for name, tensor in live.items()}
    for step in range(by_hand.steps):
        follow(by_hand, expected, step)
    loop.run()
    by_hand.weights.load(expected)
    kept = loop.weights.live()
    for name, tensor in expected.items():
        torch.testing.assert_close(kept[name], tensor, msg=name)
    assert loop.progress.best_cost == loop.validate()[0]
    torch.testing.assert_close(by_hand.validate()[0], loop.progress.best_cost)


def follow(loop: Loop, expected: dict[str, torch.Tensor], step: int) -> None:
    """Another step of the training, and of its average by hand."""
    loop.progress.epochs, loop.progress.steps, loop.progress.step = 1, loop.steps, step
    loop.train_mode(0.0)
    stream = loop.streams["source"]
    loop.step({"source": stream.batch(stream.order(0)[step], 0)})
    d = min(0.8, (1 + step) / (10 + step))
    for name, tensor in loop.weights.live().items():
        expected[name] = d * expected[name] + (1 - d) * tensor


def test_training_itself_is_not_changed_by_it() -> None:
    plain, averaged = small_loop(), small_loop(changed(averaging=0.9))
    moments = []
    for loop in (plain, averaged):
        loop.run(until=4)
        state = loop.optimiser.state_dict()["state"]
        moments.append({f"{number} {name}": value for number, of in state.items() for name, value in of.items()})
    assert state_hash(moments[0]) == state_hash(moments[1])
