"""How the page tells what was frozen, trained, tried, and how long it took."""

from __future__ import annotations

import math
import re

import odd_records as odd
import pytest
import sample_records as samples
import searched_records as found
from report_page import page

from headstart.pipeline.record import BudgetRow, RunRecord, StageRow
from headstart.present.report import candidates, stages
from headstart.present.report.write import render
from metric_infos import metric_infos


def blocks(record: RunRecord) -> list[tuple[str, float, float, float]]:
    """Kind, left, width and height of each block."""
    pattern = r'<rect class="block (\w+)" x="([\d.]+)%" y="[\d.]+" width="([\d.]+)%" height="([\d.]+)"'
    drawn = re.findall(pattern, str(stages.picture(record)))
    return [(kind, float(left), float(width), float(height)) for kind, left, width, height in drawn]


def test_blocks_run_from_input_to_head_as_wide_as_they_are_large() -> None:
    record = samples.classification().model_copy(update={"head": found.HEAD})
    drawn = blocks(record)
    assert [kind for kind, *_ in drawn] == ["frozen"] * 4 + ["trained"] * 2
    lefts, widths = [left for _, left, _, _ in drawn], [width for _, _, width, _ in drawn]
    assert lefts == sorted(lefts) and lefts[0] == 0
    assert all(left + width < after for left, width, after in zip(lefts, widths, lefts[1:]))
    assert lefts[-1] + widths[-1] == pytest.approx(100)
    assert widths[:5] == sorted(widths[:5]) and widths[4] > 3 * widths[3]
    assert min(widths) > 1, "a small stage is seen too"


def test_frozen_blocks_lie_low_and_faster_ones_stand_taller() -> None:
    drawn = blocks(found.searched())
    frozen = {height for kind, _, _, height in drawn if kind == "frozen"}
    trained = [height for kind, _, _, height in drawn if kind == "trained"]
    assert len(frozen) == 1 and frozen.pop() < min(trained)
    assert trained == sorted(trained) and trained[0] < trained[-2] < trained[-1]


def test_a_stage_of_which_some_parameters_moved_is_told_from_one_that_moved_whole() -> None:
    assert {kind for kind, *_ in blocks(found.deep())} == {"frozen", "partly", "trained"}
    text = page(found.deep()).text
    assert "trained in part 14.2 M 98.3 k 2e-4" in text
    assert "4.6 M of 791.4 M parameters" in text


def test_picture_is_told_in_words() -> None:
    words = stages.in_words(found.searched())
    assert words == (
        "Frozen: embeddings to blocks.7 (14.6 M). "
        "Trained: blocks.8 to norm (7.1 M) at 2.75e-5 to 1e-4, head (770) at 0.001."
    )
    html = render(found.searched())
    assert f"<desc>{words}</desc>" in html and f"<p>{words}</p>" in html


def test_late_stages_say_from_when_on_they_moved() -> None:
    assert (
        "blocks.9 trained 1.8 M 1.8 M 4.23e-5 after 40 % blocks.10 trained 1.8 M 1.8 M 6.5e-5 at once"
        in page(found.searched()).text
    )


def test_labels_are_left_out_where_they_do_not_fit() -> None:
    drawing = str(stages.picture(found.searched()))
    assert "2.75e-5</text>" in drawing and "2.75e-5, after 40 %" not in drawing
    drawing = str(stages.picture(found.deep()))
    assert "of-a-rather-long-name</text>" not in drawing
    assert re.search(r'<text class="name wide-screen"[^>]*>blocks.3</text>', str(stages.picture(found.searched())))
    assert re.search(r'<text class="name"[^>]*>layer4</text>', str(stages.picture(samples.classification())))


def test_records_of_before_count_every_parameter_of_a_trained_stage() -> None:
    old = StageRow.model_validate({"name": "s", "parameters": 7, "state": "trained", "learning_rate": 0.1})
    assert stages.kind(old) == "trained" and stages.moved(old) == 7
    assert stages.moved(old.model_copy(update={"state": "frozen"})) == 0


