"""A frozen pass while its files, store, processes and disk fail: nothing wrong is kept, and all of it is told."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from forked_processes import SECONDS, Forked
from headstart.backbones.timm_images import TimmImages
from headstart.contracts.backbone import Reader
from headstart.contracts.carriers import State
from headstart.contracts.examples import Raw
from headstart.engine.frozen import feeding
from headstart.engine.frozen.content_keys import CHANGED
from headstart.engine.frozen.extract import Extracted, extract
from headstart.engine.frozen.reading_workers import STOPPED
from headstart.engine.store import feature_store as feature_stores
from headstart.engine.store.feature_store import FeatureStore
from headstart.engine.store.shard import PREFIX, Shard
from headstart.kernel.progress import Advance, Quiet
from headstart.media.images import decode_image
from headstart.runners.eager import Eager
from living_processes import LISTED, reading_workers_of
from spoilt_disks import read_only
from tiny_backbones import TinyImages, TinyTexts, image_examples, keys_of, save_pictures, text_examples
from worker_readers import Pictures

CPU = torch.device("cpu")


class Heard(Quiet):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


class OnReading(TinyImages):
    """Does something just before a file is read for the first time, or just after."""

    def __init__(self, name: str, *, before: Sequence[tuple[Path, Callable[[], Any]]] = (), after: Any = ()) -> None:
        super().__init__(name)
        self.before, self.after = dict(before), dict(after)

    def one(self, raw: Raw) -> torch.Tensor:
        assert isinstance(raw, Path)
        if raw in self.before:
            self.before.pop(raw)()
        found = super().one(raw)
        if raw in self.after:
            self.after.pop(raw)()
        return found


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store", 10**9)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Twelve pictures, long there."""
    (tmp_path / "pictures").mkdir()
    found = save_pictures(tmp_path / "pictures", 12)
    for path in found:
        settle(path)
    return found


def settle(path: Path, seconds_ago: float = 1000) -> None:
    when = time.time() - seconds_ago
    os.utime(path, (when, when))


def run(paths: Sequence[Path], store: FeatureStore | None, backbone: Any = None, **more: Any) -> Extracted:
    keys = more.pop("keys", None) or keys_of(paths)
    backbone = backbone or TinyImages("tiny")
    return extract(backbone, image_examples(paths), keys, runner=Eager(), store=store, device=CPU, **more)


def features_of(paths: Sequence[Path]) -> np.ndarray:
    return run(paths, None).pooled()


def other_picture(path: Path, seed: int = 99) -> None:
    """Another picture under the same name."""
    draws = np.random.default_rng(seed)
    Image.fromarray(draws.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)


# --- files that change and vanish ---


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_that_changes_during_the_pass_is_named_and_not_stored(
    moment: str, paths: list[Path], store: FeatureStore
) -> None:
    before = features_of(paths)
    keys = keys_of(paths)
    change = (paths[4], lambda: other_picture(paths[4]))
    found = run(paths, store, OnReading("tiny", **{moment: [change]}), keys=keys, batch_size=5)
    assert found.failures == {4: CHANGED}
    others = [row for row in range(12) if row != 4]
    np.testing.assert_allclose(found.pooled(others), before[others], atol=1e-6)
    again = run(paths, FeatureStore(store.root, 10**9))
    assert (again.computed, again.reused, again.failures) == (1, 11, {})
    np.testing.assert_allclose(again.pooled(), features_of(paths), atol=1e-6)
    assert np.abs(again.pooled([4]) - before[4]).max() > 1e-3


def test_a_file_that_was_changed_before_the_pass_but_after_its_hash_was_taken(
    paths: list[Path], store: FeatureStore
) -> None:
    keys = keys_of(paths)
    other_picture(paths[0])
    found = run(paths, store, keys=keys)
    assert found.failures == {0: CHANGED}
    shutil.copy(paths[1], paths[0])
    assert keys_of(paths)[0] == keys_of(paths)[1] != keys[0]


