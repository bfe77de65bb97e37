"""A command line in this process, small data, and finished runs that tests may read but not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from small_data import OFFLINE, measurements, photo_folder, reviews

from headstart.cli.app import app
from tiny_text_models import save_tiny


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Ended]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every journey begins in an empty folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def headstart_command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command line in this process."""

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit:
            app([str(argument) for argument in arguments], prog_name="headstart")
        out, err = capsys.readouterr()
        return Ended(int(exit.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures in two classes."""
    return photo_folder(tmp_path_factory.mktemp("data") / "photos")


@pytest.fixture(scope="session")
def reviews_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty texts in two classes."""
    path = tmp_path_factory.mktemp("data") / "reviews.csv"
    reviews().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def numbers_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty rows of three numbers and a target."""
    path = tmp_path_factory.mktemp("data") / "numbers.csv"
    measurements().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights, saved as its users do."""
    return save_tiny(tmp_path_factory.mktemp("models") / "bert", "bert")


@pytest.fixture(scope="session")
def photo_run(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the photos."""
    return _fitted(tmp_path_factory.mktemp("runs") / "photos", photos, *OFFLINE, "--no-scratch")


@pytest.fixture(scope="session")
def number_run(numbers_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the numbers."""
    return _fitted(tmp_path_factory.mktemp("runs") / "numbers", numbers_csv)


@pytest.fixture(scope="session")
def review_run(reviews_csv: Path, bert: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the reviews."""
    flags = ("--text", "review", "--label", "mood", "--backbone", bert, "--no-scratch")
    return _fitted(tmp_path_factory.mktemp("runs") / "reviews", reviews_csv, *flags)


def _fitted(out: Path, data: Path, *flags: object) -> Path:
    with pytest.raises(SystemExit) as exit:
        app(["fit", *map(str, (data, "--out", out, *flags))], prog_name="headstart")
    assert not exit.value.code
    return out
