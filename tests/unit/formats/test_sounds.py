"""Tables and folders of sounds: what is a sound, a label, a transcript and a speaker, and what is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from headstart.contracts.examples import Examples
from headstart.contracts.format import Columns
from headstart.contracts.modality import raws_of
from headstart.kernel.errors import DataError
from headstart.pipeline.data import read_examples
from small_sounds import save_tone

pytest.importorskip("soundfile", reason="audio needs the extra 'audio'")

PLACES = ["a.wav", "b.flac", "c.ogg", "d.wav"]
SPOKEN = ["good morning to you", "good night", "see you soon", "good morning"]


def saved(folder: Path, below: str = "") -> Path:
    for number, place in enumerate(PLACES):
        save_tone(folder / below / place, 300 + 50 * number)
    return folder


def read(source: Any, settings: dict[str, Any] | None = None, **columns: Any) -> Examples:
    return read_examples(source, Columns(**columns), settings=settings or {})[0]


def table(folder: Path, name: str, **columns: list[Any]) -> Path:
    pd.DataFrame(columns).to_csv(folder / name, index=False, sep="\t" if name.endswith("tsv") else ",")
    return folder / name


@pytest.mark.parametrize("audio", ["file", "path", "file_name", "clip"])
@pytest.mark.parametrize("words", ["transcript", "transcription", "sentence", "text"])
def test_a_table_beside_the_clips_has_their_transcripts(tmp_path: Path, audio: str, words: str) -> None:
    folder = saved(tmp_path / "clips")
    table(folder, "metadata.csv", **{audio: PLACES, words: [f" {line} " for line in SPOKEN]})
    examples = read(folder)
    assert examples.schema.modality == "audio" and examples.target("transcript") == SPOKEN
    assert raws_of(examples) == [folder / place for place in PLACES]


def test_a_column_of_labels_comes_before_transcripts_unless_the_target_is_named(tmp_path: Path) -> None:
    path = table(saved(tmp_path), "index.csv", file=PLACES, transcript=SPOKEN, label=["x", "y", "x", "y"])
    assert read(path).target() == ["x", "y", "x", "y"]
    assert read(path, target="transcript").target("transcript") == SPOKEN
    assert read(path, target="transcript", label="label").target("transcript") == ["x", "y", "x", "y"]


def test_common_voice_is_read_as_it_is_unpacked(tmp_path: Path) -> None:
    folder = saved(tmp_path, "clips")
    for name, rows in (("train", [0, 1]), ("dev", [2]), ("test", [3]), ("validated", [0, 1, 2, 3]), ("other", [0])):
        of = [[values[row] for row in rows] for values in (PLACES, SPOKEN, ["ann", "bob", "cy", "di"])]
        table(folder, f"{name}.tsv", client_id=of[2], path=of[0], sentence=of[1])
    examples = read(folder)
    assert raws_of(examples)[0] == folder / "clips" / "a.wav" and examples.target("transcript") == SPOKEN
    assert examples.schema.group == "client_id" and examples.column(str(examples.schema.part)) == [
        "train",
        "train",
        "val",
        "test",
    ]
    assert any("2" in note and "other.tsv" in note for note in examples.notes)


def test_speakers_that_may_stand_on_both_sides_are_told(tmp_path: Path) -> None:
    path = table(saved(tmp_path), "index.csv", file=PLACES, label=[*"xyxy"], speaker=["ann", "ann", "bob", "bob"])
    assert any("names 2 speakers, who may stand on both sides" in note for note in read(path).notes)
    assert not any("both sides" in note for note in read(path, group="speaker").notes)


def test_a_rate_that_the_file_contradicts_is_told(tmp_path: Path) -> None:
    path = table(saved(tmp_path), "index.csv", file=PLACES, label=[*"xyxy"], sample_rate=[8000, 16000, 8000, 8000])
    (told,) = (note for note in read(path).notes if "another rate" in note)
    assert "1, such as b.flac (16000 Hz in the table, 8000 Hz in the file)" in told


def test_data_sets_of_hugging_face_are_read_without_their_decoder(tmp_path: Path) -> None:
    folder = saved(tmp_path)
    encoded = [{"bytes": (folder / place).read_bytes(), "path": None} for place in PLACES]
    examples = read(pa.table({"audio": encoded, "sentence": SPOKEN}))
    assert examples.schema.modality == "audio" and examples.target("transcript") == SPOKEN
    assert raws_of(examples)[1] == (folder / "b.flac").read_bytes()


def test_the_column_of_sounds_is_named_where_there_are_two(tmp_path: Path) -> None:
    path = table(saved(tmp_path), "index.csv", one=PLACES, two=PLACES[::-1], label=[*"xyxy"])
    with pytest.raises(DataError, match=r"all hold sounds\. Say which with --audio COLUMN"):
        read(path)
    assert raws_of(read(path, {"sounds": "two"}))[0] == tmp_path / "d.wav"
    with pytest.raises(DataError, match=r"--audio tow: .*Did you mean 'two'"):
        read(path, {"sounds": "tow"})
    with pytest.raises(DataError, match="--audio and --image exclude each other"):
        read(path, {"sounds": "two"}, image="one")


def test_parts_classes_and_groups_of_folders(tmp_path: Path) -> None:
    for place in ("train/yes/ann_1.wav", "train/no/bob_1.wav", "test/yes/ann_2.wav", "test/no/cy_1.wav", "lone.wav"):
        save_tone(tmp_path / place)
    with pytest.raises(DataError, match="matches none"):
        read(tmp_path, group="nobody")
    (tmp_path / "lone.wav").unlink()
    examples = read(tmp_path, group=r"(\w+)_\d")
    assert examples.column("part") == ["test", "test", "train", "train"]
    assert examples.target() == ["no", "yes", "no", "yes"]
    assert [group.rpartition("/")[-1] for group in examples.column("group")] == ["cy", "ann", "bob", "ann"]


def test_librispeech_is_read_as_it_is_unpacked(tmp_path: Path) -> None:
    said = {
        "train-clean-100/11/1/11-1-0000": "ONE",
        "train-clean-100/12/1/12-1-0000": "TWO",
        "dev-clean/13/5/13-5-0000": "SIX",
    }
    for name, words in said.items():
        save_tone(tmp_path / f"{name}.flac")
        folder, clip = (tmp_path / name).parent, name.split("/")[-1]
        (folder / f"{clip[:4]}.trans.txt").write_text(f"{clip} {words}\n")
    examples = read(tmp_path)
    assert examples.target("transcript") == ["SIX", "ONE", "TWO"] and examples.column("part") == [
        "val",
        "train",
        "train",
    ]
    assert examples.schema.group == "speaker" and examples.column("speaker") == ["13", "11", "12"]


def test_clips_that_a_table_names_are_not_said_to_be_left_out(tmp_path: Path) -> None:
    saved(tmp_path)
    table(tmp_path, "transcripts.csv", file=PLACES[:3], transcript=SPOKEN[:3])
    (told,) = (note for note in read(tmp_path).notes if "left out" in note)
    assert told.endswith("left out: 1, such as d.wav")
