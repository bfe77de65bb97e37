from __future__ import annotations

import pytest
import torch
from small_segments import CPU, Pictures, Texts, far, pictures, plain, texts

from headstart.contracts.runner import CannotRun
from headstart.runners import autocast as module
from headstart.runners._torch_execution import has_bfloat16
from headstart.runners.autocast import Autocast

needs_bfloat16 = pytest.mark.skipif(not has_bfloat16(CPU), reason="PyTorch does not compute in bfloat16 here")


@needs_bfloat16
def test_it_computes_in_bfloat16_and_gives_float32() -> None:
    assert [runner.precision for runner in Autocast.variants(CPU)] == ["bfloat16"]
    for segment, state in ((Pictures(), pictures(8)), (Texts(), texts(9, 4, 2))):
        found = Autocast().start(segment, state, CPU)(state)
        assert 1e-4 < far(found, plain(segment, state)) < 2e-2
        assert {value.dtype for value in found.tensors().values()} <= {torch.float32, torch.int64}


@needs_bfloat16
def test_the_weights_stay_in_float32_and_autocast_ends_with_the_batch() -> None:
    segment = Pictures()
    Autocast().start(segment, pictures(2), CPU)(pictures(2))
    assert {weight.dtype for weight in segment.parameters()} == {torch.float32}
    assert not torch.is_autocast_enabled("cpu")


def test_where_the_device_lacks_bfloat16_it_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda device: False)
    assert not Autocast.variants(CPU)
    with pytest.raises(CannotRun, match="cpu does not compute in bfloat16"):
        Autocast().start(Pictures(), pictures(2), CPU)


def test_a_build_without_mkldnn_has_no_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not has_bfloat16(CPU)
    assert not has_bfloat16(torch.device("mps"))
