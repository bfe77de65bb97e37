"""A blend of probe and fine-tuning as a run like any other: one saved model, one way to predict, and exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import headstart
from headstart.contracts.blended_head import Blended
from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Quiet
from headstart.pipeline.run_folder import open_run
from headstart.serving.limits import Limits
from headstart.serving.service import Service

TRAINING = {"epochs": 6, "batch_size": 32, "learning_rate": 0.02, "head_learning_rate": 0.02, "rates_tried": [1.0]}
QUICK: dict[str, Any] = {
    "backbone": "table_mlp",
    "weights": "random",
    "tuning": "full",
    "scratch": False,
    "label_curve": False,
}


def frame(label: str, rows: int = 160, seed: int = 0) -> pd.DataFrame:
    """Two numbers, of which a class, a quantity or a set of marks follows."""
    first, second = np.random.default_rng(seed).normal(size=(2, rows))
    marks = [[name for name, has in (("up", a > 0), ("far", a * b > 0)) if has] for a, b in zip(first, second)]
    labels = {"kind": np.where(first * second + first > 0, "warm", "cold"), "size": first + first * second}
    return pd.DataFrame({"first": first, "second": second, label: marks if label == "marks" else labels[label]})


def settings(weights: list[float] | None = None) -> dict[str, dict[str, Any]]:
    """Of a short training, and of a blend where weights are given."""
    blend = {} if weights is None else {"blend": {"weights": weights}}
    return {"backbone": {"width": 8}, "tuning": TRAINING, **blend}


def fit(label: str, out: Path, weights: list[float] | None = None, **more: Any) -> headstart.Run:
    return headstart.fit(frame(label), label=label, out=out, settings=settings(weights), **{**QUICK, **more})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> headstart.Run:
    folder = tmp_path_factory.mktemp("blend")
    frame("kind").to_csv(folder / "data.csv", index=False)
    given = settings([0.3, 0.7])
    return headstart.fit(folder / "data.csv", label="kind", out=folder / "run", settings=given, **QUICK)


def test_its_answers_are_those_of_its_models_mixed(run: headstart.Run) -> None:
    shape, model = run.model.shape, run.model
    assert isinstance(shape, Blended) and [part.width for part in shape.parts] == [8, 8]
    assert run.record.arms["model"].title.startswith("blend of linear probe on table_mlp and full tuning")
    assert any("0.30 probe + 0.70 full tuning" in one.reason for one in run.record.decisions)
    assert "blend of" in run.report.read_text()
    new = frame("kind", 40, seed=1)
    found = run.predict(new[["first", "second"]])
    judged = run.evaluate(new)
    assert judged.figures["accuracy"].value == (found["prediction"] == new["kind"]).mean()
    weights = model.heads["head"].state_dict()
    assert weights["weights"].tolist() == pytest.approx([0.3, 0.7])
    assert open_run(run.folder).model.backbone.weights_hash() == model.backbone.weights_hash()


def test_its_plan_repeats_it(run: headstart.Run, tmp_path: Path) -> None:
    again = headstart.fit(run.folder / "plan.toml", out=tmp_path / "again")
    for name in ("test_predictions.csv", "model/model.safetensors"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes()


@pytest.mark.parametrize("label", ["size", "marks"])
def test_numbers_and_label_sets_are_mixed_too(label: str, tmp_path: Path) -> None:
    each = [fit(label, tmp_path / str(weight), [1 - weight, weight]) for weight in (0.0, 1.0, 0.4)]
    found = [one.predict(frame(label, 30, seed=1)[["first", "second"]]) for one in each]
    if label == "size":
        probe, tuned, both = (one["prediction"].to_numpy() for one in found)
        assert both == pytest.approx(0.6 * probe + 0.4 * tuned, abs=1e-5)
    else:
        probe, tuned, both = (one[["p_far", "p_up"]].to_numpy() for one in found)
        assert both == pytest.approx(0.6 * probe + 0.4 * tuned, abs=1e-5)
    assert not np.allclose(probe, tuned)


def test_it_is_exported_as_one_graph(run: headstart.Run, tmp_path: Path) -> None:
    found = headstart.export(run.folder, out=tmp_path / "exported")
    assert found.exported.gate.difference < 1e-3 and found.exported.gate.examples > 10


def test_its_two_backbones_are_the_start_of_another_run_and_its_head_cannot_go_on(
    run: headstart.Run, tmp_path: Path
) -> None:
    probed = headstart.fit(
        frame("size"), label="size", out=tmp_path / "probe", backbone=str(run.folder), scratch=False, label_curve=False
    )
    assert probed.model.backbone.width == 16 and isinstance(probed.model.shape, Blended)
    with pytest.raises(SettingsError, match="blended of several, whose head cannot go on"):
        headstart.fit(frame("kind", seed=2), out=tmp_path / "more", from_run=run.folder)


@pytest.mark.parametrize(
    ("blend", "more", "message"),
    [
        ({"weights": [0.5, 0.6]}, {}, "blend.weights = .*: give two weights from 0 to 1 that sum to 1"),
        ({"weights": [0.5, 0.5]}, {"tuning": "auto"}, r"blend.weights = \[0.5, 0.5\] and --tuning auto exclude"),
        ({"weights": [0.5, 0.5]}, {"tuning": "probe"}, "would do nothing with --tuning probe: it needs a fine-tuning"),
        ({"shrinkage": 2.0}, {}, "blend.shrinkage = 2.0 would do nothing with --tuning full: it needs a search"),
        ({"weights": [0.5, 0.5], "allowed": False}, {}, "weights and allowed = false exclude one another"),
        ({"shrinkage": -1.0}, {"tuning": "auto"}, "blend.shrinkage = -1.0: .*greater than or equal to 0"),
        ({"weight": [0.5, 0.5]}, {}, "blend.weight is not a setting. Did you mean 'weights'"),
    ],
)
def test_what_cannot_be_blended_is_named(
    blend: dict[str, Any], more: dict[str, Any], message: str, tmp_path: Path
) -> None:
    given = {"blend": blend}
    with pytest.raises(SettingsError, match=message):
        headstart.fit(frame("kind"), label="kind", out=tmp_path / "run", settings=given, **{**QUICK, **more})
    assert not (tmp_path / "run").exists()


def test_several_backbones_are_weighed_by_what_their_heads_say_of_examples_without_them(
    run: headstart.Run, tmp_path: Path
) -> None:
    good = headstart.fit(frame("kind", 400), label="kind", out=tmp_path / "good", settings=settings(), **QUICK)
    asked: dict[str, Any] = {"label": "kind", "scratch": False, "label_curve": False}
    rows = frame("kind", 200, seed=2)
    both = headstart.fit(rows, backbone=f"{run.folder}+{good.folder}+table_features", out=tmp_path / "both", **asked)
    (told,) = [one for one in both.record.decisions if one.what == "weights of the backbones"]
    shares = [float(part.split()[0]) for part in told.value.split(" + ")]
    assert sum(shares) == pytest.approx(1, abs=0.02) and shares[2] < 0.5, "no line divides the classes of the columns"
    new = frame("kind", 100, seed=3)
    assert both.evaluate(new).figures["accuracy"].value > 0.8
    assert (headstart.load(both.folder).predict(new)["prediction"] == both.predict(new)["prediction"]).all()
    tuned = headstart.fit(
        rows, backbone=str(run.folder), out=tmp_path / "tuned", **asked, tuning="full", settings={"tuning": TRAINING}
    )
    assert "begins with a single one" in " ".join(one.reason for one in tuned.record.decisions)
    with pytest.raises(SettingsError, match="cannot be mixed here"):
        more = {"tuning": "full", "settings": settings([0.5, 0.5]) | {"backbone": {}}}
        headstart.fit(rows, backbone=str(run.folder), out=tmp_path / "again", **more, **asked)


def test_a_service_answers_records_as_predict_does(run: headstart.Run) -> None:
    service = Service(open_run(run.folder), Limits(), Quiet())
    new = frame("kind", 5, seed=4)[["first", "second"]]
    answers = service.answers(new.to_dict("records"))
    assert [one["prediction"] for one in answers] == run.predict(new)["prediction"].tolist()