def test_a_file_that_is_only_touched_has_not_changed(paths: list[Path], store: FeatureStore) -> None:
    keys = keys_of(paths)
    backbone = OnReading("tiny", after=[(paths[4], lambda: settle(paths[4], 5))])
    assert run(paths, store, backbone, keys=keys).failures == {}


@pytest.mark.parametrize("by", ["vanishing", "changing"])
def test_the_same_picture_in_another_file_takes_the_place_of_one_that_is_gone(
    by: str, paths: list[Path], store: FeatureStore
) -> None:
    for copy in (paths[6], paths[9]):
        shutil.copy2(paths[4], copy)
    before, keys = features_of(paths), keys_of(paths)
    spoil: dict[str, Callable[[Path], None]] = {"vanishing": Path.unlink, "changing": other_picture}

    def spoil_two() -> None:
        spoil[by](paths[4])
        spoil[by](paths[6])

    found = run(paths, store, OnReading("tiny", before=[(paths[4], spoil_two)]), keys=keys)
    reason = {"vanishing": "is missing", "changing": CHANGED}[by]
    assert found.failures[4] == reason
    assert 9 not in found.failures
    np.testing.assert_allclose(found.pooled([9]), before[[9]], atol=1e-6)
    assert 6 not in found.failures or found.failures[6] == reason
    assert run([paths[9]], FeatureStore(store.root, 10**9)).computed == 0


@pytest.mark.parametrize("first_is_gone", [False, True])
def test_copies_of_a_picture_that_cannot_be_read_are_looked_at_once(
    first_is_gone: bool, paths: list[Path], store: FeatureStore
) -> None:
    for path in paths[3:]:
        path.write_bytes(b"no picture")
    keys = keys_of(paths)
    if first_is_gone:
        paths[3].unlink()
    looked: list[Path] = []

    class Watched(TinyImages):
        def one(self, raw: Raw) -> torch.Tensor:
            assert isinstance(raw, Path)
            looked.append(raw)
            return super().one(raw)

    found = run(paths, store, Watched("tiny"), keys=keys)
    assert set(found.failures) == set(range(3, 12))
    assert found.failures[11] == "is not an image that Pillow can read"
    assert set(looked) == set(paths[: 4 + first_is_gone])


def test_files_dated_in_the_future_or_before_1970_are_read_as_others(paths: list[Path], store: FeatureStore) -> None:
    os.utime(paths[0], (2**32, 2**32))
    os.utime(paths[1], (0, 0))
    os.utime(paths[2], (-(10**6), -(10**6)))
    first = run(paths, store)
    assert (first.computed, first.failures) == (12, {})
    again = run(paths, FeatureStore(store.root, 10**9))
    assert (again.computed, again.reused) == (0, 12)
    keys = keys_of(paths)
    content = paths[0].read_bytes()
    other_picture(paths[0])
    os.utime(paths[0], (2**32, 2**32))
    assert keys_of(paths)[0] != keys[0], "a time in the future is not a proof that nothing has changed"
    paths[0].write_bytes(content)
    assert keys_of(paths) == keys


# --- the store ---


def test_shards_dated_by_wrong_clocks_are_found_and_the_oldest_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_stores, "IN_USE_SECONDS", 0.0)
    store = FeatureStore(tmp_path / "store", 10**9)
    whens = [time.time() - 5000, 2**32, 0.0, -86400.0]
    texts = [f"some words {number}" for number in range(4)]
    shards: list[Path] = []
    for text in texts:
        extract(TinyTexts("tiny"), text_examples([text]), keys_of([text]), runner=Eager(), store=store, device=CPU)
        shards += [path for path in store.root.rglob("*.shard") if path not in shards]
    for shard, when in zip(shards, whens):
        os.utime(shard, (when, when))
    sizes = [shard.stat().st_size for shard in shards]
    FeatureStore(store.root, sum(sizes) - 1).evict()
    assert [shard.exists() for shard in shards] == [True, True, True, False], "that of before 1970 is the oldest"
    FeatureStore(store.root, sizes[0] + sizes[1]).evict()
    assert [shard.exists() for shard in shards] == [True, True, False, False]
    found = extract(TinyTexts("tiny"), text_examples(texts), keys_of(texts), runner=Eager(), store=store, device=CPU)
    assert (found.computed, found.reused) == (2, 2)


