"""Transcription: what is learnt of the data, what is told, long clips in windows, and what reports show."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pytest
import torch

import headstart
from headstart.backbones.log_mel import LogMel
from headstart.contracts.backbone import Backbone
from headstart.contracts.examples import Examples, Schema
from headstart.contracts.modality import raws_of
from headstart.contracts.prediction import Prediction
from headstart.contracts.presentation import presentation_of, review_of
from headstart.kernel.errors import DataError
from headstart.tasks.transcription.ctc import greedy, per_frame, prefix_beam
from headstart.tasks.transcription.frame_head import FrameHead
from headstart.tasks.transcription.long_clips import cut_clips, joined_texts
from headstart.tasks.transcription.presentation import TranscriptionPresentation
from headstart.tasks.transcription.task import BoundTranscription, Transcription
from small_sounds import save_tone, tone
from spoken_letters import spoken_letters

pytest.importorskip("jiwer", reason="transcripts are judged by the extra 'audio'")


def clips(folder: Path, seconds: list[float], words: list[str | None] | None = None) -> Examples:
    paths = [str(save_tone(folder / f"{row}.wav", seconds=length)) for row, length in enumerate(seconds)]
    columns: dict[str, Any] = {"path": paths}
    if words is not None:
        columns["transcript"] = pa.array(words, pa.string())
    schema = Schema(
        modality="audio", inputs=("path",), targets={"transcript": "transcript"} if words else {}, origin="path"
    )
    return Examples(pa.table(columns), schema)


def backbone(longest: float = 30.0) -> Backbone:
    return LogMel(rate=8000, longest=longest).load()


def bound(examples: Examples, **settings: Any) -> BoundTranscription:
    return Transcription(**settings).bind(examples, backbone())


def test_frames_are_joined_as_far_as_transcripts_leave_room(tmp_path: Path) -> None:
    roomy = bound(clips(tmp_path, [1.0, 1.0], ["yes no", "no"]))
    assert roomy.join == 3 and roomy.frame_seconds == 0.01 and roomy.crowded == 0
    crowded = bound(clips(tmp_path, [0.5, 0.5], ["so many letters that are said", "and so many that are here"]))
    assert crowded.join == 1 and crowded.crowded == 0


def test_clips_whose_transcripts_do_not_fit_are_counted(tmp_path: Path) -> None:
    task = bound(clips(tmp_path, [1.0, 0.05], ["no", "far too much"]), join=1)
    assert task.crowded == 1
    assert any("1 of 2 clips have more characters than frames" in choice.reason for choice in task.choices())


def test_strange_characters_are_counted_by_character(tmp_path: Path) -> None:
    task = bound(clips(tmp_path, [1.0, 1.0], ["yes", "no"]))
    (told,) = task.warnings(clips(tmp_path, [1.0, 1.0], ["Yes é", "éon"]))
    assert told.startswith("4 characters of the transcripts were not learnt") and "'é' 2" in told and "'Y' 1" in told
    assert task.warnings(clips(tmp_path, [1.0])) == ()


def test_transcripts_that_are_missing_or_all_empty_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 clips have no transcript: .*1\.wav"):
        bound(clips(tmp_path, [1.0, 1.0], ["yes", None]))
    with pytest.raises(DataError, match="the transcripts of all 2 clips are empty"):
        bound(clips(tmp_path, [1.0, 1.0], ["", ""]))


def test_a_padded_batch_has_the_outputs_of_each_clip_alone() -> None:
    torch.manual_seed(0)
    head = FrameHead(6, 4, 16, 3, 0.1, 4, context=True).eval()
    frames, lengths = torch.randn(2, 20, 6), torch.tensor([20, 11])
    together, found = head(frames, lengths)
    alone, one = head(frames[1:, :11], lengths[1:])
    assert found.tolist() == [7, 4] and one.tolist() == [4]
    assert torch.allclose(together[1, :4], alone[0], atol=1e-6)


def test_frames_of_several_stages_are_summed_up_by_learnt_weights() -> None:
    torch.manual_seed(0)
    head = FrameHead(12, 4, 16, 1, 0.0, 0, context=True, stages=2).eval()
    one = FrameHead(6, 4, 16, 1, 0.0, 0, context=True).eval()
    one.load_state_dict({name: value for name, value in head.state_dict().items() if name != "mix"})
    frames, lengths = torch.randn(1, 9, 12), torch.tensor([9])
    with torch.no_grad():
        assert head.mix is not None
        head.mix.copy_(torch.tensor([1.0, 0.0]))
        share = torch.tensor([1.0, 0.0]).softmax(dim=0)
        summed = share[0] * frames[..., :6] + share[1] * frames[..., 6:]
        assert torch.allclose(head(frames, lengths)[0], one(summed, lengths)[0], atol=1e-6)


def test_masks_hide_spans_in_training_alone() -> None:
    torch.manual_seed(0)
    head = FrameHead(6, 4, 16, 1, 0.0, 4, context=True)
    frames, lengths = torch.randn(1, 200, 6), torch.tensor([200])
    trained = [head.train()(frames, lengths)[0] for _ in range(2)]
    assert not torch.equal(*trained)
    assert torch.equal(head.eval()(frames, lengths)[0], head.eval()(frames, lengths)[0])


def test_long_clips_are_cut_into_windows_and_joined_by_their_times(tmp_path: Path) -> None:
    task, examples = bound(clips(tmp_path, [1.0], ["abcdefgh"])), clips(tmp_path, [0.5, 2.0])
    windows = task.cut(examples, backbone(1.2))
    assert windows is not None and windows.owner.tolist() == [0, 1, 1]
    assert [round(len(backbone().prepare([raw]).hidden[0]) / 100, 1) for raw in raws_of(windows.examples)] == [
        0.5,
        1.2,
        1.0,
    ]
    starts = np.empty(3, object)
    # the second window begins at 1.0 s; what both heard at 1.05 s and at 1.15 s is told once
    starts[:] = [np.array([0.1]), np.array([0.2, 1.05, 1.16]), np.array([0.05, 0.16, 0.9])]
    columns = {"text": np.array(["x", "abc", "bcd"], object), "starts": starts}
    found = task.merged(
        Prediction({**columns, "score": np.array([-1.0, -2.0, -4.0]), "seconds": np.array([0.5, 1.2, 1.0])}), windows
    )
    assert found.columns["text"].tolist() == ["x", "abcd"]
    assert np.allclose(found.columns["starts"][1], [0.2, 1.05, 1.16, 1.9])
    assert found.columns["seconds"].tolist() == [0.5, 2.0]
    assert task.cut(clips(tmp_path, [2.0], ["ab"]), backbone(1.2)) is None  # transcripts cannot be cut


def test_the_report_marks_differences_worst_first() -> None:
    examples = spoken_letters(3)
    task = Transcription().bind(examples, backbone())
    truth = examples.target("transcript")
    found = np.array([truth[0], f"{truth[1]} extra words", f"wrong {truth[2]}"], object)
    prediction = Prediction({"text": found, "seconds": np.array([1.0, 2.0, 3.0])})
    worst, other = presentation_of(task).mistakes(prediction, task.targets(examples), 10)
    assert (worst.row, other.row) == (1, 2) and worst.in_answers
    (mark,) = worst.predicted_marks
    assert found[1][mark.start : mark.end] == "extra words" and mark.label == "extra"
    kinds, lengths, confused = presentation_of(task).panels(prediction, task.targets(examples))
    assert kinds.rows[0][2:] == (0, 0, 3) and lengths.rows
    assert ("(nothing)", "extra words", 1) in confused.rows


def test_words_have_times() -> None:
    task = Transcription().bind(spoken_letters(3), backbone())
    starts = np.empty(1, object)
    starts[0] = np.array([0.1, 0.2, 0.3, 0.9])
    prediction = Prediction({"text": np.array(["ab c"], object), "starts": starts, "score": np.array([-0.1])})
    (words,) = presentation_of(task).columns(prediction)["words"]
    assert words == '[{"word": "ab", "start": 0.1}, {"word": "c", "start": 0.9}]'


def test_blanks_alone_are_a_collapse_only_long_after_the_beginning() -> None:
    task = Transcription().bind(spoken_letters(3), backbone())
    empty = Prediction({"text": np.array(["", ""], object)})
    assert task.collapse(empty, 4, 5000) == "" and task.collapse(empty, 50, 100) == ""
    assert "collapsed to blanks. Try a higher tuning.head_learning_rate" in task.collapse(empty, 50, 1000)
    assert task.collapse(Prediction({"text": np.array(["", "a"], object)}), 50, 1000) == ""


def test_a_review_counts_words_characters_and_what_is_empty() -> None:
    examples = spoken_letters(4)
    table = examples.table.set_column(1, "transcript", pa.array(["one two", "", None, "two €"], pa.string()))
    found = review_of(Transcription, Examples(table, examples.schema))
    assert found is not None and found.missing == 1
    assert any("3 transcripts with 4 words, 3 of them different" in note for note in found.notes)
    assert any("'€'" in warning for warning in found.warnings) and any("empty: 1" in w for w in found.warnings)


def test_a_file_of_text_teaches_an_ngram_that_helps_a_beam(tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("abab abab\nabab ab")
    examples = spoken_letters(3)
    task = Transcription(beam=4, language=str(tmp_path / "lines.txt"), order=3).bind(examples, backbone())
    assert task.ngram is not None and BoundTranscription.model_validate(task.model_dump(mode="json")) == task
    with pytest.raises(DataError, match=r"task\.language .*nowhere"):
        Transcription(language="/nowhere").bind(examples, backbone())


def written(*texts: str, phrases: Any = None) -> Prediction:
    columns = {"text": np.array(texts, object), "unfinished": np.zeros(len(texts), bool)}
    if phrases is not None:
        columns["phrases"] = np.empty(len(texts), object)
        columns["phrases"][:] = [np.array(rows, float).reshape(-1, 3) for rows in phrases]
    return Prediction(columns)


@pytest.mark.parametrize(
    ("one", "other", "joined"),
    [
        (
            "so it was the old quick brown fo",
            "ld quick brown fox jumps over",
            "so it was the old quick brown fox jumps over",
        ),
        ("we went home.", "Home, and slept", "we went Home, and slept"),
        ("hello there", "good bye", "hello there good bye"),
        ("今日は天気がいい", "天気がいいですね", "今日は天気がいいですね"),
        ("", "a b", "a b"),
        ("a b", "", "a b"),
    ],
)
def test_texts_of_windows_are_joined_where_they_say_the_same(tmp_path: Path, one: str, other: str, joined: str) -> None:
    windows = cut_clips(clips(tmp_path, [0.5, 2.0]), backbone(1.2))
    assert windows is not None
    found = joined_texts(written("x", one, other), windows)
    assert found.columns["text"].tolist() == ["x", joined] and "phrases" not in found.columns


def test_phrases_keep_their_times_in_the_whole_clip(tmp_path: Path) -> None:
    windows = cut_clips(clips(tmp_path, [2.0]), backbone(1.2))  # the second window begins at 1.0 s
    assert windows is not None
    told = [[(0, 0.0, 0.5), (4, 0.5, 1.2)], [(0, 0.0, 0.1), (7, 0.2, 0.4), (12, 0.5, np.nan)]]
    found = joined_texts(written("one two three", "three, four five", phrases=told), windows)
    assert found.columns["text"].tolist() == ["one two three, four five"]
    (shown,) = TranscriptionPresentation(cast(Any, None)).columns(found)["phrases"]
    assert [tuple(phrase.values()) for phrase in json.loads(shown)] == [
        ("one", 0.0, 0.5),
        ("two", 0.5, 1.2),
        ("three,", 1.0, 1.1),
        ("four", 1.2, 1.4),
        ("five", 1.5, None),
    ]


def test_what_is_unknown_is_never_written() -> None:
    log_probs = torch.full((1, 3, 4), -5.0)
    log_probs[0, :, 1] = 0.0
    log_probs[0, 1, 2] = -1.0
    (row,) = per_frame(log_probs, torch.tensor([3]))
    assert greedy(row).numbers == (2,) and prefix_beam(row, 4).numbers == (2,)


def test_clips_that_fit_in_no_case_do_not_keep_frames_apart(tmp_path: Path) -> None:
    task = bound(clips(tmp_path, [1.0, 1.0, 0.03], ["yes no", "no", "too much"]))
    assert task.join == 3 and task.crowded == 1


def test_an_evaluation_counts_characters_that_were_not_learnt_and_reads_long_clips_whole(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    rows = []
    for row in range(16):
        text, parts = "ab"[row % 2], [tone((500, 1500)[row % 2], 0.12, seed=row), 0.05 * tone(90, 0.1, seed=row)]
        soundfile.write(tmp_path / f"{row}.wav", np.concatenate(parts), 8000)
        rows.append(f"{row}.wav,{text}")
    soundfile.write(tmp_path / "long.wav", np.concatenate([*parts, *parts] * 3), 8000)
    (tmp_path / "clips.csv").write_text("\n".join(["file,transcript", *rows, "long.wav,bbbbbb"]), "utf-8")
    settings: dict[str, Any] = {
        "tuning": {"epochs": 1, "refit": True, "keep": "last"},
        "task": {"hidden": 8},
        "backbone": {"longest": 0.5},
    }
    common: dict[str, Any] = {
        "backbone": "log_mel",
        "tuning": "head_only",
        "scratch": False,
        "label_curve": False,
        "runner": "eager",
    }
    run = headstart.fit(tmp_path / "clips.csv", out=tmp_path / "run", settings=settings, **common)
    assert any("1 of 17 clips (5.9 %) are longer than the 0.5 s that log_mel reads" in n for n in run.record.data.notes)
    assert [key for key in run.record.arms if key != "scratch"] == ["model"], "the head alone is its own probe"
    assert any(one.value.startswith("trained once more") for one in run.record.decisions)
    (tmp_path / "new.csv").write_text("file,transcript\n0.wav,é\nlong.wav,bb€ é", "utf-8")
    notes = "\n".join(headstart.evaluate(run.folder, tmp_path / "new.csv").notes)
    assert "4 characters of the transcripts were not learnt and count as wrong: 'é' 2" in notes
    assert "longer than" not in notes, "windows read all of it"
