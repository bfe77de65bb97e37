"""Heads of other kinds from the command line: on frozen features and under a moving backbone, saved, continued."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from small_data import OFFLINE, measurements, photo_folder

import headstart
from conftest import Command
from headstart.kernel.errors import SettingsError

SHORT = ("--no-scratch", "--no-label-curve", "--set", "tuning.epochs=2")


@pytest.mark.parametrize("kind", ["mlp", "prototype", "stages"])
def test_a_head_of_another_kind_on_frozen_features(
    kind: str, reviews_csv: Path, bert: Path, headstart_command: Command
) -> None:
    given = (reviews_csv, "--text", "review", "--label", "mood", "--backbone", bert, *SHORT)
    assert headstart_command("fit", *given, "--set", f"head.kind={kind}", "--out", "run").code == 0
    run = headstart.load("run")
    assert run.plan.tuning == "head_only" and run.model.shape.kind == kind and run.record.arms["probe"]
    assert json.loads(Path("run/model/model.json").read_text())["head_shape"]["kind"] == kind
    again = headstart.evaluate("run")
    assert again.figures["accuracy"].value == pytest.approx(run.metrics["test"]["accuracy"]["value"], abs=1e-6)


def test_an_mlp_under_full_tuning_goes_on_with_more_data(photos: Path, headstart_command: Command) -> None:
    mlp = ("--tuning", "full", "--set", "head.kind=mlp", "--set", "head.hidden=16")
    assert headstart_command("fit", photos, *OFFLINE, *mlp, *SHORT, "--out", "run").code == 0
    more = photo_folder(Path("more"), {"dark": 12, "light": 12, "mid": 12}, seed=5)
    done = headstart_command("fit", more, "--from", "run", *SHORT, "--out", "further")
    assert done.code == 0, done.err
    before, after = (headstart.load(name).model for name in ("run", "further"))
    assert after.shape == before.shape and after.shape.hidden == 16
    assert after.heads["head"].head.out_features == 3
    refused = headstart_command("fit", more, "--from", "run", "--set", "head.kind=cosine")
    assert refused.code == 2 and "--set head... and --from" in refused.err


def test_what_excludes_the_head_is_named_with_it() -> None:
    frame = measurements()
    for more, fault in (
        ({"tuning": "probe"}, "head.kind = mlp and --tuning probe exclude one another"),
        ({"target": pd.DataFrame(frame)}, "head.kind = mlp and --target exclude one another"),
    ):
        with pytest.raises(SettingsError, match=fault):
            headstart.fit(frame, label="target", settings={"head": {"kind": "mlp"}}, **more)  # type: ignore[arg-type]
