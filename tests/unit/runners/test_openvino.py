from __future__ import annotations

import logging
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from small_segments import CPU, LONGEST, Pictures, Texts, far, pictures, plain, texts
from torch import nn

from headstart.contracts.carriers import State
from headstart.contracts.runner import CannotRun, Execute
from headstart.kernel.files import hash_bytes
from headstart.runners import _kept_graphs, _openvino_graph
from headstart.runners._kept_graphs import Graph
from headstart.runners.openvino import OpenVino
from quiet_openvino import library_or_skip

pytestmark = pytest.mark.slow

openvino = library_or_skip()

FLOAT = 1e-5


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    return tmp_path / "graphs"


@pytest.fixture(scope="module")
def run_pictures() -> Execute:
    return OpenVino().start(Pictures(), pictures(3), CPU)


@pytest.fixture(scope="module")
def run_texts() -> Execute:
    return OpenVino().start(Texts(), texts(5, 3), CPU)


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "convert_model", refuse)


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError("it is converted again")


def test_batches_of_any_size(run_pictures: Execute) -> None:
    for size in (1, 2, 7, 40):
        assert far(run_pictures(pictures(size)), plain(Pictures(), pictures(size))) < FLOAT


def test_texts_of_any_length_up_to_the_longest_that_the_model_takes(run_texts: Execute) -> None:
    for lengths in ((3,), (9, 2, 1), tuple(range(1, 14)), (LONGEST - 1, 4), (LONGEST, LONGEST)):
        state = texts(*lengths)
        assert far(run_texts(state), plain(Texts(), state)) < FLOAT


def test_it_can_start_with_texts_as_long_as_the_model_takes() -> None:
    execute = OpenVino().start(Texts(), texts(LONGEST, 3), CPU)
    assert far(execute(texts(4, 2)), plain(Texts(), texts(4, 2))) < FLOAT


class Doubling(nn.Module):
    def forward(self, state: State) -> State:
        return State(state.hidden * 2)


class Flattening(nn.Module):
    """What a tracer sees with a single row is true of a single row alone."""

    def forward(self, state: State) -> State:
        rows, *shape = state.hidden.shape
        return State(state.hidden.view(shape if rows == 1 else [rows, *shape]).reshape(rows, -1) * 2)


def test_an_example_of_one_row_serves_for_all() -> None:
    execute = OpenVino().start(Flattening(), pictures(1), CPU)
    assert far(execute(pictures(5)), plain(Flattening(), pictures(5))) < FLOAT


def test_several_threads_get_their_own_results(run_texts: Execute) -> None:
    assert run_texts.at_once >= 1
    states = [texts(*range(1, 2 + k % 9)) for k in range(60)]
    expected = [plain(Texts(), state) for state in states]
    with ThreadPoolExecutor(run_texts.at_once) as pool:
        found = list(pool.map(run_texts, states))
    assert max(far(one, other) for one, other in zip(found, expected)) < FLOAT


def test_results_are_not_overwritten_by_later_ones(run_pictures: Execute) -> None:
    first = run_pictures(pictures(2))
    before = first.hidden.clone()
    for seed in range(1, 4):
        run_pictures(pictures(2, seed))
    assert torch.equal(first.hidden, before)


def test_bfloat16_computes_in_it_and_float32_does_not() -> None:
    if not _openvino_graph.has_bfloat16():
        pytest.skip("this processor does not compute in bfloat16")
    segment, state = Pictures(), pictures(8)
    found = {
        runner.precision: far(runner.start(segment, state, CPU, "a key")(state), plain(segment, state))
        for runner in OpenVino.variants(CPU)
    }
    assert list(found) == ["bfloat16", "float32"]
    assert found["float32"] < FLOAT < 1e-4 < found["bfloat16"] < 2e-2


def test_without_bfloat16_float32_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_openvino_graph, "has_bfloat16", lambda: False)
    assert list(OpenVino.variants(CPU)) == [OpenVino()]
    with pytest.raises(CannotRun, match="bfloat16"):
        OpenVino(computes_in="bfloat16").start(Pictures(), pictures(2), CPU)


def test_it_runs_on_the_processor_alone() -> None:
    gpu = torch.device("cuda", 0)
    assert not OpenVino.variants(gpu)
    with pytest.raises(CannotRun, match="not on cuda:0"):
        OpenVino().start(Pictures(), pictures(2), gpu)


