from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_segments import CPU, Pictures, Texts, far, pictures, plain, texts
from torch import nn
from torch._inductor import config as inductor

from forked_processes import Forked
from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun
from headstart.runners import compiled as module
from headstart.runners.compiled import Compiled

pytestmark = pytest.mark.slow


@pytest.fixture
def backend() -> Any:
    """Give a function that torch.compile can name as a backend."""
    names: list[str] = []

    def known_as(name: str, compile: Callable[..., Any]) -> str:
        torch._dynamo.register_backend(compile, name=name)
        names.append(name)
        return name

    yield known_as
    torch._dynamo.reset()


def test_it_is_offered_in_both_precisions_where_the_device_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_bfloat16", lambda device: True)
    assert [runner.precision for runner in Compiled.variants(CPU)] == ["bfloat16", "float32"]
    monkeypatch.setattr(module, "has_bfloat16", lambda device: False)
    assert [runner.precision for runner in Compiled.variants(CPU)] == ["float32"]
    with pytest.raises(CannotRun, match="cpu does not compute in bfloat16"):
        Compiled(backend="eager").start(Pictures(), pictures(2), CPU)


def test_batches_of_any_size_and_texts_of_any_length() -> None:
    for segment, example, states in (
        (Pictures(), pictures(3), [pictures(size) for size in (1, 2, 7)]),
        (Texts(), texts(5, 3), [texts(3), texts(9, 2, 1)]),
    ):
        execute = Compiled(backend="aot_eager", half=False).start(segment, example, CPU)
        assert max(far(execute(state), plain(segment, state)) for state in states) < 1e-5


def test_a_size_that_changes_is_compiled_once_for_all(backend: Any) -> None:
    compiled: list[Any] = []

    def counting(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    execute = Compiled(backend=backend("counting", counting), half=False).start(Pictures(), pictures(3), CPU)
    for size in (4, 5, 9):
        execute(pictures(size))
    assert len(compiled) == 1


class Layers(nn.Module):
    """So many layers: each number is another graph through the same function."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(4, 4) for _ in range(count)))

    def forward(self, state: State) -> State:
        return State(self.layers(state.hidden))


def test_every_segment_is_compiled_however_many_there_are(backend: Any) -> None:
    compiled: list[Any] = []

    def counting(graph: Any, inputs: Any) -> Any:
        compiled.append(graph)
        return graph.forward

    name = backend("counting_segments", counting)
    for count in range(1, 13):  # PyTorch's own limit is 8
        Compiled(backend=name, half=False).start(Layers(count), State(torch.ones(3, 4)), CPU)
    assert len(compiled) == 12


def test_what_cannot_be_compiled_is_told_in_one_line_and_harms_nothing_else(backend: Any) -> None:
    def failing(graph: Any, inputs: Any) -> Any:
        raise ValueError("no such kernel\nand much more")

    working = Compiled(backend="eager", half=False).start(Texts(), texts(4, 2), CPU)
    with pytest.raises(CannotRun, match=r"^torch.compile fails: [^\n]*no such kernel$"):
        Compiled(backend=backend("failing", failing), half=False).start(Pictures(), pictures(2), CPU)
    assert far(working(texts(4, 2)), plain(Texts(), texts(4, 2))) < 1e-5


def test_the_real_compiler_gives_what_plain_pytorch_gives() -> None:
    segment = Pictures()
    for runner in Compiled.variants(CPU):
        execute = runner.start(segment, pictures(4), CPU)
        most = {"float32": 1e-5, "bfloat16": 2e-2}[runner.precision]
        assert max(far(execute(pictures(size)), plain(segment, pictures(size))) for size in (2, 4, 9)) < most


def start_without_a_compiler() -> None:
    inductor.cpp.cxx = (None, "/nonexistent")  # what CXX would say
    try:
        Compiled(half=False).start(Pictures(), pictures(2), CPU)
    except CannotRun as error:
        print(error)


def test_without_a_compiler_it_says_so(tmp_path: Path) -> None:
    with Forked(start_without_a_compiler, environment={"TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}) as process:
        assert process.wait() == 0, process.err
        assert process.out.startswith("torch.compile fails: ") and "C++ compiler" in process.out
        assert process.out.count("\n") == 1
