"""Cheap checks of pairs of texts: languages that are exchanged, and texts that are copies or are cut into tokens.

A pair is exchanged where the words of its first text are more usual among all texts to write, and those of its second
among all texts to read: by the sum over words of log((r + 1/2) / (w + 1/2)), r and w being how many other texts of
either side have the word.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from headstart.kernel.errors import some

SURE = 3.0
"""Difference of log counts on both sides from which a pair is taken for exchanged."""

COMMON = 60
"""Most frequent words of a side that are kept with a model."""

TOKENISED = 0.3
"""Share of the texts with a full stop or comma that have a space before it, from which they are taken for tokenised."""

FEW_WORDS = 3
"""Words up to which a text may be the same in two languages, as a name is."""

_WORDS = {
    "en": "the and of is are with in on to an his her from",
    "de": "der die das und ist ein eine mit dem den auf im ein von",
    "fr": "le la les et est un une avec dans des sur du en de",
    "es": "el los las y es un una con en del por su de",
    "it": "il lo gli e un una con di che sul della nel",
    "nl": "de het en een van met op zijn in voor naar",
    "pt": "o os as e um uma com em do da no na de",
    "cs": "a se na v je s do muž z ve jsou",
    "pl": "w na z i się do jest przez od ze",
    "sv": "och en ett på i med som är av till",
}
"""Frequent words of some languages."""


def exchanged(reads: Sequence[str], writes: Sequence[str]) -> list[int]:
    """Rows whose two texts seem to have changed places."""
    of_reads, of_writes = ([frozenset(words_of(text)) for text in side] for side in (reads, writes))
    read, written = (Counter(word for words in side for word in words) for side in (of_reads, of_writes))

    def leaning(words: frozenset[str], own: int) -> float:
        """Likeness of a text to the texts to read; `own` takes its own words off that side's counts."""
        return sum(
            math.log((read[word] - own + 0.5) / (written[word] - (1 - own) + 0.5)) / max(1, len(words)) ** 0.5
            for word in words
        )

    return [
        row
        for row, (one, other) in enumerate(zip(of_reads, of_writes))
        if leaning(one, 1) < -SURE and leaning(other, 0) > SURE
    ]


def named_otherwise(reads: Sequence[str], writes: Sequence[str], names: tuple[str, str]) -> bool:
    """True where columns are named after languages and each holds the other's, by the most frequent words of both."""
    codes = _codes(names)
    if not codes:
        return False
    shares = [[_share(texts, _WORDS[code].split()) for code in codes] for texts in (reads, writes)]
    return shares[0][1] > 2 * shares[0][0] and shares[1][0] > 2 * shares[1][1]


def copied(reads: Sequence[str], writes: Sequence[str], names: tuple[str, str]) -> list[int]:
    """Rows of columns that are named after two languages, whose texts of some words are the same in both."""
    if not _codes(names):
        return []
    pairs = enumerate(zip(map(words_of, reads), map(words_of, writes)))
    return [row for row, (one, other) in pairs if one == other and len(one) > FEW_WORDS]


def frequent(texts: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """The most frequent words of some texts that others have at most a tenth as often, for `looks_like`."""
    own, beside = (Counter(word for text in side for word in words_of(text)) for side in (texts, others))
    return tuple(word for word, count in own.most_common(2 * COMMON) if count > 10 * beside[word])[:COMMON]


def looks_like(texts: Sequence[str], usual: Sequence[str], others: Sequence[str]) -> bool:
    """True where texts have the words of `others` several times as often as the `usual` ones."""
    return bool(usual and others) and _share(texts, others) > 2 * _share(texts, usual) + 0.01


def tokenised(texts: Sequence[str]) -> int:
    """Count the texts with a space before a full stop or comma, where that is usual among them; else 0."""
    stopped = [text for text in texts if "." in text or "," in text]
    found = sum(" ." in text or " ," in text for text in stopped)
    return found if stopped and found > TOKENISED * len(stopped) else 0


def warnings_of(
    reads: Sequence[str], writes: Sequence[str], names: tuple[str, str], origins: Sequence[str]
) -> tuple[str, ...]:
    """Sentences on languages that are exchanged, and on texts to write that are not translated or are tokenised."""
    said = []
    if named_otherwise(reads, writes, names):
        said.append(
            f"the languages look exchanged: '{names[0]}' reads like {names[1]} and '{names[1]}' like {names[0]}; "
            f"--text {names[1]} --label {names[0]} reads them the other way round"
        )
    if rows := exchanged(reads, writes):
        places = some([origins[row] for row in rows], 3)
        said.append(f"in {len(rows)} of {len(reads)} pairs the two languages look exchanged: {places}")
    if rows := copied(reads, writes, names):
        places = some([origins[row] for row in rows], 3)
        said.append(f"{len(rows)} of {len(reads)} texts to write are the text that is read, not translated: {places}")
    if count := tokenised(writes):
        said.append(
            f"{count} of {len(writes)} texts to write have a space before a full stop or comma, as tokenised texts "
            "have: their BLEU is not comparable with that of plain texts"
        )
    return tuple(said)


def _codes(names: tuple[str, str]) -> tuple[str, ...]:
    """Codes of two different languages whose words are known, from names such as en or de_DE; else nothing."""
    codes = tuple(name.split("_")[0].split("-")[0].lower()[:2] for name in names)
    return codes if codes[0] != codes[1] and {*codes} <= {*_WORDS} else ()


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without signs around them."""
    return [word for word in (part.strip(".,;:!?\"'()«»„“”") for part in text.lower().split()) if word]


def _share(texts: Sequence[str], words: Sequence[str]) -> float:
    """Share of the words of texts that are among some."""
    wanted, every = frozenset(words), [word for text in texts for word in words_of(text)]
    return sum(word in wanted for word in every) / max(1, len(every))
