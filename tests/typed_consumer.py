"""A program that uses the package as users do, for the type checker alone: `make check` reads it and nothing runs it.

Each `type: ignore` marks what a type checker must refuse; mypy's `warn_unused_ignores` fails where it does not, such as
where a public name has become `Any`.
"""

from __future__ import annotations

import headstart


def adapt(folder: str) -> str:
    run = headstart.fit(folder, budget=60)
    number: int = run.verdict  # type: ignore[assignment]
    headstart.fit(folder, buget=60)  # type: ignore[call-arg]
    again = headstart.load(run.folder)
    found = headstart.inspect(folder)
    texts = [finding.text for finding in found.findings]
    wrong: int = texts[0]  # type: ignore[assignment]
    classifier = headstart.TransferClassifier(backbone="embedded")
    classifier.fit([[0.0]], [1])
    return f"{run.verdict} {number} {wrong} {again}"