@pytest.mark.parametrize("part", ["magic", "header", "keys", "values", "last"])
def test_one_flipped_bit_anywhere_in_a_shard_is_told_and_computed_again(
    part: str, paths: list[Path], store: FeatureStore
) -> None:
    expected = run(paths, store).pooled()
    (path,) = store.root.rglob("*.shard")
    content = bytearray(path.read_bytes())
    body = Shard(bytes(content))._body
    at = {"magic": 3, "header": PREFIX.size + 5, "keys": body - 12 * 16 + 40, "values": body + 50, "last": -1}[part]
    content[at] ^= 4
    path.write_bytes(content)
    heard = Heard()
    again = run(paths, FeatureStore(store.root, 10**9), reporter=heard)
    assert (again.computed, again.reused) == (12, 0)
    assert np.array_equal(again.pooled(), expected)
    assert len(heard.said) == 1 and "damaged" in heard.said[0] and "computed again" in heard.said[0]
    assert not path.exists()
    assert run(paths, FeatureStore(store.root, 10**9)).reused == 12


def die_in_the_third_shard(root: Path, paths: Sequence[Path]) -> None:
    shards: list[Path] = []

    def write_half(path: Path, content: bytes) -> None:
        """What Path.write_bytes does, but for the end."""
        with open(path, "wb") as file:
            if ".shard" in path.name:
                shards.append(path)
            if len(shards) < 3:
                file.write(content)
                return
            file.write(content[: len(content) // 2])
            os.fsync(file.fileno())
            os.kill(os.getpid(), signal.SIGKILL)

    class OneAfterTheOther(TinyImages):
        """Reads a batch when those before it are written, so that each makes a shard."""

        def prepare(self, raws: Sequence[Raw]) -> State:
            before = paths.index(raws[0]) // 3  # type: ignore[arg-type]
            wait_until(lambda: len(list(root.rglob("*.shard"))) >= before)
            return super().prepare(raws)

    Path.write_bytes = write_half  # type: ignore[assignment, method-assign]
    run(paths, FeatureStore(root, 10**9, flush_seconds=0.0), OneAfterTheOther("tiny"), batch_size=3)


@pytest.mark.slow
def test_a_kill_in_the_middle_of_writing_a_shard_costs_that_shard(paths: list[Path], store: FeatureStore) -> None:
    with Forked(die_in_the_third_shard, store.root, paths) as process:
        assert process.wait() == -signal.SIGKILL, process.err
    (half,) = store.root.rglob("*.part")
    assert len(list(store.root.rglob("*.shard"))) == 2
    heard = Heard()
    found = run(paths, FeatureStore(store.root, 10**9), reporter=heard)
    assert (found.computed, found.reused) == (6, 6)
    assert not heard.said, "half a shard is not even looked at"
    np.testing.assert_allclose(found.pooled(), features_of(paths), atol=1e-6)
    settle(half, feature_stores.STALE_SECONDS + 100)
    FeatureStore(store.root, 1).evict()
    assert not half.exists()


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file may grow past a size: what a quota does, and as real as a full disk, whoever the user is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_takes_no_more_costs_only_the_next_pass(paths: list[Path], store: FeatureStore) -> None:
    keys, heard = keys_of(paths), Heard()
    with largest_file(256):
        found = run(paths, store, keys=keys, reporter=heard)
    assert (found.computed, found.failures) == (12, {})
    np.testing.assert_allclose(found.pooled(), features_of(paths), atol=1e-6)
    assert len(heard.said) == 1
    assert "cannot be written" in heard.said[0] and "File too large" in heard.said[0]
    assert not list(store.root.rglob("*.shard")) and not list(store.root.rglob("*.part"))
    assert run(paths, FeatureStore(store.root, 10**9)).computed == 12


def test_a_cache_that_becomes_read_only_half_way(tmp_path: Path, paths: list[Path]) -> None:
    store = FeatureStore(tmp_path / "store", 10**9, flush_seconds=0.0)
    before, keys, heard = features_of(paths), keys_of(paths), Heard()
    with ExitStack() as stack:

        class Closing(TinyImages):
            def prepare(self, raws: Sequence[Raw]) -> State:
                if paths[11] in raws:
                    wait_until(lambda: list(store.root.rglob("*.shard")))
                    stack.enter_context(read_only(store.root))
                return super().prepare(raws)

        found = run(paths, store, Closing("tiny"), keys=keys, batch_size=2, reporter=heard)
        assert (found.computed, found.failures) == (12, {})
        np.testing.assert_allclose(found.pooled(), before, atol=1e-6)
        assert len(heard.said) == 1 and "The feature store cannot be written" in heard.said[0]
        stored = run(paths, FeatureStore(store.root, 10**9)).reused
        assert 0 < stored < 12, "what was written is read, though nothing can be"
    assert run(paths, FeatureStore(store.root, 10**9)).reused == stored


def wait_until(holds: Callable[[], Any]) -> None:
    give_up = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.005)


# --- reading in worker processes ---


def by_one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the inputs and many the cores, a worker process reads them, one batch after the other."""
    monkeypatch.setattr(feeding, "PROCESSES_FROM", 0)
    monkeypatch.setattr(feeding, "cores", lambda: 1)


class ByProcesses(TinyImages):
    """Has its pictures read by worker processes."""

    def __init__(self, name: str, reader: Pictures) -> None:
        super().__init__(name)
        self.pictures = reader
        self.entry = torch.nn.Identity()

    def reader(self) -> Reader:
        return self.pictures

    def build(self) -> dict[str, torch.nn.Module]:
        class ToPixels(torch.nn.Module):
            def forward(self, hidden: torch.Tensor) -> torch.Tensor:
                return hidden.float().permute(0, 3, 1, 2) / 255

        return {"pixels": ToPixels(), **super().build()}


@pytest.mark.slow
def test_a_picture_that_stops_its_process_is_named_as_are_files_that_change_under_it(
    paths: list[Path], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths[11] = paths[11].rename(paths[11].with_name("crash.png"))
    by_one_worker(monkeypatch)
    keys = keys_of(paths)
    other_picture(paths[3])
    paths[5].unlink()
    found = run(paths, store, ByProcesses("tiny", Pictures(os.getpid())), keys=keys, batch_size=4)
    assert found.failures == {3: CHANGED, 5: "is missing", 11: STOPPED}
    monkeypatch.setattr(feeding, "PROCESSES_FROM", 10**6)
    here = run(paths, FeatureStore(store.root, 10**9), ByProcesses("tiny", Pictures(os.getpid())))
    assert (here.computed, here.reused, here.failures) == (2, 9, {5: "is missing"})
    alone = run(paths, None, ByProcesses("tiny", Pictures(os.getpid())))
    np.testing.assert_allclose(found.pooled(), alone.pooled(found.rows), atol=1e-6)


@pytest.mark.slow
def test_an_interrupt_ends_the_workers_even_while_its_traceback_is_kept(
    paths: list[Path], store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a notebook keeps the last one."""

    class Interrupted(Quiet):
        @contextmanager
        def counter(self, label: str, total: int | None, unit: str) -> Iterator[Advance]:
            def advance(items: int, note: str = "") -> None:
                assert workers(), "there are some to end"
                raise KeyboardInterrupt

            yield advance

    def workers() -> set[int]:
        return reading_workers_of(os.getpid()) - others

    others: set[int] = set()
    others = workers()
    if not LISTED:
        pytest.skip("this system does not list the children of a process")
    by_one_worker(monkeypatch)
    with pytest.raises(KeyboardInterrupt) as kept:
        run(paths, store, ByProcesses("tiny", Pictures(os.getpid())), batch_size=2, reporter=Interrupted())
    assert kept.value.__traceback__ is not None
    assert not workers()


# --- what is in the files ---


def kinds(folder: Path) -> dict[str, Path]:
    """Pictures of the kinds that are easily read wrongly."""
    draws = np.random.default_rng(5)
    rgb = Image.fromarray(draws.integers(0, 255, (6, 8, 3), dtype=np.uint8)).resize((90, 70))
    wide = Image.fromarray((np.arange(6300, dtype=np.uint32).reshape(70, 90) * 10).astype(np.uint16))
    turned = Image.Exif()
    turned[0x0112] = 6
    saved: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "plain.jpg": (rgb, {"quality": 95}),
        "turned.jpg": (rgb, {"quality": 95, "exif": turned}),
        "turned.png": (rgb, {"exif": turned}),
        "cmyk.jpg": (rgb.convert("CMYK"), {}),
        "wide.png": (wide, {}),
        "wide.tif": (wide, {}),
        "float.tif": (Image.fromarray(np.linspace(0, 1, 6300, dtype=np.float32).reshape(70, 90)), {}),
        "palette.png": (rgb.quantize(16), {}),
        "alpha.webp": (rgb.convert("RGBA"), {"lossless": True}),
    }
    for name, (image, how) in saved.items():
        image.save(folder / name, **how)
    return {name: folder / name for name in saved}


