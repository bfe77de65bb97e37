"""README, CONTRIBUTING and the documentation: what they show can be typed, what they name exists."""

from __future__ import annotations

import ast
import re
import shlex
from functools import cache
from pathlib import Path
from types import CodeType

import pytest
import typer

from benchmarks import _harness as harness
from headstart.cli.app import app
from headstart.cli.exits import EXIT_CODES

ROOT = Path(__file__).resolve().parents[2]
MADE = ("_build", "generated", "gallery")
"""Folders of `docs/` that a build writes."""
PAGES = [page for page in (ROOT / "docs").rglob("*.md") if page.relative_to(ROOT / "docs").parts[0] not in MADE]
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(PAGES))
}
FRONT_PAGE_LINES = 150
MESSAGE = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)
COMMAND = typer.main.get_command(app)

FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
OURS = re.compile(r"(src|tests|benchmarks|examples|\.ci)(/.*)?|\w+\.(md|toml)|Makefile|LICENSE")


def blocks(language: str) -> list[str]:
    return [body for text in DOCUMENTS.values() for found, body in FENCED.findall(text) if found == language]


def inline() -> list[tuple[str, str]]:
    """(document, code) for each piece of code within running text."""
    return [(name, code) for name, text in DOCUMENTS.items() for code in INLINE.findall(FENCED.sub("", text))]


def shown_commands(program: str) -> list[str]:
    lines = [line.removeprefix("$ ") for block in blocks("sh") for line in block.splitlines()]
    lines += [code for _, code in inline()]
    return sorted({line.partition("  #")[0].strip() for line in lines if line.startswith(f"{program} ")})


def help_examples() -> list[str]:
    lines = [line.strip() for command in COMMAND.commands.values() for line in (command.help or "").splitlines()]
    return sorted({line.partition("   ")[0] for line in lines if line.startswith("headstart ")})


def test_there_is_something_to_check() -> None:
    assert len(shown_commands("headstart")) >= 10
    assert len(help_examples()) >= 8
    assert len(shown_commands("make")) >= 4


@pytest.mark.parametrize("line", sorted({*shown_commands("headstart"), *help_examples()}))
def test_a_shown_command_line_parses(line: str) -> None:
    verb, *arguments = shlex.split(line)[1:]
    COMMAND.commands[verb].make_context(verb, arguments)


@pytest.mark.parametrize("line", shown_commands("make"))
def test_a_shown_make_target_exists(line: str) -> None:
    target = shlex.split(line)[1]
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("block", blocks("python"))
def test_shown_python_parses(block: str) -> None:
    ast.parse(block)


@pytest.mark.parametrize(("document", "code"), [pair for pair in inline() if OURS.fullmatch(pair[1])])
def test_a_named_file_exists(document: str, code: str) -> None:
    family = code.partition("NAME")[0]
    assert (ROOT / family).exists(), f"{document} names {code}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_local_links_resolve(document: str) -> None:
    folder = (ROOT / document).parent
    local = [link for link in LINK.findall(DOCUMENTS[document]) if "://" not in link]
    missing = [link for link in local if not (folder / link.partition("#")[0]).exists()]
    assert not missing, f"{document} links to {missing}"


def test_the_reference_lists_every_exit_code() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", DOCUMENTS["docs/reference/environment.md"], re.MULTILINE))
    assert {int(code): meaning for code, meaning in rows.items()} == EXIT_CODES


def test_the_documentation_shows_the_figures_as_they_were_measured() -> None:
    shown = [line for line in DOCUMENTS["docs/benchmarks.md"].splitlines() if re.match(r"\| `\w+\.", line)]
    assert shown == harness.table(harness.written_figures()).splitlines()[2:]


def test_the_front_page_is_short() -> None:
    assert len(DOCUMENTS["README.md"].splitlines()) <= FRONT_PAGE_LINES


@pytest.mark.parametrize("message", MESSAGE.findall(DOCUMENTS["docs/errors.md"]))
def test_a_listed_message_is_one_that_the_package_has(message: str) -> None:
    pieces = [piece.strip() for piece in re.split("…|'", message) if len(piece.strip()) > 3]
    assert pieces
    missing = [piece for piece in pieces if piece not in _said()]
    assert not missing, f"no message says {missing}"


@cache
def _said() -> str:
    """All text constants of the package, those that stand one after the other joined."""
    found: list[str] = []
    waiting: list[object] = [compile(path.read_bytes(), str(path), "exec") for path in (ROOT / "src").rglob("*.py")]
    while waiting:
        constant = waiting.pop()
        if isinstance(constant, str):
            found.append(constant)
        elif isinstance(constant, CodeType):
            waiting += constant.co_consts
        elif isinstance(constant, tuple | frozenset):
            waiting += constant
    return "\n".join(found)


def test_the_changelog_keeps_its_form() -> None:
    headings = re.findall(r"^## (.+)$", DOCUMENTS["CHANGELOG.md"], re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", heading) for heading in headings[1:])
    kinds = set(re.findall(r"^### (.+)$", DOCUMENTS["CHANGELOG.md"], re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
