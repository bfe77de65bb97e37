from __future__ import annotations

from pathlib import Path

import pytest
import torch

from headstart.engine.training.best_epochs import Kept
from headstart.engine.training.checkpoint import Checkpoint, CheckpointFile, EpochResult, Progress


@pytest.fixture
def checkpoint() -> Checkpoint:
    history = [EpochResult(0, 1.0, 0.9, 0.5, 0.01, 2.0)]
    progress = Progress(epochs=5, epoch=1, step=3, loss_sum=0.7, history=history, best_epoch=0, best_cost=0.9)
    weights = {"heads.head.weight": torch.randn(2, 3)}
    optimiser = {"state": {0: {"step": torch.tensor(4.0)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    kept = [Kept(0, 0.9, {"heads.head.weight": torch.randn(2, 3)})]
    return Checkpoint(progress, weights, optimiser, kept, {"heads.head.weight": torch.randn(2, 3)})


def test_a_checkpoint_comes_back_whole(tmp_path: Path, checkpoint: Checkpoint) -> None:
    file = CheckpointFile(tmp_path / "a.checkpoint", "identity")
    file.write(checkpoint)
    back = file.read()
    assert back is not None
    assert back.progress == checkpoint.progress
    assert torch.equal(back.weights["heads.head.weight"], checkpoint.weights["heads.head.weight"])
    assert back.optimiser["param_groups"] == checkpoint.optimiser["param_groups"]
    assert (back.kept[0].epoch, back.kept[0].cost) == (0, 0.9)
    pairs = [(back.kept[0].weights, checkpoint.kept[0].weights), (back.average, checkpoint.average)]
    assert all(torch.equal(one["heads.head.weight"], other["heads.head.weight"]) for one, other in pairs)


def test_what_decides_a_training_beside_its_identity_makes_it_another(tmp_path: Path, checkpoint: Checkpoint) -> None:
    file = CheckpointFile(tmp_path / "a.checkpoint", "identity")
    file.also_by("bfloat16").write(checkpoint)
    assert file.also_by("bfloat16").read() is not None
    assert file.also_by("float32").read() is None


def test_another_training_does_not_take_it(tmp_path: Path, checkpoint: Checkpoint) -> None:
    CheckpointFile(tmp_path / "a.checkpoint", "one").write(checkpoint)
    assert CheckpointFile(tmp_path / "a.checkpoint", "other").read() is None


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_checkpoint_counts_as_none(tmp_path: Path, checkpoint: Checkpoint, damage: str) -> None:
    path = tmp_path / "a.checkpoint"
    file = CheckpointFile(path, "identity")
    file.write(checkpoint)
    content = bytearray(path.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    path.write_bytes({"flip": bytes(content), "cut": bytes(content[:-20]), "empty": b""}[damage])
    assert file.read() is None


def test_a_pickle_with_code_is_never_executed(tmp_path: Path) -> None:
    import io

    from headstart.kernel.files import hash_bytes

    class Attack:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "executed",))

    buffer = io.BytesIO()
    torch.save({"identity": "identity", "progress": Attack()}, buffer)
    body = buffer.getvalue()
    (tmp_path / "a.checkpoint").write_bytes(hash_bytes(body).encode() + body)
    assert CheckpointFile(tmp_path / "a.checkpoint", "identity").read() is None
    assert not (tmp_path / "executed").exists()