def test_pictures_of_every_kind_give_the_features_of_what_pillow_reads(tmp_path: Path, store: FeatureStore) -> None:
    backbone = TimmImages(reference="test_resnet", weights="random", image_size=64).load()
    found = kinds(tmp_path)
    as_read = tmp_path / "as read"
    as_read.mkdir()
    plain = []
    for name, path in found.items():
        decode_image(path).save(as_read / f"{name}.png")
        plain.append(as_read / f"{name}.png")
    features = run(list(found.values()), store, backbone)
    assert features.failures == {}
    expected = run(plain, None, backbone).pooled()
    np.testing.assert_allclose(features.pooled(), expected, atol=1e-4)
    turned = list(found).index("turned.png")
    Image.open(found["plain.jpg"]).save(tmp_path / "upright.png")
    assert np.abs(run([tmp_path / "upright.png"], None, backbone).pooled()[0] - expected[turned]).max() > 1e-3


def test_what_is_no_sound_picture_is_named_and_the_rest_goes_on(tmp_path: Path, store: FeatureStore) -> None:
    backbone = TimmImages(reference="test_resnet", weights="random", image_size=32).load()
    found = kinds(tmp_path)
    broken = {
        "empty.png": b"",
        "cut.jpg": found["plain.jpg"].read_bytes()[:-300],
        "cut.png": found["wide.png"].read_bytes()[:-100],
        "text.jpg": b"no picture at all",
        "bomb.jpg": jpeg_bomb(found["plain.jpg"].read_bytes()),
        "bomb.png": png_bomb(),
    }
    for name, content in broken.items():
        (tmp_path / name).write_bytes(content)
    names = [*broken, "plain.jpg", "wide.png"]
    features = run([tmp_path / name for name in names], store, backbone)
    assert features.rows.tolist() == [6, 7]
    reasons = {names[row]: reason for row, reason in features.failures.items()}
    assert reasons["empty.png"] == "is empty (0 bytes)"
    assert "truncated" in reasons["cut.jpg"] and "cannot be decoded" in reasons["cut.png"]
    assert reasons["text.jpg"] == "is not an image that Pillow can read"
    assert "too large" in reasons["bomb.jpg"] and "too large" in reasons["bomb.png"]


def jpeg_bomb(content: bytes) -> bytes:
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + (60_000).to_bytes(2, "big") * 2 + content[at + 4 :]


def png_bomb() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(10**6))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
