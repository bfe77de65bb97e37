"""A saved model comes back whole or is refused with the reason; models of earlier formats stay readable."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save
from torch import nn

from headstart.backbones.hf_text import HfText
from headstart.backbones.table_features import TableFeatures
from headstart.backbones.timm_images import TimmImages
from headstart.contracts.backbone import Backbone
from headstart.contracts.format import Columns
from headstart.contracts.model import FORMAT_NUMBER, Model, load_backbone, load_model, require_possible
from headstart.contracts.model_files import model_hash
from headstart.kernel import registry
from headstart.kernel.errors import HeadstartError, RunError, SettingsError
from headstart.kernel.files import hash_bytes
from headstart.kernel.user_settings import naming_faults
from headstart.tasks.classification.task import Classification
from headstart.tasks.regression.task import Regression
from tiny_text_models import SENTENCES, save_tiny


def model_on(backbone: Backbone, task: Any = None) -> Model:
    task = task or Classification().restore({"classes": ("ant", "bee", "Ä"), "counts": (3, 4, 5)})
    heads = nn.ModuleDict({"head": task.head(backbone)})
    calibration = {"temperature": 1.25} if "temperature" in task.evaluation.limits else {}
    columns = Columns(text=("review",), label="stars", slices=("camera",))
    return Model(backbone, task, heads, columns, {"runner": "eager", "precision": "float32"}, calibration)


def predicted(model: Model, raws: list[Any]) -> torch.Tensor:
    backbone = model.eval().backbone
    with torch.no_grad():
        state = backbone.segment(0, len(backbone.stages))(backbone.prepare(raws))
        outputs: torch.Tensor = model.heads["head"](backbone.features(state).pooled)
    return outputs


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small model with weights in its backbone."""
    model_on(TimmImages(reference="test_resnet", weights="random", image_size=32).load()).save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def described(saved: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((saved / "model.json").read_text())
    return content


def test_everything_comes_back_bit_for_bit(saved: Path) -> None:
    first = load_model(saved)
    first.save(saved.parent / "again")
    again = load_model(saved.parent / "again")
    assert (saved.parent / "again" / "model.json").read_bytes() == (saved / "model.json").read_bytes()
    assert again.backbone.weights_hash() == first.backbone.weights_hash()
    assert again.task == Classification().restore({"classes": ("ant", "bee", "Ä"), "counts": (3, 4, 5)})
    assert again.columns == Columns(text=("review",), label="stars", slices=("camera",))
    assert again.execution == {"runner": "eager", "precision": "float32"}
    assert again.calibration == {"temperature": 1.25}
    assert again.backbone.name == "test_resnet"


def test_a_loaded_model_is_in_evaluation_mode(saved: Path) -> None:
    model = load_model(saved)
    assert not any(module.training for part in (model.backbone.module, model.heads) for module in part.modules())


def test_a_text_model_takes_its_tokenizer_along(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "source", "bert", num_hidden_layers=2)
    model = model_on(HfText(reference=str(source)).load())
    expected = predicted(model, SENTENCES)
    model.save(tmp_path / "model")
    shutil.rmtree(source)
    assert torch.equal(predicted(load_model(tmp_path / "model"), SENTENCES), expected)


@pytest.mark.slow
def test_a_fresh_process_predicts_the_same(tmp_path: Path) -> None:
    model = model_on(TableFeatures(columns=2).load(), Regression().restore({"mean": 3.0, "scale": 0.1}))
    model.save(tmp_path / "model")
    program = (
        "import sys, numpy, torch\nfrom pathlib import Path\nfrom headstart.contracts.model import load_model\n"
        "model = load_model(Path(sys.argv[1]))\n"
        "state = model.backbone.prepare([numpy.array([0.5, -2.0])])\n"
        "print(model.heads['head'](model.backbone.features(state).pooled).item(), model.task.mean)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "model")],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    value, mean = map(float, done.stdout.split())
    assert value == pytest.approx(predicted(model, [np.array([0.5, -2.0])]).item(), abs=1e-7) and mean == 3.0


def test_saving_again_replaces_the_model_and_leaves_no_scraps(saved: Path) -> None:
    model = load_model(saved)
    with torch.no_grad():
        model.heads["head"].weight.fill_(0.5)
    model.save(saved)
    assert sorted(path.name for path in saved.iterdir()) == ["model.json", "model.safetensors"]
    assert bool((load_model(saved).heads["head"].weight == 0.5).all())


def test_a_model_that_was_not_written_to_its_end_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise HeadstartError("cannot write: No space left on device")

    monkeypatch.setattr("headstart.contracts.model.write_json", full)
    with pytest.raises(HeadstartError, match="No space left"):
        model_on(TableFeatures(columns=2).load()).save(tmp_path)
    with pytest.raises(RunError, match=r"holds no Headstart model: model\.json is missing"):
        load_model(tmp_path)


@pytest.mark.parametrize("place", [3, 200, -1])
def test_a_flipped_bit_in_the_weights_is_found(saved: Path, place: int) -> None:
    flip(saved / "model.safetensors", place)
    with pytest.raises(RunError, match=r"model\.safetensors is damaged: its content does not match the hash"):
        load_model(saved)


def test_a_flipped_bit_in_the_tokenizer_is_found(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "source", "bert", num_hidden_layers=1)
    model_on(HfText(reference=str(source)).load()).save(tmp_path / "model")
    flip(tmp_path / "model" / "assets" / "tokenizer.json", 500)
    with pytest.raises(RunError, match=r"tokenizer\.json is damaged: its content does not match"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_missing_file_is_named(saved: Path, name: str) -> None:
    (saved / name).unlink()
    with pytest.raises(RunError, match=name.replace(".", r"\.")):
        load_model(saved)


def test_a_missing_asset_is_named(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "source", "bert", num_hidden_layers=1)
    model_on(HfText(reference=str(source)).load()).save(tmp_path / "model")
    (tmp_path / "model" / "assets" / "config.json").unlink()
    with pytest.raises(RunError, match=r"assets/config\.json cannot be read: No such file"):
        load_model(tmp_path / "model")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("\xff\xfe{}", "is not JSON"),
        ("[1, 2]", "has no format number"),
        ('"text"', "has no format number"),
        ("{}", "has no format number"),
        ('{"format": "1"}', "has no format number"),
        ('{"format": 1}', r"weights_hash is missing(.|\n)*task is missing"),
        ('{"format": 1, "model_type": "bert", "architectures": ["BertModel"]}', r"model_type is not a setting"),
    ],
)
def test_foreign_and_damaged_descriptions_are_refused(saved: Path, content: str, reason: str) -> None:
    (saved / "model.json").write_text(content, encoding="latin-1")
    with pytest.raises(RunError, match=reason):
        load_model(saved)


def test_a_newer_format_says_what_to_do(saved: Path, described: dict[str, Any]) -> None:
    write(saved, {**described, "format": FORMAT_NUMBER + 1, "something": "new"})
    with pytest.raises(RunError, match=rf"has format {FORMAT_NUMBER + 1}; .* up to {FORMAT_NUMBER}\. Please update"):
        load_model(saved)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d["task"].update(plugin="classifikation"), "Did you mean 'classification'"),
        (lambda d: d["backbone"].update(plugin="timm"), "backbone family 'timm' is not known"),
        (lambda d: d["task"]["settings"].update(classes=7), r"task\.classes = 7"),
        (lambda d: d["backbone"]["settings"].pop("reference"), r"backbone\.reference is missing"),
        (
            lambda d: d["task"]["learnt"].update(classes=["ant", "bee"], counts=[3, 4]),
            "does not fit its own description",
        ),
        (lambda d: d.update(heads=["head", "another"]), "does not fit its own description"),
        (lambda d: d.update(calibration={"temperature": "warm"}), r"calibration\.temperature = 'warm'"),
        (lambda d: d.update(heads=[]), "no head named 'head'"),
        (lambda d: d.update(heads=["head", "a.b"]), r"heads\.1 = 'a\.b'"),
        (lambda d: d.update(heads=["head", "type"]), "describes heads that cannot be built"),
        (lambda d: d.update(assets={"../weights": "0"}), "names the asset '../weights'"),
        (lambda d: d.update(format=0), "no format number"),
        (lambda d: architecture(d).update(arguments={"checkpoint_path": "x"}), "'checkpoint_path' is not allowed"),
        (lambda d: architecture(d)["configuration"].update(file="x.pth"), r"configuration\.file is not a setting"),
        (lambda d: architecture(d).update(name="local-dir:elsewhere"), "timm architecture 'local-dir:elsewhere'"),
        (lambda d: architecture(d).update(name="vit_giant_patch14_224"), "it declares .* but only"),
        (lambda d: d.update(backbone=table(columns=2, width=10**4, depth=10**6)), "it declares .* but only"),
        (lambda d: d.update(backbone=table(columns=10**30)), "describes a backbone that cannot be built"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    saved: Path, described: dict[str, Any], change: Callable[[Any], Any], reason: str
) -> None:
    change(described)
    write(saved, described)
    with pytest.raises(RunError, match=reason):
        load_model(saved)


