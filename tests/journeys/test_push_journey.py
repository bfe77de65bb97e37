"""A run with its model card goes to a hub and comes back."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from fake_hub import fake_hub
from small_data import own_copy

import headstart
from conftest import Command


def test_the_card_has_what_hubs_list_and_people_ask(photo_run: Path) -> None:
    record, text = headstart.load(photo_run).record, (photo_run / "README.md").read_text()
    head, body = text.removeprefix("---\n").split("\n---\n", 1)
    (entry,) = yaml.safe_load(head)["model-index"]
    figures = {figure["type"]: figure["value"] for figure in entry["results"][0]["metrics"]}
    assert figures == {name: row.value for name, row in record.arms["model"].figures.items()}
    assert record.verdict in body and record.backbone_licence in body and str(photo_run.parent) not in text
    for arm in record.arms.values():
        assert arm.title in body
    hub = pytest.importorskip("huggingface_hub")
    assert len(hub.ModelCard(text).data.eval_results) == len(figures)


def test_a_card_that_a_person_wrote_stays(photo_run: Path, tmp_path: Path) -> None:
    run = own_copy(photo_run, tmp_path / "run")
    for text in ("# Mine", (run / "README.md").read_text().replace("<!-- Written by Headstart", "<!--")):
        (run / "README.md").write_text(text)
        headstart.report(run)
        assert (run / "README.md").read_text() == text


@pytest.mark.slow
def test_a_run_is_pushed_to_a_hub_and_predicts_from_there(
    photo_run: Path, photos: Path, tmp_path: Path, headstart_command: Command
) -> None:
    with fake_hub() as (address, files):
        own = {"HF_ENDPOINT": address, "HF_TOKEN": "hf_none", "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
        own |= {"HF_HUB_DISABLE_XET": "1", "TRANSFORMERS_OFFLINE": "0"}

        def command(*arguments: object) -> str:
            words = [sys.executable, "-m", "headstart", *map(str, arguments)]
            done = subprocess.run(words, env=os.environ | own, text=True, capture_output=True, check=False)
            assert not done.returncode, done.stderr
            return done.stdout

        assert address in command("push", photo_run, "anna/photos")
        assert {name.partition("/")[0] for name in files} == {
            "README.md",
            "model",
            "record.json",
            "metrics.json",
            "plan.toml",
        }
        assert files["README.md"] == (photo_run / "README.md").read_bytes()
        found = command("predict", "hf://anna/photos", photos / "dark")
        assert found == headstart_command("predict", photo_run, photos / "dark").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("push", "RUN", "photos"), 2, "give USER/NAME"),
        (("push", "nothing", "anna/photos"), 5, "is not a folder"),
        (("predict", "hf://anna/photos", "x"), 5, "hf://anna/photos cannot be fetched"),
    ],
)
def test_what_cannot_be_pushed_or_fetched_is_refused(
    arguments: tuple[str, ...], code: int, words: str, photo_run: Path, headstart_command: Command
) -> None:
    ended = headstart_command(*(photo_run if argument == "RUN" else argument for argument in arguments))
    assert ended.code == code and words in ended.err
