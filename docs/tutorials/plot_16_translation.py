"""
Texts from texts
================

A small encoder-decoder learns from pairs of lines: here numbers written out in English and in German. Real
translation wants a pretrained model (``--backbone Helsinki-NLP/opus-mt-en-de``) or a parent that learnt another pair
of languages.
"""

import tempfile
from pathlib import Path

import pandas as pd

import headstart

ones = "zero one two three four five six seven eight nine".split()
tens = "twenty thirty forty fifty sixty seventy eighty ninety".split()
eins = "null ein zwei drei vier fünf sechs sieben acht neun".split()
zehn = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()


def pair(hundred: int, ten: int, one: int) -> dict[str, str]:
    """345 in both languages."""
    english = f"{ones[hundred]} hundred {tens[ten]} {ones[one]}"
    return {"en": english, "de": f"{eins[hundred]} hundert {eins[one]} und {zehn[ten]}"}


frame = pd.DataFrame([pair(h, t, o) for h in range(1, 10) for t in range(8) for o in range(1, 10)])
folder = Path(tempfile.mkdtemp())
frame.to_csv(folder / "numbers.csv", index=False)

# %%

run = headstart.fit(
    folder / "numbers.csv",
    task="generation",
    backbone="seq2seq_small",
    tuning="full",
    text="en",
    label="de",
    scratch=False,
    settings={
        "backbone": {"width": 96, "layers": 2, "vocabulary": 400, "dropout": 0.0},
        "tuning": {"epochs": 40, "learning_rate": 3e-3},
    },
    out=folder / "run",
)
print(run.verdict)
found = run.predict(["four hundred thirty two", "nine hundred ninety nine"])
print(*found["prediction"], sep="\n")
