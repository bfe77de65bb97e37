"""The report of a pretraining: what it tells, what it warns of, and that nothing in it is more than text."""

from __future__ import annotations

from pathlib import Path

import pytest
from pretrained_records import harmed, pretrained, unjudged
from report_page import Page

from headstart.kernel.errors import RunError
from headstart.kernel.files import write_json
from headstart.pipeline.run_folder import read_any, read_record
from headstart.present.report.pretraining_curves import monitors
from headstart.present.report.write import MOST_BYTES, render, report


def test_it_tells_the_gain_the_course_the_views_and_what_repeats_it() -> None:
    found = Page(render(pretrained()))
    for told in (
        "A linear probe on it reaches accuracy 84.1 %",
        "+12.3 points",
        "k-NN accuracy",
        "Effective rank",
        "2 epochs are a pass over the data",
        "a/broken.png",
        "headstart pretrain scans --labelled sample --budget 30m",
        "pca",
    ):
        assert told in found.text, told
    pictures = [attributes for tag, attributes in found.tags if tag == "img"]
    assert len(pictures) == 18 and all(picture["alt"] for picture in pictures)
    charts = [tag for tag, _ in found.tags if tag == "svg"]
    assert len(charts) >= 4 + 2 and len(found.ids()) == len(set(found.ids()))
    assert len(render(pretrained()).encode()) < MOST_BYTES


def test_a_result_that_is_worse_than_its_start_is_named_in_front() -> None:
    assert "Training made the features worse" in Page(render(harmed())).text
    assert "Training made the features worse" not in Page(render(pretrained())).text


def test_names_stay_text_and_pictures_from_elsewhere_stay_out() -> None:
    html = render(unjudged())
    found = Page(html)
    assert "script" not in {tag for tag, _ in found.tags} and "elsewhere.example" not in html
    assert "Figures on the test part" not in found.text


def test_monitors_begin_before_the_first_step() -> None:
    loss, *others = monitors(pretrained())
    assert (loss.name, loss.epochs[:2], loss.first) == ("loss", [0, 1], 5.5)
    assert {monitor.name for monitor in others} == {"feature_std", "effective_rank", "knn_accuracy"}


def test_the_record_of_a_pretraining_is_read_as_one_and_is_no_fit(tmp_path: Path) -> None:
    write_json(tmp_path / "record.json", pretrained().model_dump(mode="json"))
    assert str(read_any(tmp_path)) == str(pretrained())
    with pytest.raises(RunError, match="pretrained without labels, so it predicts nothing"):
        read_record(tmp_path)
    assert report(tmp_path).read_text(encoding="utf-8") == render(pretrained())
