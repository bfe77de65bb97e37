"""How much of DICOM data is in memory at a time."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts.format import Columns
from headstart.formats import dicom
from headstart.formats.dicom import Dicom
from scans import save_dicom

pytest.importorskip("pydicom", reason="DICOM needs the extra 'medical'")


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each slice that was read how many slices were in memory then."""
    original, read, counts = dicom._values, list[Any](), list[int]()

    def watched(path: Path) -> np.ndarray:
        values = original(path)
        read.append(weakref.ref(values))
        counts.append(sum(one() is not None for one in read))
        return values

    monkeypatch.setattr(dicom, "_values", watched)
    return counts


def names(*slices: str) -> list[str]:
    return [f"images/{one}.dcm" for one in slices]


def test_a_stream_reads_the_slices_that_are_asked_for(tmp_path: Path, alive: list[int]) -> None:
    save_dicom(tmp_path, ["Ann", "Bob"], masks=False, WindowCenter=128, WindowWidth=256)
    stream = Dicom().stream(tmp_path, Columns(), 2)
    assert next(stream).origins() == names("Ann/2", "Ann/1") and len(alive) == 2
    assert [examples.origins() for examples in stream] == [names("Ann/0", "Bob/2"), names("Bob/1", "Bob/0")]


@pytest.mark.parametrize("window", [None, (40, 80)])
def test_no_more_than_a_series_is_in_memory_and_with_a_window_a_slice(
    window: tuple[float, float] | None, tmp_path: Path, alive: list[int]
) -> None:
    save_dicom(tmp_path, ["Ann", "Bob"])
    assert len(Dicom(window=window).read(tmp_path, Columns())) == 6
    assert max(alive) <= (4 if window is None else 2)
