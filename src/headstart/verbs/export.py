"""export: a run as one graph for another runtime, which tests itself; replay: that test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headstart.contracts.examples import Examples
from headstart.contracts.exporter import CannotExport
from headstart.kernel import registry
from headstart.kernel.errors import BackboneError, RunError, SettingsError
from headstart.kernel.files import atomic_folder
from headstart.kernel.progress import Quiet, Reporter
from headstart.kernel.settings import Settings
from headstart.pipeline.data import reader_of
from headstart.pipeline.destination import GIVE_ANOTHER, require_apart, require_outside_runs
from headstart.pipeline.exporting.artefact import Exported, is_export
from headstart.pipeline.exporting.replay import Replay, replayed
from headstart.pipeline.exporting.write import write_export
from headstart.pipeline.own_test_part import own_part
from headstart.pipeline.run_folder import RunFolder, open_run

EXPORTS = Path("exports")


class Export(Settings):
    """The result of an export."""

    folder: str
    """Where it lies."""
    exported: Exported
    """Its description."""


def export(
    run: Path | str | RunFolder,
    *,
    to: str = "onnx",
    int8: bool = False,
    out: Path | str | None = None,
    data: Any = None,
    reporter: Reporter | None = None,
) -> Export:
    """Write the model of a run as one graph, held against plain PyTorch on real validation examples.

    Args:
        run: a run folder.
        to: the runtime: 'onnx', 'openvino' or 'torch'.
        int8: take int8 where it is proven to cost at most one point, else float32 and a note.
        out: the folder, new or an earlier export's; exports/RUN-RUNTIME without.
        data: what it is held against where the run's own data are gone, as of `fit`; with labels for int8.
        reporter: shows progress.

    Raises:
        RunError: no finished run, or its data are gone. DataError: none of them can be read. BackboneError: the
            model cannot be exported, and why. SettingsError: no such runtime, or `out` holds something else.
    """
    opened, reporter = open_run(run), reporter or Quiet()
    folder = Path(out) if out is not None else EXPORTS / f"{opened.folder.resolve().name}-{to}"
    require_apart(folder, (data, opened.folder), "the export")
    require_outside_runs(folder, what="the export")

    def may_replace() -> None:
        if folder.exists() and not is_export(folder) and (not folder.is_dir() or any(folder.iterdir())):
            raise SettingsError(f"{folder} is there already and is no export. {GIVE_ANOTHER}")

    exporter = registry.plugin("exporters", to)()
    may_replace()
    model = opened.read_model()
    examples = _held_against(opened, data)
    reporter.say(f"Writing the graph and comparing it on validation examples of {opened.folder}.")
    with atomic_folder(folder, may_replace) as unfinished:
        try:
            found = write_export(model, examples, unfinished, exporter, int8=int8, seed=opened.plan.seed)
        except CannotExport as error:
            raise BackboneError(f"{opened.folder} cannot be exported to {to}: {error}") from error
    return Export(folder=str(folder), exported=found)


def replay(folder: Path | str) -> Replay:
    """Replay the golden inputs of an export on this machine. Raises RunError, which names the first difference."""
    if not is_export(Path(folder)):
        raise RunError(f"{folder} is no export: give a folder that `headstart export` wrote")
    return replayed(Path(folder))


def _held_against(run: RunFolder, data: Any) -> Examples:
    """Real examples: the run's validation part, or what is given."""
    columns = run.model.columns.model_copy(update={"part": None})
    if data is not None:
        found, reader = reader_of(data, run.plan.format, run.plan.settings.get("format", {}), {})
        return reader.read(found, columns)
    try:
        return own_part(run, columns, "val")
    except RunError as error:
        raise RunError(f"{error}: give --data, real examples that the export is held against") from error
