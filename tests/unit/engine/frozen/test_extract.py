from __future__ import annotations

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from forked_processes import SECONDS, Forked
from headstart.contracts.carriers import State, Tap
from headstart.contracts.examples import Raw
from headstart.engine.frozen import feeding
from headstart.engine.frozen.bottleneck import shares
from headstart.engine.frozen.extract import Extracted, extract
from headstart.engine.frozen.feature_spec import FeatureSpec, features_of
from headstart.engine.store.feature_store import FeatureStore
from headstart.kernel.errors import BackboneError, DataError, StoreError
from headstart.kernel.progress import Advance, Quiet
from headstart.runners.eager import Eager
from tiny_backbones import (
    TinyBackbone,
    TinyImages,
    TinyTable,
    TinyTexts,
    image_examples,
    keys_of,
    save_pictures,
    table_examples,
    text_examples,
)

CPU = torch.device("cpu")
TEXTS = [" ".join(f"w{(i * 7 + j) % 40}" for j in range(1 + i * i % 23)) for i in range(40)]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", 10**9)


def run(
    backbone: TinyBackbone,
    examples: Any,
    keys: Any,
    store: FeatureStore | None,
    spec: FeatureSpec | None = None,
    **more: Any,
) -> Extracted:
    return extract(backbone, examples, keys, spec, runner=Eager(), store=store, device=CPU, **more)


def texts_pass(store: FeatureStore | None, texts: list[str] = TEXTS, **more: Any) -> tuple[TinyTexts, Extracted]:
    backbone = TinyTexts("tiny_texts")
    return backbone, run(backbone, text_examples(texts), keys_of(texts), store, **more)


def one_by_one(backbone: TinyBackbone, raws: list[Any]) -> np.ndarray:
    """The longhand way: every input alone through the whole module."""
    end = len(backbone.stages)
    with torch.no_grad():
        found = [backbone.features(backbone.segment(0, end)(backbone.prepare([raw]))).pooled for raw in raws]
    return torch.cat(found).numpy()


def test_features_equal_those_of_each_input_alone(store: FeatureStore) -> None:
    backbone, extracted = texts_pass(store, batch_size=5)
    assert extracted.pooled().shape == (40, backbone.width)
    assert extracted.pooled().dtype == np.float32
    np.testing.assert_allclose(extracted.pooled(), one_by_one(TinyTexts("x"), TEXTS), atol=1e-6)
    assert np.array_equal(extracted.pooled([3, 1, 3]), extracted.pooled()[[3, 1, 3]])
    assert extracted.pooled([]).shape == (0, backbone.width)


def test_pictures_from_files(store: FeatureStore, tmp_path: Path) -> None:
    paths = save_pictures(tmp_path, 12)
    backbone = TinyImages("tiny_images")
    extracted = run(backbone, image_examples(paths), keys_of(paths), store, FeatureSpec("maps"), batch_size=5)
    np.testing.assert_allclose(extracted.pooled(), one_by_one(TinyImages("x"), paths), atol=1e-6)
    assert features_of(extracted.batch_state([2, 0])).maps[0].shape == (2, 6, 2, 2)


def test_a_second_pass_computes_nothing_and_gives_the_same_bits(store: FeatureStore) -> None:
    _, first = texts_pass(store)
    backbone, second = texts_pass(FeatureStore(store.root, 10**9))
    assert (first.computed, first.reused) == (40, 0)
    assert (second.computed, second.reused) == (0, 40)
    assert not backbone.prepared
    assert np.array_equal(first.pooled(), second.pooled())


def test_only_new_inputs_are_computed_whatever_their_order(store: FeatureStore) -> None:
    _, first = texts_pass(store)
    mixed = ["a new text", *TEXTS[20:], *TEXTS[:20], "another new one", "a new text"]
    backbone, second = texts_pass(store, mixed)
    assert sorted(backbone.prepared) == ["a new text", "another new one"]
    assert (second.computed, second.reused) == (2, 40)
    assert np.array_equal(second.pooled(range(1, 41)), np.roll(first.pooled(), 20, axis=0))
    assert np.array_equal(second.pooled([0]), second.pooled([42]))


def test_equal_inputs_are_computed_once(store: FeatureStore) -> None:
    backbone, extracted = texts_pass(store, ["same words", "other", "same words"] * 5)
    assert sorted(backbone.prepared) == ["other", "same words"]
    assert (extracted.computed, len(extracted.pooled())) == (2, 15)