def architecture(description: Any) -> Any:
    return description["backbone"]["settings"]["architecture"]


def table(**settings: int) -> dict[str, Any]:
    return {"plugin": "table_mlp", "settings": settings}


CLASSES = {"classes": ("ant", "bee"), "counts": (3, 4)}
LABELS = {**CLASSES, "examples": 5, "separator": "|"}
NUMBERS = {"mean": -1.0, "scale": 2.0}
TYPES = {"types": ("PER", "LOC"), "several_words": True}
MASKS = {
    "classes": ("ant", "bee"),
    "values": (0, 7),
    "coloured": False,
    "pixels": (9, 1),
    "image_side": 64,
    "tile": None,
    "longest": 64,
    "reachable": 1.0,
    "in_mm": False,
}


@pytest.mark.parametrize(
    ("plugin", "sound", "calibration"),
    [
        ("classification", CLASSES, {"temperature": 1.0}),
        ("multilabel", LABELS, {"threshold ant": 0.3, "threshold bee": 0.7}),
        ("regression", NUMBERS, {}),
        ("tagging", TYPES, {"temperature": 20.0}),
        ("segmentation", MASKS, {}),
    ],
)
def test_what_binding_and_calibration_leave_is_taken(
    plugin: str, sound: dict[str, Any], calibration: dict[str, float]
) -> None:
    require_possible(calibration, registry.plugin("tasks", plugin)().restore(sound).evaluation)


