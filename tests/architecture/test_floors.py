"""A file imports only from lower floors or from files above it in its folder's list; imports in functions count."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from itertools import chain

import pytest

import package_source
from package_source import PACKAGE, PLUGIN_FOLDERS, Source, sources

FLOORS = {
    "kernel": 0,
    "numerics": 1,
    "media": 1,
    "contracts": 2,
    **dict.fromkeys(PLUGIN_FOLDERS, 3),
    "engine": 4,
    "evidence": 5,
    "product": 6,
    "": 7,
}

ORDER = {
    "kernel": "errors files folders locks processor progress randomness settings registry",
    "numerics": "bootstrap calibration neighbours nt_xent spread standardisation",
    "media": "framing jpeg recent images masks words",
    "media/formula": "frame bodies fractals strokes textures pictures",
    "contracts": (
        "carriers exhibits examples format inputs augmentation composed_augmentation backbone backbone_alone "
        "boundaries evaluation_mode task tuning objective runner model"
    ),
    "engine": (
        "ahead allocator bottleneck launch device finite interruption turns optimiser weights near_tiles streams "
        "views columns key_index shard gathering space store_limit claims feature_store sharing memo content "
        "reading reading_worker reading_workers feeding lazy_inputs averaged_views kept pass_key witness "
        "execution choose_runner pipeline pass_space extract merging infer together gathered_rows precision "
        "forward micro_batches averaging best_epochs interpolation final_weights noise pace checkpoint collapse "
        "training_plan step_batches validator validation stepping self_validation loop rehearsal "
        "relative_gradients"
    ),
    "evidence": (
        "clusters given_parts image_fingerprints image_likeness text_likeness duplicates splits folds comparison "
        "code_modules code_backbone unlabelled_codes"
    ),
    "product/auto": (
        "cost halving rate_range by_size journal settings ways workshop pricing against_probe cross_fit standing "
        "all_labels search"
    ),
    "product/pretraining": (
        "course record plan outset unlabelled choices gain training exhibits verdict summary run printing"
    ),
    "product/report": "svg curves exhibits intervals marks evidence stages candidates pictures course write",
    "product": (
        "shown record read_record numbers data unusable memory_data plan_file plan claim repeat clock allowance "
        "verdict prepare choose_backbone suit_backbone pieces pick_runner bench pass_time sources samples views "
        "broken_off prediction_time view_averaging stage_rows training arms refit train_arms judge finished_run "
        "run_folder command summary evaluate file_names formula_pool recipe_phase recipe predict run further "
        "forgetting study seeds fit pretrain model_bytes memory_training estimators inspection findings inspect "
        "cache_parts cache_contents cache exits plugin_help terminal console stage_table printing cache_printing"
    ),
    "": "__init__ cli_options cli_pretrain cli __main__",
}
"""Each folder's files, lowest first; a file may import those that stand before its own name."""

BY_MODULE = {source.module: source for source in sources()}


def floor(source: Source) -> int:
    return FLOORS[source.folder.partition("/")[0]]


def fault(importer: Source, imported: Source) -> str | None:
    """What is wrong with an import, or None."""
    if floor(imported) != floor(importer):
        upward = floor(imported) > floor(importer)
        return f"floor {floor(importer)} imports from floor {floor(imported)}" if upward else None
    if importer.folder.partition("/")[0] != imported.folder.partition("/")[0]:
        return "folders of one floor do not import each other; they meet at the contracts"
    if importer.folder in PLUGIN_FOLDERS:
        return "a plug-in is imported by nobody; shared parts start with an underscore" if imported.is_plugin else None
    if importer.folder != imported.folder:
        return None
    before, found, _ = f" {ORDER[importer.folder]} ".partition(f" {importer.path.stem} ")
    if not found or imported.path.stem not in before.split():
        return f"{imported.path.stem} does not stand before {importer.path.stem} in ORDER[{importer.folder!r}]"
    return None


@pytest.mark.parametrize("source", sources(), ids=lambda source: source.relative)
def test_imports_only_downwards(source: Source) -> None:
    faults = [
        f"{source.at(node)} imports {module}: {reason}"
        for node, module in source.imports()
        if (reason := fault(source, BY_MODULE[module]))
    ]
    assert not faults, "\n".join(faults)


def test_every_folder_has_a_floor() -> None:
    unknown = {source.folder for source in sources() if source.folder.partition("/")[0] not in FLOORS}
    assert not unknown, f"give these folders a floor in {__file__}: {sorted(unknown)}"


@pytest.mark.parametrize("folder", ORDER, ids=lambda folder: folder or "top")
def test_order_names_exactly_the_files_of_the_folder(folder: str) -> None:
    present = {s.path.stem for s in sources() if s.folder == folder and (s.path.stem != "__init__" or folder == "")}
    assert set(ORDER[folder].split()) == present, f"ORDER[{folder!r}] in {__file__} and the folder differ"


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {source.module: {module for _, module in source.imports()} for source in sources()}
    try:
        everything = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail("imports go round: " + " -> ".join(error.args[1]))
    assert set(chain(*graph.values())) <= set(everything)


@pytest.mark.parametrize(
    ("relative", "line", "reason"),
    [
        ("engine/planted.py", "from headstart.product import record", "floor 4 imports from floor 6"),
        ("kernel/planted.py", "import headstart.contracts.task", "floor 0 imports from floor 2"),
        ("contracts/planted.py", "import_module('headstart.engine.loop')", "floor 2 imports from floor 4"),
        ("product/planted.py", "from headstart import __version__", "floor 6 imports from floor 7"),
        ("evidence/planted.py", "from ..product.record import RunRecord", "floor 5 imports from floor 6"),
        ("tasks/planted.py", "from headstart.tuning.full import Full", "folders of one floor"),
        ("tuning/planted.py", "from headstart.tuning import full", "a plug-in is imported by nobody"),
        ("engine/planted.py", "from headstart.engine.loop import Loop", "loop does not stand before planted"),
    ],
)
def test_a_planted_import_is_found(monkeypatch: pytest.MonkeyPatch, relative: str, line: str, reason: str) -> None:
    planted = Source(PACKAGE / relative)
    text = f"def f():\n    if TYPE_CHECKING:\n        {line}\n"
    monkeypatch.setattr(package_source, "_tree", lambda _: ast.parse(text))
    ((node, module),) = planted.imports()
    assert reason in (fault(planted, BY_MODULE[module]) or "")
    assert planted.at(node) == f"src/headstart/{relative}:3"