def test_a_head_that_was_solved_for_says_so() -> None:
    head = found.HEAD.model_copy(update={"learning_rate": 0.0})
    record = samples.classification().model_copy(update={"stages": samples.stages(5), "head": head})
    assert stages.in_words(record) == "Frozen: stem to layer4 (11.2 M). Trained: head (770), solved."
    assert "head trained 770 770 solved" in page(record).text
    assert blocks(record)[-1][3] > blocks(record)[0][3]


def test_a_picture_in_which_nothing_moved_is_low() -> None:
    heights = [
        int(re.search(r'height="(\d+)"><title>Frozen', str(stages.picture(record)))[1])  # type: ignore[index]
        for record in (samples.classification().model_copy(update={"stages": samples.stages(5)}), found.searched())
    ]
    assert heights[0] + 40 < heights[1]


def test_stages_without_parameters_are_drawn() -> None:
    row = StageRow(name="s", parameters=0, state="frozen", learning_rate=0)
    record = samples.classification().model_copy(update={"stages": (row, row)})
    assert [width for *_, width, _ in blocks(record)] == pytest.approx([49.75, 49.75])


def test_candidates_are_listed_with_what_became_of_them() -> None:
    seen = page(found.searched())
    assert "candidates" in seen.ids()
    assert "full, 1e-5 90.2 % (86.7–93.2) 1e-5 2 5.2 s ● dropped after round 1" in seen.text
    assert "not defined 0.001 1 2.2 s ▼ failed: the loss is not finite in stage blocks.3" in seen.text
    assert "gradual, 1e-4 95.8 % (92.3–98.8) 1e-4 12 14.6 s ▲ kept" in seen.text
    assert "probe 91.7 % (88.2–94.7) – – 900 ms" in seen.text
    table = seen.text[seen.text.index("Outcome") :]
    order = ("gradual, 1e-4", "partial, 1e-4", "lora, 5e-4", "probe", "full, 1e-5", "full, 1e-4", "full, 1e-3")
    places = [table.index(f"{name} ") for name in order]
    assert places == sorted(places)
    assert "candidates" not in page(samples.classification()).ids()


def test_best_candidates_are_drawn_the_kept_one_first() -> None:
    drawing = str(candidates.plot(found.searched()))
    names = re.findall(r'class="name"[^>]*>([^<]+)<', drawing)
    assert names[:3] == ["gradual, 1e-4 (kept)", "partial, 1e-4", "lora, 5e-4"] and "full, 1e-3" not in names
    many = str(candidates.plot(found.deep()))
    assert len(re.findall(r'class="name"', many)) == candidates.MOST_DRAWN
    assert "(kept)" in many and "nan" not in many
    assert "and 21 more candidates" in page(found.deep()).text


def test_a_loss_ranks_candidates_the_other_way() -> None:
    losses = {"primary_metric": "rmse", "metrics": metric_infos("rmse")}
    drawing = str(candidates.plot(found.searched().model_copy(update=losses)))
    assert re.findall(r'class="name"[^>]*>([^<]+)<', drawing)[1] == "full, 1e-4"


def test_times_are_held_against_the_budget() -> None:
    text = page(found.searched()).text
    assert "52.3 s of the 1 min allowed." in text
    assert "training 41.2 s 45.0 s" in text and "the probe 900 ms –" in text
    assert "over the budget" not in text and "over the budget" in page(found.deep()).text
    assert "Allowed" not in page(odd.regression()).text


def test_a_budget_without_limits_per_step_has_no_column_of_its_own() -> None:
    record = samples.classification().model_copy(update={"budget": BudgetRow(seconds=400, used=326)})
    text = page(record).text
    assert "5 min 26 s of the 6 min 40 s allowed." in text and "Allowed" not in text


def test_undefined_candidate_survives_the_file() -> None:
    record = RunRecord.model_validate_json(found.searched().model_dump_json())
    assert math.isnan(record.candidates[3].val_metric) and record.budget == found.searched().budget