@pytest.mark.parametrize("change", ["weights", "taps", "preparation"])
def test_what_decides_the_features_is_part_of_the_key(store: FeatureStore, change: str) -> None:
    texts_pass(store)
    backbone = TinyTexts("tiny_texts", seed=int(change == "weights"))
    if change == "preparation":
        backbone.preparation = lambda: {"tiny": "otherwise"}  # type: ignore[method-assign]
    spec = FeatureSpec(taps=(Tap("first"),)) if change == "taps" else None
    extracted = run(backbone, text_examples(TEXTS), keys_of(TEXTS), store, spec)
    assert extracted.reused == 0


def test_all_stages_come_from_one_pass(store: FeatureStore) -> None:
    backbone = TinyTable("tiny_table")
    values = np.random.default_rng(0).standard_normal((30, 4))
    extracted = run(backbone, table_examples(values), keys_of(values), store, FeatureSpec.all_stages(backbone))
    state = backbone.prepare(list(values))
    with torch.no_grad():
        for stage in backbone.stages:
            state = backbone.module[stage.name](state)
            np.testing.assert_allclose(extracted.tap(stage.name), state.hidden.numpy(), atol=1e-6)
    assert np.array_equal(extracted.tap("layer2"), extracted.pooled())
    with pytest.raises(StoreError, match="no pooled tap at 'layer9'"):
        extracted.tap("layer9")


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_suffix_goes_on_from_a_kept_state(store: FeatureStore, stop: int) -> None:
    backbone, extracted = texts_pass(store, spec=FeatureSpec("state", stop), batch_size=4)
    _, whole = texts_pass(store)
    rows = [5, 30, 2, 0, 17]
    state = extracted.batch_state(rows)
    lengths = [len(TEXTS[row].split()) for row in rows]
    assert state.hidden.shape == (5, max(lengths), backbone.width)
    assert state.context["attention_mask"].sum(dim=1).tolist() == lengths
    assert state.context["attention_mask"].dtype == torch.int64
    if stop < 3:
        state = backbone.segment(stop, 3)(state)
    with torch.no_grad():
        np.testing.assert_allclose(backbone.features(state).pooled.detach(), whole.pooled(rows), atol=1e-5)
    with pytest.raises(StoreError, match="no pooled features"):
        extracted.pooled()


def test_a_kept_state_does_not_hold_the_padding_of_its_batch(store: FeatureStore) -> None:
    texts_pass(store, spec=FeatureSpec("state", 1), batch_size=40)
    words = sum(len(text.split()) for text in TEXTS)
    assert store.size() < words * (8 * 4 + 8) + 40 * 40 + 5000


def test_token_vectors_come_back_without_padding(store: FeatureStore) -> None:
    backbone, extracted = texts_pass(store, spec=FeatureSpec("tokens"))
    features = features_of(extracted.batch_state([8, 3]))
    with torch.no_grad():
        alone = backbone.segment(0, 3)(backbone.prepare([TEXTS[3]])).hidden[0]
    assert features.tokens is not None and features.mask is not None
    length = len(TEXTS[3].split())
    torch.testing.assert_close(features.tokens[1, :length], alone, atol=1e-5, rtol=0)
    assert features.tokens[1, length:].abs().sum() == 0
    assert features.mask.sum(dim=1).tolist() == [len(TEXTS[8].split()), length]


def test_what_the_backbone_does_not_have_is_refused(store: FeatureStore) -> None:
    with pytest.raises(BackboneError, match="no maps"):
        texts_pass(store, spec=FeatureSpec("maps"))
    with pytest.raises(BackboneError, match="exist at boundary 3"):
        texts_pass(store, spec=FeatureSpec("pooled", 2))


def test_inputs_that_cannot_be_read_are_named_and_the_rest_goes_on(store: FeatureStore, tmp_path: Path) -> None:
    paths = save_pictures(tmp_path, 8)
    paths[2].write_bytes(b"no picture")
    paths[5].write_bytes(b"no picture")
    keys: list[str | None] = list(keys_of(paths))
    paths[6].unlink()
    keys[6] = None
    extracted = run(TinyImages("tiny_images"), image_examples(paths), keys, store, batch_size=4)
    assert extracted.failures.keys() == {2, 5, 6}
    assert extracted.failures[2] == extracted.failures[5] == "is not an image that Pillow can read"
    assert extracted.failures[6] == "is missing"
    assert extracted.rows.tolist() == [0, 1, 3, 4, 7]
    assert extracted.computed == 5
    good = [paths[row] for row in extracted.rows]
    np.testing.assert_allclose(extracted.pooled(), one_by_one(TinyImages("x"), good), atol=1e-6)
    with pytest.raises(DataError, match=r"row 5 .*not an image"):
        extracted.pooled([0, 5])


def test_nothing_readable_is_no_crash(store: FeatureStore) -> None:
    _, extracted = texts_pass(store, ["", " "])
    assert extracted.failures == {0: "is empty", 1: "is empty"}
    assert extracted.pooled().shape == (0, 8)
    assert texts_pass(store, [])[1].pooled().shape == (0, 8)


