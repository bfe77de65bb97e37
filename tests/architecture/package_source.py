"""The package as the architecture tests read it: files, syntax trees, imports. Nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from headstart.kernel import registry

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "headstart"
PLUGIN_FOLDERS = (
    "modalities",
    "formats",
    "backbones",
    "runners",
    "exporters",
    "tasks",
    "tuning",
    "objectives",
    "augmentations",
    "baselines",
    "scores",
    "alignment",
    "recommenders",
    "weighting",
    "test_time",
    "validators",
)

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One file of the package."""

    path: Path

    @property
    def relative(self) -> str:
        """'engine/training/loop.py'"""
        return self.path.relative_to(PACKAGE).as_posix()

    @property
    def module(self) -> str:
        """'headstart.engine.training.loop'; a folder's `__init__.py` is the folder."""
        parts = self.path.relative_to(PACKAGE.parent).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @property
    def folder(self) -> str:
        """'engine', 'present/report', or '' for the package's top."""
        return self.path.parent.relative_to(PACKAGE).as_posix().removeprefix(".")

    @property
    def plugin(self) -> tuple[str, str] | None:
        """(family, name) of the plug-in that the file is, or is the main module of; None for any other file."""
        family, _, name = self.folder.partition("/")
        if family not in PLUGIN_FOLDERS or self.path.stem.startswith("_"):
            return None
        if name:
            return (family, name) if self.path.stem == registry.main_module(family) else None
        return family, self.path.stem

    @property
    def is_plugin(self) -> bool:
        return self.plugin is not None

    @property
    def text(self) -> str:
        return _text(self.path)

    @property
    def tree(self) -> ast.Module:
        return _tree(self.path)

    def at(self, node: ast.AST) -> str:
        """'src/headstart/engine/training/loop.py:12', as an editor opens it."""
        return f"src/headstart/{self.relative}:{getattr(node, 'lineno', 1)}"

    def functions(self) -> Iterator[FunctionNode]:
        """Every function and method, nested ones included."""
        return (node for node in ast.walk(self.tree) if isinstance(node, FunctionNode))

    def public(self) -> Iterator[tuple[FunctionNode | ast.ClassDef, ast.ClassDef | None]]:
        """(public function or class at the top, None) and (public method, its public class)."""
        for node in self.tree.body:
            if isinstance(node, FunctionNode | ast.ClassDef) and not node.name.startswith("_"):
                yield node, None
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                methods = (part for part in node.body if isinstance(part, FunctionNode))
                yield from ((method, node) for method in methods if not method.name.startswith("_"))

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """(node, module of the package) for each import, wherever it stands, `import_module("...")` included."""
        return iter(_imports(self, self.tree))


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the package, in order of path."""
    return tuple(Source(path) for path in sorted(PACKAGE.rglob("*.py")))


def import_closure(module: str) -> int:
    """Lines of a module's file and of all files of the package that it imports, directly or through others."""
    by_module = {source.module: source for source in sources()}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [imported for _, imported in by_module[name].imports()]
    return sum(len(by_module[name].text.splitlines()) for name in seen)


@cache
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(_text(path), filename=str(path))


@cache
def _imports(source: Source, tree: ast.Module) -> tuple[tuple[ast.AST, str], ...]:
    found = [(node, names) for node in ast.walk(tree) if (names := _imported(node, source))]
    own = {"", source.module}
    return tuple((node, module) for node, names in found for module in sorted({*map(_existing_module, names)} - own))


def _imported(node: ast.AST, source: Source) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        origin = _absolute(node, source)
        return [f"{origin}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "import_module":
        return [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return []


def _absolute(node: ast.ImportFrom, source: Source) -> str:
    if not node.level:
        return node.module or ""
    package = source.path.parent.relative_to(PACKAGE.parent).parts
    anchor = package[: len(package) - node.level + 1]
    return ".".join([*anchor, *([node.module] if node.module else [])])


@cache
def _modules() -> frozenset[str]:
    return frozenset(source.module for source in sources() if source.text)


@cache
def _existing_module(name: str) -> str:
    """The longest beginning of a dotted name that is a file with content: names inside a module are cut off."""
    modules = _modules()
    parts = name.split(".")
    while parts and ".".join(parts) not in modules:
        parts.pop()
    in_a_folder = (PACKAGE / name.removeprefix("headstart.").partition(".")[0]).is_dir()
    return "" if parts == ["headstart"] and in_a_folder else ".".join(parts)
