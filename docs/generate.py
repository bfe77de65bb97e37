"""Write the pages of the reference that follow from the code: a page for each plug-in, and one for the command line.

    python docs/generate.py FOLDER

A plug-in's page is the docstring of its file (idea, source, formula, what differs) and a table of its settings. The
tables of figures come from `benchmarks/results`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import typer.main  # noqa: E402

from headstart.cli import plugin_help  # noqa: E402
from headstart.cli.app import app  # noqa: E402
from headstart.kernel import registry  # noqa: E402
from headstart.kernel.user_settings import FieldHelp  # noqa: E402

TITLES = {
    "format": "Formats of data",
    "modality": "Modalities",
    "backbone": "Backbones",
    "task": "Tasks",
    "tuning": "Tunings",
    "objective": "Objectives",
    "augmentation": "Augmentations",
    "baseline": "Baselines without a pretrained network",
    "score": "Scores of backbones",
    "alignment": "Alignments of domains",
    "weighting": "Weightings of examples",
    "test_time": "Adaptation at prediction",
    "validator": "Validators without target labels",
    "recommender": "Recommenders",
    "exporter": "Exporters",
    "runner": "Runners of the frozen pass",
}
"""What a user calls a family -> the title of its page, in the order of the reference."""


def write(folder: Path) -> None:
    """Write all pages into the folder, which is emptied of older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = dict(_pages())
    for old in folder.rglob("*.md"):
        if old.relative_to(folder).as_posix() not in pages:
            old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


def _pages() -> Iterator[tuple[str, str]]:
    names = plugin_help.family_names()
    families = [*(family for family in TITLES if family in names), *sorted(set(names) - set(TITLES))]
    for family in families:
        plugins = plugin_help.plugins(family)
        title = TITLES.get(family, registry.FAMILY_NOUN[names[family]].capitalize())
        rows = [f"| [{entry.name}]({family}/{entry.name}.md) | {_cell(entry.idea)} |" for entry in plugins]
        hidden = _contents([f"{family}/{entry.name}" for entry in plugins])
        yield f"{family}.md", "\n".join([f"# {title}", "", "| name | idea |", "|---|---|", *rows, "", hidden])
        for entry in plugins:
            yield f"{family}/{entry.name}.md", _plugin_page(family, names[family], entry.name)
    yield "commands.md", _command_page()
    yield "index.md", "# Settings, methods and commands\n\n" + _contents(["commands", *families], hidden=False)


def _contents(pages: list[str], *, hidden: bool = True) -> str:
    return "\n".join(["```{toctree}", *([":hidden:"] if hidden else []), ":maxdepth: 1", "", *pages, "```", ""])


def _plugin_page(family: str, folder: str, name: str) -> str:
    lines = [f"# {name}", "", _docstring(registry.module_name(folder, name)), ""]
    rows = plugin_help.settings(family, name)
    if rows:
        lines += [
            "## Settings",
            "",
            f"`--set {family}.NAME=VALUE`, or a table `[settings.{family}]` of a plan file.",
            "",
        ]
        lines += _settings_table(rows)
    return "\n".join([*lines, ""])


def _settings_table(rows: list[FieldHelp]) -> list[str]:
    cells = [f"| `{row.name}` | {_cell(row.type)} | {_cell(row.default)} | {_cell(row.meaning)} |" for row in rows]
    return ["| setting | type | default | meaning |", "|---|---|---|---|", *cells]


def _command_page() -> str:
    commands: Any = typer.main.get_command(app)
    lines = ["# Commands", "", "`headstart COMMAND --help` shows the same.", ""]
    for name, command in commands.commands.items():
        if command.hidden:
            continue
        arguments = " ".join(_argument(one) for one in command.params if one.param_type_name == "argument")
        text = (command.help or "").strip().splitlines()
        examples = [line.strip() for line in text[1:] if line.strip().startswith("headstart ")]
        prose = [line.strip() for line in text[1:] if line.strip() and not line.strip().startswith("headstart ")]
        lines += [f"## headstart {name}", "", f"`headstart {name} {arguments}`".replace(" `", "`"), "", text[0], ""]
        lines += [" ".join(prose), ""] if prose else []
        lines += ["```text", *examples, "```", ""] if examples else []
        options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
        rows = [f"| {_spelling(one)} | {_cell(one.help or '')} |" for one in options]
        lines += ["| option | meaning |", "|---|---|", *rows, ""] if rows else []
    return "\n".join(lines)


def _argument(one: Any) -> str:
    name = one.metavar or one.name.upper()
    return f"[{name}]" if not one.required else name


def _spelling(one: Any) -> str:
    value = "" if one.is_flag or one.metavar is None else f" {one.metavar}"
    return ", ".join(f"`{name}{value}`" for name in (*one.opts, *one.secondary_opts))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*").replace("$", "\\$").replace("\n", " ")


def _docstring(module: str) -> str:
    """The docstring of a module, which is not run. Indented formulas are code in Markdown as well."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return ""
    found = ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or ""
    prose = (line if line.startswith("    ") else _plain(line) for line in found.splitlines())
    return "\n".join(prose)


def _plain(line: str) -> str:
    """A line of prose in which nothing but code between backticks is taken for markup."""
    pieces = line.split("`")
    return "`".join(
        piece if at % 2 else piece.replace("*", "\\*").replace("_", "\\_").replace("<", "\\<")
        for at, piece in enumerate(pieces)
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
