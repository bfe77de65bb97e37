"""Plug-ins stand alone: one settings class per file, every field explained, and named nowhere else."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Iterator

import pytest

from headstart.kernel import registry
from headstart.kernel.settings import Settings
from headstart.kernel.user_settings import field_help
from package_source import PACKAGE, PLUGIN_FOLDERS, Source, sources

PLUGINS = [source.plugin for source in sources() if source.plugin is not None]
NAMES = {name for _, name in PLUGINS}
BLIND = ("contracts", "engine", "evidence", "pipeline", "search", "present", "verbs", "cli")
"""Folders that must work for a plug-in nobody has written yet."""

AMBIGUOUS = {
    "image": "also a column, and what is shown",
    "text": "also a column, and what is said",
    "table": "also a format and a panel",
    "none": "also an ordinary word",
    "torch": "also the library",
    "onnx": "also the library",
}

ABOVE = ("pipeline/", "search/", "present/")

ALLOWED = {
    **{(floor, "probe"): "the default tuning, and an arm of every comparison" for floor in ABOVE},
    **{(floor, "scratch"): "an arm of every comparison, and the tuning that trains it" for floor in (*ABOVE, "verbs/")},
    ("pipeline/", "supervised"): "the default objective",
    ("pipeline/pretraining/unlabelled.py", "image_folder"): "folders of so many pictures that no other format is asked",
    ("search/candidates.py", "standard"): "the augmentation whose strength follows from the size of the data",
    ("engine/device.py", "openvino"): "the library of that name",
    ("pipeline/continued_run.py", "full"): "how a run goes on whose head was solved for",
    ("pipeline/plan.py", "full"): "how a model that writes is trained where nobody says",
    ("verbs/estimators.py", "classification"): "what a classifier does",
    ("verbs/estimators.py", "multilabel"): "what a classifier of several labels does",
    ("verbs/estimators.py", "regression"): "what a regressor does",
    ("pipeline/plan.py", "head_only"): "the probe of a task whose head cannot be solved for",
    ("verbs/fit.py", "joint"): "the flag of that name",
    ("contracts/backbone.py", "joint"): "how a backbone reads pairs",
    ("pipeline/pairs.py", "joint"): "how a backbone reads pairs",
}
"""(beginning of a file's path, plug-in) -> why it may be named there."""


def test_a_plugin_file_defines_one_settings_class_with_explained_fields() -> None:
    classes = [registry.plugin(family, name) for family, name in PLUGINS]
    faults = [
        f"{inspect.getsourcefile(settings)}: {settings.__name__}.{row.name} has no docstring"
        for settings in classes
        for row in field_help(settings)
        if not row.meaning.strip()
    ]
    assert all(issubclass(settings, Settings) for settings in classes) and not faults, "\n" + "\n".join(faults)


def test_no_plugin_is_named_outside_its_folder() -> None:
    faults = [
        f"{source.at(node)} names the plug-in '{node.value}'"
        for source, node in names_outside()
        if not any(source.relative.startswith(where) and node.value == name for where, name in ALLOWED)
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_no_plugin_is_imported_outside_its_folder() -> None:
    plugin_modules = {source.module for source in sources() if source.is_plugin}
    faults = [
        f"{source.at(node)} imports {module}; ask the registry for it"
        for source in sources()
        for node, module in source.imports()
        if module in plugin_modules
        and not ("/" in source.folder and module.startswith(f"{source.module.rpartition('.')[0]}."))
    ]
    assert not faults, "\n" + "\n".join(faults)


def test_every_exception_is_still_needed() -> None:
    found = {(source.relative, node.value) for source, node in names_outside()}
    idle = [pair for pair in ALLOWED if not any(at.startswith(pair[0]) and name == pair[1] for at, name in found)]
    assert not idle


def test_the_registry_and_the_folders_agree() -> None:
    assert set(registry.FAMILY_NOUN) == set(PLUGIN_FOLDERS)
    assert {family for family, _ in PLUGINS} <= set(PLUGIN_FOLDERS)


def test_no_metric_and_no_task_is_named_above_the_tasks() -> None:
    assert not named_above(sources()), "\n" + "\n".join(named_above(sources()))


def test_no_template_names_a_metric_or_a_task() -> None:
    words = metric_names() | {name for family, name in PLUGINS if family == "tasks"}
    faults = [
        f"{path.relative_to(PACKAGE)} names '{word}'"
        for path in sorted(PACKAGE.rglob("*.j2"))
        for word in sorted(words & set(re.findall(r"['\"](\w+)['\"]", path.read_text(encoding="utf-8"))))
    ]
    assert not faults, "\n" + "\n".join(faults)


@pytest.mark.parametrize("line", ['x = "balanced_accuracy"', "if metric in {'dice', 'r2'}:\n    pass", 'f("log_loss")'])
def test_a_planted_metric_is_found(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    assert {"balanced_accuracy", "dice", "r2", "log_loss", "mean_average_precision"} <= metric_names()
    known = metric_names()
    monkeypatch.setattr("test_plugins.metric_names", lambda: known)
    monkeypatch.setattr("package_source._tree", lambda _: ast.parse(line))
    assert named_above([Source(PACKAGE / "present" / "planted.py")])


def metric_names() -> set[str]:
    """Names in the metrics of tasks: the strings that a title follows, in a call or a tuple."""
    nodes = (
        node.args if isinstance(node, ast.Call) else node.elts
        for source in sources()
        if source.folder.startswith("tasks/") and source.path.stem == "metrics"
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call | ast.Tuple)
    )
    pairs = [[str(getattr(part, "value", "")) for part in parts[:2]] for parts in nodes if len(parts) > 1]
    named = {name for name, title in pairs if name == name.lower() and title[:1].isupper() and name.isidentifier()}
    return named - {"precision"}  # also that of a processor


def named_above(files: Iterable[Source]) -> list[str]:
    """Strings above the tasks that are the name of a metric."""
    names = metric_names()
    return [
        f"{source.at(node)} names the metric '{node.value}': ask Metric, or the record's `metrics`"
        for source in files
        if source.folder.partition("/")[0] in BLIND
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant) and node.value in names
    ]


def names_outside() -> Iterator[tuple[Source, ast.Constant]]:
    """Every string in a blind folder that is the name of a plug-in, docstrings aside."""
    for source in sources():
        if source.folder.partition("/")[0] in BLIND:
            inner = (node for node in ast.walk(source.tree) if not isinstance(node, ast.Expr))
            strings = (
                child for node in inner for child in ast.iter_child_nodes(node) if isinstance(child, ast.Constant)
            )
            yield from ((source, node) for node in strings if node.value in NAMES - AMBIGUOUS.keys())
