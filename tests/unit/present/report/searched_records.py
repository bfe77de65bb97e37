"""Records of runs that searched for their model: candidates, a budget, stages that moved at rates of their own."""

from __future__ import annotations

import math

from sample_records import classification, figure

from headstart.contracts.figures import MetricInfo
from headstart.pipeline.layer_rows import ComparedRow, LayerRow, Layers
from headstart.pipeline.record import BudgetRow, CandidateRow, DataIssue, Decision, Forgetting, RunRecord, StageRow

HEAD = StageRow(name="head", parameters=770, state="trained", learning_rate=1e-3, trained=770)


def searched() -> RunRecord:
    """The last blocks of a ViT, one after the other, found among seven candidates within a minute."""
    base = classification()
    return base.model_copy(
        update={
            "backbone": "vit_small_patch16_224",
            "stages": vit_stages(),
            "head": HEAD,
            "candidates": candidates(),
            "layers": layer_view(),
            "times": {"reading": 0.4, "the frozen pass": 9.8, "the probe": 0.9, "training": 41.2, "the test part": 2.1},
            "budget": BudgetRow(seconds=60.0, used=52.3, steps={"the frozen pass": 20.0, "training": 45.0}),
            "decisions": (
                *base.decisions,
                Decision(
                    what="tuning",
                    value="gradual",
                    reason="the best of 7 candidates on validation by more than its interval; the probe came second",
                ),
            ),
        }
    )


def layer_view() -> Layers:
    """Thirteen stages that rise to the tenth; the sixth is the first on a par with it, and one has no interval."""
    values = [0.4 + 0.05 * min(k, 9) - 0.02 * max(k - 9, 0) for k in range(13)]
    rows = []
    for k, value in enumerate(values):
        shown = figure(value, math.nan if k == 0 else 0.04, most=1.0)
        to_best = ComparedRow(difference=figure(value - 0.85, 0.03), verdict="worse" if k < 6 else "not significant")
        rows.append(LayerRow(name=f"blocks.{k}", width=384, figure=shown, to_best=to_best))
    better = ComparedRow(difference=figure(0.05, 0.03), verdict="better")
    multi = LayerRow(name="multi", width=1536, figure=figure(0.87, 0.04), to_best=better)
    sentence = "Knowledge that transfers ends at blocks.6, stage 7 of 13: accuracy 70.0 % (66.0–74.0) by a probe."
    metric = MetricInfo(title="Accuracy", unit="share")
    return Layers(
        metric=metric, examples=800, folds=3, stages=tuple(rows), best=9, ends=6, multi=multi, sentence=sentence
    )


def deep() -> RunRecord:
    """LoRA in every one of 48 layers, some of long names, and a budget that was overdrawn."""
    rows = tuple(
        StageRow(
            name=f"encoder.layer.{i}.of-a-rather-long-name",
            parameters=14_200_000 if i else 124_000_000,
            state="trained" if i else "frozen",
            learning_rate=2e-4 if i else 0.0,
            trained=98_304 if i else 0,
        )
        for i in range(48)
    )
    many = tuple(
        one.model_copy(update={"name": f"{one.name}, again {i}"}) for i in range(20) for one in candidates()[:-1]
    )
    overdrawn = BudgetRow(seconds=200.0, used=326.1, steps={"fine-tuning": 60.0, "from scratch": 250.0})
    return classification().model_copy(
        update={"stages": rows, "head": HEAD, "candidates": (*many, candidates()[-1]), "budget": overdrawn}
    )


def continued() -> RunRecord:
    """A run that went on from another and has forgotten some of it; it sums up three seeds."""
    old = Forgetting(
        run="runs/insects",
        examples=148,
        metric="accuracy",
        before={"accuracy": figure(0.953, 0.03), "log_loss": figure(0.15, 0.06)},
        after={"accuracy": figure(0.885, 0.05), "log_loss": figure(0.36, 0.09)},
        difference=figure(-0.068, 0.04),
        verdict="worse",
        leaked=tuple(DataIssue(origin=f"ants/{i}.jpg", reason="is a training example of this run") for i in range(5)),
        notes=("5 of its 153 test examples are left out.",),
    )
    base = searched()
    return base.model_copy(
        update={
            "forgetting": old,
            "runs": ("seed-0", "seed-1", "seed-2"),
            "spreads": {name: {"accuracy": 0.0061, "log_loss": 0.012} for name in base.arms},
        }
    )


def vit_stages() -> tuple[StageRow, ...]:
    rows = [StageRow(name="embeddings", parameters=370_944, state="frozen", learning_rate=0)]
    for i in range(12):
        moves = i >= 8
        rows.append(
            StageRow(
                name=f"blocks.{i}",
                parameters=1_774_464,
                state="trained" if moves else "frozen",
                learning_rate=1e-4 * 0.65 ** (11 - i) if moves else 0,
                trained=1_774_464 if moves else 0,
                start=0.4 if moves and i < 10 else 0.0,
            )
        )
    return (*rows, StageRow(name="norm", parameters=768, state="trained", learning_rate=1e-4, trained=768))


def candidates() -> tuple[CandidateRow, ...]:
    tried = [
        ("probe", "probe", math.nan, 0, 0.9, 0.917, "beaten by the model"),
        ("full, 1e-5", "full", 1e-5, 2, 5.2, 0.902, "dropped after round 1"),
        ("full, 1e-4", "full", 1e-4, 2, 5.1, 0.871, "dropped after round 1"),
        ("full, 1e-3", "full", 1e-3, 1, 2.2, math.nan, "failed: the loss is not finite in stage blocks.3"),
        ("lora, 5e-4", "lora", 5e-4, 4, 7.9, 0.924, "dropped after round 2"),
        ("partial, 1e-4", "partial", 1e-4, 4, 6.3, 0.931, "dropped after round 2"),
        ("gradual, 1e-4", "gradual", 1e-4, 12, 14.6, 0.958, "kept"),
    ]
    return tuple(
        CandidateRow(
            name=name,
            tuning=tuning,
            learning_rate=rate,
            epochs=epochs,
            seconds=seconds,
            val_metric=metric,
            val_low=metric - 0.035,
            val_high=min(metric + 0.03, 1.0),
            fate=fate,
        )
        for name, tuning, rate, epochs, seconds, metric, fate in tried
    )