def test_where_it_is_not_installed_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "headstart.runners._openvino_graph")
    assert not OpenVino.variants(CPU)
    with pytest.raises(CannotRun, match='pip install "openvino'):
        OpenVino().start(Pictures(), pictures(2), CPU)


class Unknown(nn.Module):
    """Has an operation that OpenVINO lacks."""

    def forward(self, state: State) -> State:
        return State(torch.special.bessel_j0(state.hidden))


def test_an_operation_that_it_lacks_is_told_in_one_line() -> None:
    with pytest.raises(CannotRun, match=r"^OpenVINO cannot run it: \S[^\n]+$"):
        OpenVino().start(Unknown(), pictures(2), CPU)


def test_weights_that_are_trained_later_do_not_change_what_was_started() -> None:
    segment, state = Pictures(), pictures(4)
    execute, expected = OpenVino().start(segment, state, CPU), plain(segment, state)
    with torch.no_grad():
        for weight in segment.parameters():
            weight += 1
    assert far(plain(segment, state), expected) > 0.1
    assert far(execute(state), expected) < FLOAT


def test_what_was_compiled_is_not_converted_again(folder: Path, request: pytest.FixtureRequest) -> None:
    segment, state = Texts(), texts(7, 3)
    OpenVino().start(segment, state, CPU, "a key")
    assert len(list(folder.iterdir())) == 1
    request.getfixturevalue("no_conversion")
    execute = OpenVino().start(segment, state, CPU, "a key")
    assert far(execute(texts(4, 2, 1)), plain(segment, texts(4, 2, 1))) < FLOAT
    with pytest.raises(CannotRun, match="converted again"):
        OpenVino().start(segment, state, CPU, "another key")


def test_a_precision_has_a_graph_of_its_own(folder: Path) -> None:
    for precision in ("float32", "bfloat16"):
        _openvino_graph.started(Doubling(), pictures(2), precision, "a key")
    assert len(list(folder.iterdir())) == 2


def test_without_a_key_nothing_is_kept(folder: Path) -> None:
    OpenVino().start(Doubling(), pictures(2), CPU)
    assert not folder.exists()


@pytest.mark.parametrize("fault", ["damaged", "foreign"])
def test_a_graph_that_cannot_be_read_is_made_again(
    fault: str, folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment, state = Doubling(), pictures(2)
    OpenVino().start(segment, state, CPU, "a key")
    (path,) = folder.iterdir()
    if fault == "damaged":
        path.write_bytes(path.read_bytes()[:-100])
    else:
        with monkeypatch.context() as patch:
            patch.setattr(_kept_graphs, "_path", lambda _: path)
            _kept_graphs.keep("a key", Graph(_openvino_graph.Signature((), ("hidden",), ()), b"of another time"))
    broken = hash_bytes(path.read_bytes())
    assert far(OpenVino().start(segment, state, CPU, "a key")(state), plain(segment, state)) < FLOAT
    assert hash_bytes(path.read_bytes()) != broken
    request.getfixturevalue("no_conversion")
    OpenVino().start(segment, state, CPU, "a key")


class Talking(Doubling):
    """Says something whenever it runs, as models do while they are looked at."""

    def forward(self, state: State) -> State:
        logging.getLogger("a model").warning("a property was looked at")
        warnings.warn("a shape was read", stacklevel=2)
        return super().forward(state)


def test_converting_is_quiet(caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder) -> None:
    OpenVino().start(Talking(), pictures(2), CPU)
    with pytest.raises(CannotRun):
        OpenVino().start(Unknown(), pictures(2), CPU)
    assert not caplog.records
    assert not [warning for warning in recwarn if "a shape was read" in str(warning.message)]
    logging.getLogger("a model").warning("afterwards")
    assert len(caplog.records) == 1


def test_without_nncf_int8_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(CannotRun, match=r'int8 needs NNCF .*: pip install "headstart\[int8\]"'):
        OpenVino(computes_in="int8").start(Pictures(), pictures(2), CPU)


def test_int8_rounds_to_it_and_keeps_its_graph(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library_or_skip("nncf")
    segment, given = Pictures(), pictures(16)
    found = OpenVino(computes_in="int8").start(segment, given, CPU, "a key")(given)
    assert FLOAT < far(found, plain(segment, given)) < 0.2
    monkeypatch.setattr(openvino, "convert_model", refuse)
    again = OpenVino(computes_in="int8").start(segment, pictures(3), CPU, "a key")(given)
    assert torch.equal(found.hidden, again.hidden)
    assert not capsys.readouterr().out