def test_without_a_store_nothing_is_written(tmp_path: Path) -> None:
    _, stored = texts_pass(FeatureStore(tmp_path / "store", 10**9))
    _, extracted = texts_pass(None)
    assert np.array_equal(extracted.pooled(), stored.pooled())
    assert extracted.reused == 0


class Counting(Quiet):
    """Adds up what the counter was told."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.done = 0
        self.notes: list[str] = []

    @contextmanager
    def counter(self, label: str, total: int | None, unit: str) -> Iterator[Advance]:
        self.asked.append((total, unit))

        def advance(items: int, note: str = "") -> None:
            self.done += items
            self.notes.append(note)

        yield advance


def test_progress_counts_what_is_computed(store: FeatureStore) -> None:
    texts_pass(store, TEXTS[:10])
    heard = Counting()
    _, extracted = texts_pass(store, [*TEXTS, ""], reporter=heard)
    missing = len(set(TEXTS)) - len(set(TEXTS[:10])) + 1
    assert (heard.asked, heard.done) == ([(missing, "texts")], missing)
    assert all(extracted.seconds[part] > 0 for part in ("prepare", "runner", "store"))
    assert heard.notes[-1] == shares(extracted.seconds)
    quiet = Counting()
    texts_pass(store, TEXTS, reporter=quiet)
    assert quiet.asked == []


def test_a_damaged_shard_is_computed_again_and_right(store: FeatureStore) -> None:
    _, first = texts_pass(store, TEXTS[:20])
    before = first.pooled()
    texts_pass(store, TEXTS)
    victim = min(store.root.rglob("*.shard"))
    content = bytearray(victim.read_bytes())
    content[-100] ^= 1
    victim.write_bytes(content)
    backbone, again = texts_pass(FeatureStore(store.root, 10**9))
    assert set(backbone.prepared) == set(TEXTS[:20])
    assert np.array_equal(again.pooled(range(20)), before)


def test_an_interrupt_keeps_what_is_done(store: FeatureStore) -> None:
    class Interrupted(Quiet):
        @contextmanager
        def counter(self, label: str, total: int | None, unit: str) -> Iterator[Advance]:
            steps = iter(range(3))

            def advance(items: int, note: str = "") -> None:
                if next(steps, None) is None:
                    raise KeyboardInterrupt

            yield advance

    values = np.random.default_rng(0).standard_normal((80, 4))
    table, keys = table_examples(values), keys_of(values)
    with pytest.raises(KeyboardInterrupt):
        run(TinyTable("tiny_table"), table, keys, store, reporter=Interrupted(), batch_size=10)
    assert run(TinyTable("tiny_table"), table, keys, store).reused == 40


def pass_over_a_table(root: Path, held: bool) -> None:
    """A process's pass with many shards; who is held waits for ever after the third batch."""

    class Held(TinyTable):
        batches = 0

        def prepare(self, raws: Sequence[Raw]) -> State:
            self.batches += 1
            if held and self.batches > 3:
                time.sleep(SECONDS)
            return super().prepare(raws)

    feeding.MOST_THREADS = 1
    values = np.random.default_rng(0).standard_normal((200, 4))
    store = FeatureStore(root, 10**9, flush_seconds=0.0)
    found = run(Held("tiny_table"), table_examples(values), keys_of(values), store, batch_size=4)
    print(float(found.pooled().sum()))


def whole_table_pass(store: FeatureStore | None) -> Extracted:
    values = np.random.default_rng(0).standard_normal((200, 4))
    return run(TinyTable("tiny_table"), table_examples(values), keys_of(values), store)


@pytest.mark.slow
def test_a_killed_pass_goes_on_where_it_was(store: FeatureStore) -> None:
    with Forked(pass_over_a_table, store.root, True) as process:
        give_up = time.monotonic() + SECONDS
        while not list(store.root.rglob("*.shard")) and time.monotonic() < give_up:
            time.sleep(0.005)
        process.send(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.err
    extracted = whole_table_pass(FeatureStore(store.root, 10**9))
    assert 0 < extracted.computed < 200
    assert extracted.computed + extracted.reused == 200
    np.testing.assert_allclose(extracted.pooled(), whole_table_pass(None).pooled(), atol=1e-6)


@pytest.mark.slow
def test_two_processes_share_a_store(store: FeatureStore) -> None:
    with Forked(pass_over_a_table, store.root, False) as one, Forked(pass_over_a_table, store.root, False) as other:
        assert (one.wait(), other.wait()) == (0, 0), one.err + other.err
        expected = float(whole_table_pass(None).pooled().sum())
        assert all(abs(float(process.out) - expected) < 1e-3 for process in (one, other))
    assert whole_table_pass(store).computed == 0
