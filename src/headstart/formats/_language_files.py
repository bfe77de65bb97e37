"""Line-aligned files, one for each language: which of a folder belong together, by names such as `train.en.gz`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from headstart.formats._encodings import encoding_of, is_unusual, opened_text
from headstart.formats._given_paths import is_path
from headstart.formats._image_scan import is_hidden
from headstart.formats._parts import part_of
from headstart.formats._stored_file import PACKINGS, StoredFile
from headstart.kernel.errors import DataError, some

_CODES = frozenset(
    (
        "aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee "
        "el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is "
        "it iu ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms "
        "mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk "
        "sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi "
        "yo za zh zu src tgt trg source target"
    ).split()
)
"""ISO 639-1, and the words that corpora have in their place."""
_REGION = re.compile(r"([a-z]{2,3})[-_]([A-Za-z]{2,4})")
"""A language with a region or script, such as `pt_BR` and `deu_Latn`."""
SOURCES = ("src", "source", "en")
"""Languages that are read rather than written where nobody says, the surest first."""


class Corpus(NamedTuple):
    """Files that belong together line by line."""

    name: str
    """Such as 'train' or 'test_2016'."""
    files: Mapping[str, Path]
    """By language."""

    @property
    def part(self) -> str | None:
        """The part of a given split that its name begins with."""
        return part_of(re.split(r"[._-]", self.name)[0])


def is_language(word: str) -> bool:
    """Return whether a file's ending is that of a language."""
    return word in _CODES or (bool(_REGION.fullmatch(word)) and (word[:2] in _CODES or "_" in word))


def corpora(source: object) -> tuple[list[Corpus], list[str]]:
    """The files of languages in a folder, or beside a file, by their names, and what else the folder has."""
    if not is_path(source):
        return [], []
    path = Path(source)
    if path.is_file():
        named = _named(path)
        beside = [] if named is None else corpora(path.parent)[0]
        return [corpus for corpus in beside if named and corpus.name == named[0]], []
    if not path.is_dir():
        return [], []
    found: dict[str, dict[str, Path]] = {}
    others = []
    for entry in sorted(path.iterdir()):
        if is_hidden(entry.name):
            continue
        named = _named(entry) if entry.is_file() else None
        if named is None:
            others.append(entry.name)
        elif named[1] in found.get(named[0], {}):
            raise DataError(f"{entry.name} and {found[named[0]][named[1]].name} are the same file twice: keep one")
        else:
            found.setdefault(named[0], {})[named[1]] = entry
    return [Corpus(*pair) for pair in found.items()], others


def languages_of(found: list[Corpus]) -> list[str]:
    """The languages of all files, those that are read first, then by name."""
    every = {language for corpus in found for language in corpus.files}
    return sorted(every, key=lambda name: (SOURCES.index(name) if name in SOURCES else len(SOURCES), name))


def lines_of(path: Path, notes: list[str]) -> list[str]:
    """The lines of a file, without ends; other signs that Unicode takes for ends of lines do not count."""
    file = StoredFile(path)
    encoding = encoding_of(file)
    if is_unusual(encoding):
        notes.append(f"{path.name} is not UTF-8 and was read as a Western encoding")
    with opened_text(file, encoding) as content:
        lines = content.read().split("\n")
    return [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]


def require_aligned(corpus: Corpus, lines: Mapping[str, list[str]]) -> None:
    """Raises DataError where files have different numbers of lines."""
    if len({len(some_lines) for some_lines in lines.values()}) > 1:
        counts = some([f"{corpus.files[name].name} {len(found)}" for name, found in lines.items()], 4)
        raise DataError(f"line-aligned files must have equally many lines; found {counts}")


def _named(path: Path) -> tuple[str, str] | None:
    """Name and language of a file; None for any other file."""
    name = path.name
    for packing in PACKINGS:
        name = name.removesuffix(packing)
    stem, _, ending = name.rpartition(".")
    return (stem, ending) if stem and is_language(ending) else None
