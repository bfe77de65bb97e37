"""The report as a file: what it shows and what it never does."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path

import odd_records as odd
import pytest
import sample_records as samples
import searched_records as found
from pydantic import ValidationError
from report_page import Page, page
from sample_records import write_record

from headstart.contracts.panels import Matrix, Picture, Reliability, Scatter, Table
from headstart.pipeline.record import Arm, DataIssue, Forgetting, FrozenPass, RunRecord, SliceRow
from headstart.present.report.write import MOST_BYTES, render, report

pytestmark = pytest.mark.slow

LOADS = {"src", "href", "xlink:href", "srcset", "poster", "data", "action", "formaction", "background"}
RECORDS = [
    samples.classification,
    found.searched,
    found.deep,
    found.continued,
    odd.regression,
    odd.negative_transfer,
    odd.hostile,
]
SECTIONS = "figures comparisons predictions slices mistakes tried curves stages decisions time data repeat".split()


def check_self_contained(html: str) -> None:
    """Nothing is loaded, nothing runs."""
    for tag, attributes in Page(html).tags:
        assert tag not in {"script", "iframe", "object", "embed", "base", "form"}
        for name, value in attributes.items():
            assert not name.startswith("on"), (tag, name)
            if name in LOADS:
                assert re.match(r"#[a-z-]+$|data:(,$|image/\w+;base64,)", value), (tag, name, value[:80])
    assert "url(" not in html and "@import" not in html
    assert "default-src 'none'" in html


def test_report_is_written_into_the_run_folder(tmp_path: Path) -> None:
    write_record(tmp_path, samples.classification())
    assert report(tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(samples.classification())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "record.json", "report.html"]


def test_report_is_written_where_asked_and_takes_a_string(tmp_path: Path) -> None:
    write_record(tmp_path, odd.regression())
    out = tmp_path / "deep" / "page.html"
    assert report(str(tmp_path), out=out) == out
    assert out.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("make", RECORDS)
def test_page_is_sound_small_and_loads_nothing(make: Callable[[], RunRecord]) -> None:
    html = render(make())
    check_self_contained(html)
    assert len(html.encode()) < 300_000
    ids = page(make()).ids()
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("make", RECORDS)
def test_headings_are_in_order_and_tables_have_headers(make: Callable[[], RunRecord]) -> None:
    tags = page(make()).tags
    levels = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(a.get("scope") in {"col", "row"} for tag, a in tags if tag == "th")
    heads = [after for (tag, _), (after, _) in itertools.pairwise(tags) if tag == "table"]
    assert heads and set(heads) == {"thead"}


def test_all_sections_are_there_and_linked() -> None:
    seen = page(samples.classification())
    links = [a["href"] for tag, a in seen.tags if tag == "a"]
    for section in SECTIONS:
        assert section in seen.ids()
        assert f"#{section}" in links


def test_every_chart_has_a_text_alternative() -> None:
    html = render(samples.classification())
    charts = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(charts) == 6 + 2 + 4 + 1 + 1 + 1
    for chart in charts:
        assert re.search(r'role="img".*?><title>[^<]+</title><desc>[^<]+</desc>', chart)
        assert "NaN" not in chart and "nan" not in chart


def test_figures_come_with_their_intervals() -> None:
    text = page(samples.classification()).text
    assert "95.4 % (92.2–98.6)" in text
    assert "0.142 (0.081–0.203)" in text
    assert "+26.8 points (+19.4 to +34.2)" in text
    assert "+3.9 points (−0.2 to +8.0)" in text
    assert "not significant" in text


def test_run_can_be_repeated_from_the_page() -> None:
    record = samples.classification()
    text = page(record).text
    for piece in (
        record.command,
        "Seed 7",
        "torch 2.9.0",
        "2 cores, AVX-512",
        "21 November 2026, 14:03 UTC",
        "3 min 35 s",
    ):
        assert piece in text
    assert all(decision.reason in text for decision in record.decisions)


def test_stages_tell_frozen_from_trained() -> None:
    text = page(samples.classification()).text
    assert "layer3 frozen 2.1 M" in text
    assert "layer4 trained 8.4 M" in text
    assert "8.4 M of 11.2 M parameters" in text


def test_the_work_of_the_frozen_pass_shows_what_held_it_up() -> None:
    record = samples.classification()
    assert "Work of the frozen pass: reading 52 %, network 47 %, storing 1 %." in page(record).text
    stored = record.model_copy(update={"frozen_pass": FrozenPass(reused=2000)})
    assert "Work of the frozen pass" not in page(stored).text


def test_verdict_comes_before_every_figure() -> None:
    record = samples.classification()
    html = render(record)
    assert html.index('class="verdict') < html.index('class="facts"') < html.index('id="figures"')
    assert record.verdict in page(record).text


def test_negative_transfer_is_a_banner() -> None:
    bad, good = page(odd.negative_transfer()), page(samples.classification())
    assert any(tag == "aside" and "bad" in a["class"] for tag, a in bad.tags)
    assert "Negative transfer" in bad.text and "−4.1 points (−7.1 to −1.1)" in bad.text
    assert "Negative transfer" not in good.text


def test_second_reading_of_the_test_part_is_a_warning() -> None:
    assert "The test part has been read 3 times" in page(odd.negative_transfer()).text
    once = page(samples.classification())
    assert "Test part read once" in once.text
    assert not any(tag == "aside" for tag, _ in once.tags)


def test_leaks_are_a_warning_and_are_named() -> None:
    text = page(odd.negative_transfer()).text
    assert "Leaks between the parts of the split: 3" in text
    assert "test/2.png is a copy of train/2.png" in text


def test_what_was_forgotten_is_held_against_what_was_known() -> None:
    seen = page(found.continued())
    assert "#forgetting" in [a.get("href") for _, a in seen.tags]
    assert "This run began with runs/insects . Both models were evaluated on 148 examples" in seen.text
    assert "Accuracy: −6.8 points (−10.8 to −2.8) ▼ worse" in seen.text
    assert "Log loss 0.150 (0.090–0.210) 0.360 (0.270–0.450)" in seen.text
    assert "Trained on in this run, so not compared: 5" in seen.text
    assert "forgetting" not in page(samples.classification()).ids()


def test_nothing_to_compare_with_is_said() -> None:
    old = Forgetting(run="runs/insects", notes=("its test part is gone",))
    text = page(samples.classification().model_copy(update={"forgetting": old})).text
    assert "its test part is gone" in text and "on the old test part" not in text


def test_spread_over_seeds_is_told() -> None:
    text = page(found.continued()).text
    assert "Spread over 3 runs" in text and "Accuracy 0.6 points 0.6 points 0.6 points" in text
    assert "Log loss 0.012" in text and "seed-0, seed-1, seed-2" in text


def test_worst_slice_is_named_and_marked() -> None:
    text = page(samples.classification()).text
    assert "The worst subgroup is camera = microscope" in text
    assert "microscope worst" in text
    assert "phone worst" not in text and "scan worst" not in text


def test_arms_without_history_have_no_curves() -> None:
    seen = page(odd.regression())
    assert "curves" not in seen.ids()
    assert "Learning curves" not in seen.text
    assert "solved in closed form" in seen.text


def test_matrix_shows_counts_and_row_shares() -> None:
    matrix = Matrix(title="Confusion", names=("a", "b"), counts=((3, 1), (0, 0)))
    seen = page(samples.classification().model_copy(update={"panels": (matrix,)}))
    assert "a 3 75 % 1 25 % 4" in seen.text
    assert "a taken for b, 1 time." in seen.text
    shades = [a["style"] for tag, a in seen.tags if tag == "td" and "--s" in a.get("style", "")]
    assert shades == ["--s:0.87", "--s:0.50", "--s:0.00", "--s:0.00"]


def test_matrix_of_many_names_becomes_a_list_of_confusions() -> None:
    names = tuple(f"class {i}" for i in range(300))
    seen = page(samples.classification().model_copy(update={"panels": (samples.matrix(names),)}))
    assert "300 classes are too many for a matrix" in seen.text
    assert not any("matrix" in a.get("class", "").split() for _, a in seen.tags)


def test_mistakes_are_cards_with_picture_or_text() -> None:
    images, texts = page(samples.classification()), page(odd.regression())
    pictures = [a for tag, a in images.tags if tag == "img"]
    assert len(pictures) == 14 and all(p["src"].startswith("data:image/jpeg;base64,") and p["alt"] for p in pictures)
    assert "99 % sure" in images.text
    assert "A long walk through the old town" in texts.text and "off by 19.2" in texts.text


def test_hostile_strings_stay_text() -> None:
    seen = page(odd.hostile())
    assert not any(tag in {"script", "img"} for tag, _ in seen.tags)
    whole = " ".join(odd.HOSTILE.split())
    assert seen.text.count(whole) > 20
    assert [a["content"] for tag, a in seen.tags if tag == "meta" and a.get("name") == "viewport"]


def test_unreadable_files_are_named_up_to_fifty_and_counted() -> None:
    troubles = tuple(DataIssue(origin=f"file-{i:04}.jpg", reason="is empty") for i in range(1200))
    base = samples.classification()
    data = base.data.model_copy(update={"unreadable": troubles})
    text = page(base.model_copy(update={"data": data})).text
    assert "Could not be read: 1,200" in text and "file-0049.jpg" in text and "and 1,150 more" in text
    assert "file-0050.jpg" not in text


def test_huge_run_stays_below_the_limit() -> None:
    base = samples.classification(tuple(f"a class with a rather long name, number {i}" for i in range(1000)))
    card = base.mistakes[0].model_copy(update={"thumbnail": samples.thumbnail(1, size=900), "text": "word " * 5000})
    rows = tuple(SliceRow(column="c", value=str(i), n=9, figures=base.arms["model"].figures) for i in range(3000))
    points = tuple(float(i) for i in range(50_000))
    record = base.model_copy(
        update={
            "mistakes": (card,) * 400,
            "slices": rows,
            "panels": (*base.panels, Scatter(title="s", x_label="x", y_label="y", x=points, y=points)),
            "arms": {"model": base.arms["model"].model_copy(update={"history": samples.history(5000, 1, 0, 0.9)})},
        }
    )
    html = render(record)
    assert len(html.encode()) < MOST_BYTES
    assert 0 < html.count("<img") < 60


def test_degenerate_run_is_drawn() -> None:
    nothing = float("nan")
    base = samples.classification()
    figures = {"accuracy": samples.figure(nothing, 0.1), "log_loss": samples.figure(0.0, 0.0)}
    epoch = samples.history(1, 1, 0, 0.5)[0].model_copy(update={"val_loss": nothing, "train_loss": float("inf")})
    record = base.model_copy(
        update={
            "arms": {"only": Arm(title="only", figures=figures, history=(epoch,), seconds=nothing)},
            "stages": (),
            "slices": (),
            "mistakes": (),
            "decisions": (),
            "times": {},
            "started": "yesterday",
            "panels": (
                Matrix(title="m", names=("a",), counts=((0,),)),
                Reliability(title="r", bins=()),
                Scatter(title="s", x_label="x", y_label="y", x=(), y=()),
                Table(title="t", header=("a", "accuracy"), rows=()),
            ),
        }
    )
    html = render(record)
    assert "not defined" in html and "yesterday" in html
    assert not re.search(r'(?:d|x|y|x1|y1|cx|cy)="[^"]*(nan|inf)', html)
    assert render(record.model_copy(update={"arms": {}, "comparisons": ()}))


def test_a_picture_that_a_task_drew_is_shown_as_an_image_only() -> None:
    drawn = Picture.of(
        "Boxes", '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', "two <boxes>"
    )
    record = samples.classification().model_copy(update={"panels": (drawn,)})
    page = Page(render(RunRecord.model_validate_json(record.model_dump_json())))
    (image,) = [attributes for tag, attributes in page.tags if tag == "img" and attributes.get("class") == "drawn"]
    assert image["alt"] == "two <boxes>" and image["src"].startswith("data:image/svg+xml;base64,")
    assert "script" not in {tag for tag, _ in page.tags}
    assert "too large for a report" not in page.text
    many = record.model_copy(update={"panels": (Picture.of("Large", b"\xff\xd8" + b"0" * 250_000, "noise"),) * 4})
    assert len(render(many)) < MOST_BYTES and Page(render(many)).text.count("too large for a report") == 2
    with pytest.raises(ValidationError):
        Picture(title="x", image='data:image/png;base64,AA" onerror="alert(1)', alternative="")


def test_undefined_figures_survive_the_file(tmp_path: Path) -> None:
    base = odd.regression()
    figures = {**base.arms["model"].figures, "r2": samples.figure(float("nan"), 0.0)}
    write_record(tmp_path, base.model_copy(update={"arms": {"model": Arm(title="m", figures=figures, seconds=1)}}))
    assert "not defined" in report(tmp_path).read_text(encoding="utf-8")
