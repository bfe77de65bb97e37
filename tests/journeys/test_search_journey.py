"""A search as a user starts it: the digits of scikit-learn as pictures, a budget, a kill in between."""

from __future__ import annotations

import json
import signal
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from small_data import OFFLINE
from stopped_commands import killed_at_step

from forked_processes import Forked

Command = Callable[..., Any]

SHORT = ("--set", "tuning.epochs=2", "--set", 'tuning.tunings=["lp_ft", "full"]', "--set", "tuning.batch_size=16")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of four digits, 20 each."""
    root = tmp_path_factory.mktemp("digits") / "digits"
    pictures, labels = load_digits(return_X_y=True)
    for digit in range(4):
        (root / str(digit)).mkdir(parents=True)
        for number, row in enumerate(pictures[labels == digit][:20]):
            grey = (row.reshape(8, 8) / 16 * 255).astype(np.uint8)
            Image.fromarray(grey).resize((32, 32)).convert("RGB").save(root / str(digit) / f"{number}.png")
    return root


def test_a_budget_starts_a_search_that_tells_what_it_tried(headstart_command: Command, digits: Path) -> None:
    assert (
        headstart_command("fit", digits, *OFFLINE, *SHORT, "--budget", "10m", "--no-scratch", "--out", "found").code
        == 0
    )
    record = json.loads(Path("found/record.json").read_text())
    plan = tomllib.loads(Path("found/plan.toml").read_text())
    assert [one["fate"].startswith("kept") for one in record["candidates"]].count(True) == 1
    assert {one["tuning"] for one in record["candidates"]} == {"probe", "lp_ft", "full"}
    assert plan["tuning"] in ("probe", "lp_ft", "full")
    assert "each predicted without it, blending gives the best fine-tuning" in record["verdict"]
    assert record["budget"]["seconds"] == 600 and 0 < record["budget"]["used"] <= 630
    told = {decision["what"] for decision in plan["decisions"]}
    assert {"candidates", "model", "augmentation"} <= told
    assert not {"tuning.epochs", "tuning.batch_size"} & told
    assert plan["augmentation"] == ("none" if plan["tuning"] == "probe" else "standard")
    report = Path("found/report.html").read_text()
    assert "lp_ft" in report


def test_a_search_killed_in_the_middle_goes_on_with_the_same_command(headstart_command: Command, digits: Path) -> None:
    known = ("--tuning", "auto", "--set", "tuning.learning_rate=0.001")
    line = ("fit", digits, *OFFLINE, *SHORT, *known, "--no-scratch", "--out", "killed")
    with Forked(killed_at_step, 8, *line) as process:
        assert process.wait() == -signal.SIGKILL, process.err
    decided = json.loads(Path("killed/work/search.json").read_text())["decided"]
    assert "schedule" in decided
    assert headstart_command(*line).code == 0
    assert headstart_command(*line[:-1], "whole").code == 0
    killed, whole = (json.loads(Path(name, "record.json").read_text()) for name in ("killed", "whole"))
    assert {one["name"] for one in killed["candidates"]} >= set(decided["schedule"]["epochs"])
    assert [one["tuning"] for one in killed["candidates"]] == [one["tuning"] for one in whole["candidates"]]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--tuning", "auto", "--set", 'tuning.tunings=["fulll"]'), "Did you mean 'full'?"),
        (("--tuning", "auto", "--set", "tuning.epoch=3"), "Did you mean 'epochs'"),
        (("--tuning", "auto", "--set", "tuning.epochs=0"), "tuning.epochs = 0"),
        (("--tuning", "auto", "--set", "tuning.tunings=full"), "give a list of tunings"),
        (("--tuning", "auto", "--set", "tuning.rates_tried=[1.0, 3.0]"), "a search finds the rates itself"),
        (("--budget", "9s", "--set", "augmentation.flip=true"), "name one with --augmentation"),
    ],
)
def test_what_cannot_be_searched_is_refused_at_once(
    headstart_command: Command, digits: Path, flags: tuple[str, ...], said: str
) -> None:
    ended = headstart_command("fit", digits, *OFFLINE, *flags, "--out", "refused")
    assert ended.code == 2
    assert said in " ".join(ended.err.split())
    assert not Path("refused").exists()
