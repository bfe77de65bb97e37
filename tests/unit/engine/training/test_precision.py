from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headstart.engine.training import precision as precision_module
from headstart.engine.training import self_validation
from headstart.engine.training.checkpoint import CheckpointFile
from headstart.engine.training.precision import chosen_precision, precision_in_use
from headstart.engine.training.stepping import Moment
from headstart.kernel import processor
from headstart.kernel.processor import computes_bfloat16
from small_trainings import changed, small_loop

CPU = torch.device("cpu")


@pytest.mark.parametrize("native", [True, False])
def test_auto_takes_what_the_processor_has(monkeypatch: pytest.MonkeyPatch, native: bool) -> None:
    monkeypatch.setattr(precision_module, "computes_bfloat16", lambda: native)
    assert chosen_precision("auto", CPU) == ("bfloat16" if native else "float32")
    assert chosen_precision("bfloat16", CPU) == "bfloat16"
    assert chosen_precision("float32", CPU) == "float32"
    assert precision_in_use({"precision": "bfloat16"}, CPU) == ("bfloat16" if native else "float32")
    assert precision_in_use({"precision": "float32"}, CPU) == "float32"
    assert precision_in_use({}, CPU) == "float32"


@pytest.mark.parametrize(
    ("line", "native"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile", True),
        ("flags\t\t: fpu avx512f avx512bw", False),
        ("Features\t: fp asimd bf16", True),
        ("", False),
    ],
)
def test_the_processor_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, native: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name\t: bf16\n{line}\n")
    monkeypatch.setattr(processor, "Path", lambda _: tmp_path / "cpuinfo")
    assert computes_bfloat16() == native
    monkeypatch.setattr(processor, "Path", lambda _: tmp_path / "missing")
    assert not computes_bfloat16()


def test_in_bfloat16_products_are_and_weights_optimiser_and_losses_are_not() -> None:
    loop = small_loop(changed(precision="bfloat16", epochs=1))
    seen: list[torch.dtype] = []
    loop.model.backbone.module[0][0].register_forward_hook(lambda *given: seen.append(given[2].dtype))
    stream = loop.streams["source"]
    batch = stream.batch(stream.order(0)[0], 0)
    step = loop.stepper.step({"source": batch}, Moment(0, 0, 0.0))
    features = step.features(batch)
    assert seen == [torch.bfloat16]
    assert features.pooled.dtype == torch.float32
    assert step.outputs(features, batch)["logits"].dtype == torch.float32
    loop.run()
    assert loop.progress.precision == "bfloat16"
    state = [value for values in loop.optimiser.state.values() for value in values.values()]
    assert {tensor.dtype for tensor in [*loop.weights.live().values(), *state]} == {torch.float32}


def test_validation_is_in_the_precision_that_the_model_is_used_in(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = small_loop(changed(precision="bfloat16"))
    exact = small_loop(changed(precision="float32"))
    assert loop.validate() == exact.validate()
    monkeypatch.setattr(precision_module, "computes_bfloat16", lambda: True)
    monkeypatch.setattr(
        self_validation, "precision_in_use", lambda _, device: precision_in_use({"precision": "bfloat16"}, device)
    )
    assert small_loop(changed(precision="float32")).validate()[0] != exact.validate()[0]


def test_a_checkpoint_of_another_precision_is_of_another_training(tmp_path: Path) -> None:
    file = CheckpointFile(tmp_path / "a.checkpoint", "same")
    small_loop(changed(precision="bfloat16"), checkpoint=file).run(until=2)
    other = small_loop(changed(precision="float32"), checkpoint=file)
    other.run(until=0)
    assert other.progress.epoch == 0