@pytest.mark.parametrize(
    ("plugin", "settings", "calibration", "reason"),
    [
        ("classification", {**CLASSES, "classes": ("ant", "ant")}, {}, "'ant' stands 2 times"),
        ("classification", {"classes": ("ant",), "counts": (1,)}, {}, "at least 2 items"),
        ("classification", {**CLASSES, "counts": (3,)}, {}, "has 1 numbers for 2 names"),
        ("classification", {**CLASSES, "counts": (3, -1)}, {}, "task.counts.1 = -1"),
        *(
            ("classification", CLASSES, {"temperature": number}, "calibration.temperature = ")
            for number in (0.0, -1.0, float("nan"), float("inf"), 1e-300)
        ),
        ("classification", CLASSES, {"warmth": 1.0}, "calibration 'warmth' is not known"),
        ("multilabel", {**LABELS, "classes": ("ant", "ant")}, {}, "'ant' stands 2 times"),
        ("multilabel", {**LABELS, "examples": 2}, {}, "task.examples = 2"),
        ("multilabel", LABELS, {"threshold ant": 0.0}, "calibration.threshold ant = 0.0"),
        ("multilabel", LABELS, {"threshold bee": float("nan")}, "calibration.threshold bee = nan"),
        ("multilabel", LABELS, {"threshold cat": 0.5}, "calibration 'threshold cat' is not known"),
        ("regression", {**NUMBERS, "mean": float("nan")}, {}, "task.mean = nan"),
        ("regression", {**NUMBERS, "scale": 0.0}, {}, "task.scale = 0.0"),
        ("regression", {**NUMBERS, "scale": float("inf")}, {}, "task.scale = inf"),
        ("regression", NUMBERS, {"temperature": 1.0}, "calibration 'temperature' is not known"),
        ("tagging", {**TYPES, "types": ()}, {}, "at least 1 item"),
        ("tagging", {**TYPES, "types": ("PER", "PER")}, {}, "'PER' stands 2 times"),
        ("tagging", {**TYPES, "types": ("PER",)}, {"temperature": 0.0}, "calibration.temperature = 0.0"),
        ("segmentation", {**MASKS, "classes": ("a", "a")}, {}, "'a' stands 2 times"),
        ("segmentation", {**MASKS, "classes": ("a", "b"), "values": (1, 1)}, {}, "'1' stands 2 times"),
        ("segmentation", {**MASKS, "values": (1,)}, {}, "has 1 numbers for 2"),
        ("segmentation", {**MASKS, "reachable": float("nan")}, {}, "task.reachable = nan"),
        ("segmentation", {**MASKS, "image_side": 10**6}, {}, "task.image_side = 1000000"),
    ],
)
def test_what_no_training_leaves_is_refused_by_name(
    plugin: str, settings: dict[str, Any], calibration: dict[str, float], reason: str
) -> None:
    kind = registry.plugin("tasks", plugin)
    with pytest.raises(SettingsError, match=reason), naming_faults(kind, "task"):
        require_possible(calibration, kind().restore(settings).evaluation)


