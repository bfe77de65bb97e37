"""The command line: what it passes on, what it prints where, and how it ends."""

from __future__ import annotations

import inspect
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer

import headstart
from headstart.cli.app import app
from headstart.cli.exits import EXIT_CODES
from headstart.kernel import errors

FIGURE = {"value": 0.9, "low": 0.8, "high": 0.95, "n": 40}
HEAVY = {"torch", "pandas", "pyarrow", "sklearn", "numpy", "timm", "transformers", "PIL", "pydantic", "rich"}


class Ended(SimpleNamespace):
    """How a command line ended: code, out, err."""

    code: int
    out: str
    err: str


@pytest.fixture
def headstart_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command line in this process."""

    def run(*arguments: str) -> Ended:
        with pytest.raises(SystemExit) as exit:
            app(list(arguments), prog_name="headstart")
        out, err = capsys.readouterr()
        return Ended(code=exit.value.code or 0, out=out, err=err)

    return run


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command line hands to `headstart.fit`, which here only takes note of it."""
    noted: dict[str, Any] = {}

    def fit(data: str, *, reporter: Any, **given: Any) -> Any:
        noted.update(given, data=data)
        print("a library prints this")
        reporter.say("progress")
        metrics = {"test": {"accuracy": FIGURE, "roc_auc": {**FIGURE, "value": math.nan}}}
        return SimpleNamespace(
            folder=Path("runs/x"), verdict="It helps.", report=Path("r.html"), metrics=metrics, tuned=None
        )

    monkeypatch.setitem(vars(headstart), "fit", fit)
    return noted


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def inspect_data(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setitem(vars(headstart), "inspect", inspect_data)


def python(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=300, **options)


def test_help_and_import_load_nothing_heavy() -> None:
    program = (
        "import sys, headstart\n"
        "from headstart.__main__ import main\n"
        "sys.argv = ['headstart', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, sep=',')"
    )
    done = python("-c", program)
    loaded = {name.partition(".")[0] for name in done.stdout.splitlines()[-1].split(",")}
    assert "headstart" in loaded
    assert not loaded & HEAVY


def test_version(headstart_command: Callable[..., Ended]) -> None:
    ended = headstart_command("--version")
    assert (ended.code, ended.out) == (0, f"headstart {headstart.__version__}\n")


def test_fit_gets_what_was_said_and_nothing_else(
    headstart_command: Callable[..., Ended], received: dict[str, Any]
) -> None:
    headstart_command("fit", "photos/", "--json")
    assert received == {"data": "photos/"}


def test_fit_gets_every_flag(headstart_command: Callable[..., Ended], received: dict[str, Any]) -> None:
    line = (
        "fit t.csv --out o --text a --text b --image i --audio u --label l --group g --domain d --slice s --slice t"
        " --part p --format table --task classification --backbone resnet18 --weights random --tuning full"
        " --objective supervised --augmentation none --seed 0 --budget 5m --no-scratch --overwrite"
        " --set tuning.epochs=3 --set tuning.clip=0.5 --set objective.kind=soft --json"
    )
    headstart_command(*line.split())
    assert received == {
        "data": "t.csv",
        "out": "o",
        "text": ["a", "b"],
        "image": "i",
        "label": ["l"],
        "group": "g",
        "domain": "d",
        "slices": ["s", "t"],
        "part": "p",
        "format": "table",
        "task": "classification",
        "backbone": "resnet18",
        "weights": "random",
        "tuning": "full",
        "objective": "supervised",
        "augmentation": "none",
        "seed": 0,
        "budget": 300.0,
        "scratch": False,
        "overwrite": True,
        "settings": {"tuning": {"epochs": 3, "clip": 0.5}, "objective": {"kind": "soft"}, "format": {"sounds": "u"}},
    }


@pytest.mark.parametrize("verb", ["fit", "predict", "evaluate", "inspect", "report", "cache"])
def test_every_parameter_of_a_function_has_its_flag(verb: str) -> None:
    parameters = set(inspect.signature(getattr(headstart, verb)).parameters) - {"reporter"}
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    flags = {parameter.name for parameter in command.params} - {"as_json", "as_jsonl", "help"}
    assert {"settings" if name in ("assignments", "every", "sounds") else name for name in flags} == parameters


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h", 3600), ("1.5h", 5400)])
def test_a_budget_is_a_time(
    headstart_command: Callable[..., Ended], received: dict[str, Any], text: str, seconds: float
) -> None:
    headstart_command("fit", "x", "--budget", text)
    assert received["budget"] == seconds


@pytest.mark.parametrize("text", ["", "3d", "-5", "0", "1h30", "soon", "nan"])
def test_a_budget_that_is_no_time_is_refused(headstart_command: Callable[..., Ended], text: str) -> None:
    ended = headstart_command("fit", "x", "--budget", text)
    assert ended.code == 2
    assert f"'{text}' is not a time" in ended.err


def test_json_is_one_document_and_the_rest_goes_to_standard_error(
    headstart_command: Callable[..., Ended], received: dict[str, Any]
) -> None:
    ended = headstart_command("fit", "x", "--json")
    assert ended.code == 0
    document = json.loads(ended.out, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert document["test"]["accuracy"] == FIGURE
    assert document["test"]["roc_auc"]["value"] is None
    assert (document["run"], document["verdict"], document["report"]) == ("runs/x", "It helps.", "r.html")
    assert "a library prints this" in ended.err
    assert "progress" in ended.err


KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.HeadstartError)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_expected_error_is_one_message_and_its_own_code(
    headstart_command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, kind: type[errors.HeadstartError]
) -> None:
    failing(monkeypatch, kind("the folder is empty"))
    ended = headstart_command("inspect", "x", "--json")
    assert (ended.code, ended.out, ended.err) == (kind.exit_code, "", "Error: the folder is empty\n")


def test_exit_codes_are_distinct_and_documented(headstart_command: Callable[..., Ended]) -> None:
    codes = [kind.exit_code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert set(codes) < set(EXIT_CODES)
    shown = headstart_command("--help").out
    assert all(re.search(rf"^ +{code}  {re.escape(meaning)}$", shown, re.M) for code, meaning in EXIT_CODES.items())


def test_debug_shows_the_traceback(headstart_command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_DEBUG", "1")
    failing(monkeypatch, errors.DataError("the folder is empty"))
    ended = headstart_command("inspect", "x")
    assert ended.code == errors.DataError.exit_code
    assert "Traceback (most recent call last)" in ended.err


def test_an_unexpected_error_names_the_file_with_its_traceback(
    headstart_command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    failing(monkeypatch, ZeroDivisionError("a bug"))
    ended = headstart_command("inspect", "x")
    assert ended.code == 70
    assert "ZeroDivisionError: a bug" in ended.err
    assert "Traceback" not in ended.err
    (kept,) = tmp_path.iterdir()
    assert str(kept) in ended.err
    assert "Traceback (most recent call last)" in kept.read_text()


def test_too_little_memory_is_no_fault_of_headstart(
    headstart_command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, MemoryError())
    ended = headstart_command("inspect", "x")
    assert ended.code == 1
    assert ended.err == "Error: Out of memory.\n"


def test_ctrl_c_says_that_the_same_command_resumes(
    headstart_command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, KeyboardInterrupt())
    ended = headstart_command("inspect", "x")
    assert ended.code == 130
    assert "run the same command again to resume" in ended.err


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "headstart", "help", "tuning"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=300)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_faulty_setting_is_a_usage_error(headstart_command: Callable[..., Ended]) -> None:
    ended = headstart_command("fit", "x", "--set", "epochs=3")
    assert ended.code == 2
    assert "expected FAMILY.KEY=VALUE" in ended.err


def test_an_unknown_flag_is_a_usage_error(headstart_command: Callable[..., Ended]) -> None:
    ended = headstart_command("fit", "x", "--tunning", "full")
    assert ended.code == 2
    assert "--tunning" in ended.err


def test_help_lists_families_plugins_and_settings(headstart_command: Callable[..., Ended]) -> None:
    assert "tuning" in headstart_command("help").out
    assert re.search(r"^full +Full fine-tuning", headstart_command("help", "tuning").out, re.M)
    assert "tuning.epochs  int, default 20" in headstart_command("help", "tuning", "full").out


def test_help_knows_the_nearest_name(headstart_command: Callable[..., Ended]) -> None:
    ended = headstart_command("help", "tuning", "ful")
    assert (ended.code, ended.err) == (2, "Error: tuning 'ful' is not known. Did you mean 'full'?\n")
    assert "Did you mean 'objective'" in headstart_command("help", "objectiv").err


def test_help_as_json(headstart_command: Callable[..., Ended]) -> None:
    document = json.loads(headstart_command("help", "tuning", "full", "--json").out)
    assert document["name"] == "full"
    assert {"name": "epochs", "type": "int", "default": "20"}.items() <= document["settings"][0].items()


def test_cache_is_shown_limited_and_cleared(
    headstart_command: Callable[..., Ended], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert headstart_command("cache").out.startswith(f"Cache:     {tmp_path}, 0 B\n")
    assert json.loads(headstart_command("cache", "--limit", "20GB", "--json").out)["limit"] == 20 * 10**9
    assert json.loads(headstart_command("cache", "--clear", "--json").out)["freed"] == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [("--limit much", "Error: 'much' is not a size."), ("--limit 1GB --clear", "Error: --clear and --limit exclude")],
)
def test_cache_refuses_what_makes_no_sense(headstart_command: Callable[..., Ended], line: str, message: str) -> None:
    ended = headstart_command("cache", *line.split())
    assert (ended.code, ended.out) == (2, "")
    assert message in ended.err
