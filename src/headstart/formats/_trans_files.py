"""Files of LibriSpeech: beside the clips of a chapter a `.trans.txt` with the name and the words of each on a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.formats._given_paths import is_folder

ENDING = ".trans.txt"


def trans_files(source: Any) -> list[Path]:
    """The files of transcripts below a folder, sorted by their paths."""
    return sorted(Path(source).rglob(f"*{ENDING}")) if is_folder(source) else []