def test_a_temperature_of_0_is_refused_where_the_model_is_read(saved: Path, described: dict[str, Any]) -> None:
    write(saved, {**described, "calibration": {"temperature": 0}})
    with pytest.raises(RunError, match=r"calibration\.temperature = 0\.0 is not a number from 0\.05 to 20"):
        load_model(saved)


@pytest.mark.parametrize("part", ["backbone", "heads"])
def test_weights_that_are_no_numbers_are_refused(saved: Path, described: dict[str, Any], part: str) -> None:
    state = load_file(saved / "model.safetensors")
    name = next(name for name in state if name.startswith(part) and name.endswith(".weight"))
    content = save({**state, name: state[name] * float("nan")})
    (saved / "model.safetensors").write_bytes(content)
    write(saved, {**described, "weights_hash": hash_bytes(content)})
    with pytest.raises(RunError, match=rf"weights of its {part}: '{name.removeprefix(part + '.')}' holds NaN"):
        load_model(saved)


def test_an_asset_that_nobody_described_is_refused(tmp_path: Path) -> None:
    source = save_tiny(tmp_path / "source", "bert", num_hidden_layers=1)
    model_on(HfText(reference=str(source)).load()).save(tmp_path / "model")
    (tmp_path / "model" / "assets" / "adapter_config.json").write_text("{}")
    with pytest.raises(RunError, match=r"adapter_config\.json does not belong to the model"):
        load_model(tmp_path / "model")


def test_a_model_is_that_of_the_record_beside_it(saved: Path, described: dict[str, Any]) -> None:
    record = saved.parent / "record.json"
    record.write_text(json.dumps({"model_hash": model_hash(saved)}))
    load_model(saved)
    write(saved, {**described, "backbone_name": "another"})
    for read in (load_model, load_backbone):
        with pytest.raises(RunError, match="is not the model that its run has saved"):
            read(saved)
    record.write_text("{}")
    load_model(saved)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("exploded"),)


def test_a_pickle_in_place_of_the_weights_is_never_executed(
    saved: Path, described: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(saved.parent)
    for bomb in (pickle.dumps(Bomb()), pickle.dumps({"heads.head.weight": Bomb()})):
        (saved / "model.safetensors").write_bytes(bomb)
        write(saved, {**described, "weights_hash": hash_bytes(bomb)})
        with pytest.raises(RunError, match=r"model\.safetensors cannot be read"):
            load_model(saved)
    assert not Path("exploded").exists()


FORMAT_1 = {
    "format": 1,
    "backbone": {"plugin": "table_features", "settings": {"reference": "table_features", "columns": 2}},
    "backbone_name": "table_features",
    "task": {
        "plugin": "classification",
        "settings": {"classes": ["no", "yes"], "counts": [7, 3], "class_weights": "none"},
    },
    "heads": ["head"],
    "columns": {
        "text": [],
        "image": None,
        "numeric": ["x", "y"],
        "label": "answer",
        "group": None,
        "domain": None,
        "slices": [],
        "part": None,
    },
    "execution": {"runner": "eager", "precision": "float32", "family": "table_features", "columns": 2},
    "calibration": {"temperature": 2.0},
}
"""model.json as the first Headstart wrote it. Do not edit it to make a test pass: somebody's models look like this."""


def test_a_model_of_format_1_stays_readable(tmp_path: Path) -> None:
    weight, bias = torch.tensor([[1.0, 2.0], [-1.0, 0.5]]), torch.tensor([0.0, 3.0])
    weights = save({"heads.head.weight": weight, "heads.head.bias": bias})
    (tmp_path / "model.safetensors").write_bytes(weights)
    write(tmp_path, {**FORMAT_1, "weights_hash": hash_bytes(weights)})
    model = load_model(tmp_path)
    assert predicted(model, [np.array([1.0, -1.0])]).tolist() == [[-1.0, 1.5]]
    known = {"classes": ("no", "yes"), "counts": (7, 3)}
    assert model.task == Classification(classes=known["classes"]).restore(known)
    assert model.columns.numeric == ("x", "y") and model.columns.label == "answer"
    assert model.calibration == {"temperature": 2.0} and model.execution["runner"] == "eager"


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)


def write(folder: Path, description: Any) -> None:
    (folder / "model.json").write_text(json.dumps(description))
