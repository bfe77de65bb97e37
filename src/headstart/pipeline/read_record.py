"""Reading RUN/record.json: what is missing, foreign, damaged or newer than this Headstart is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from headstart.contracts.backbone_alone import predicts_nothing
from headstart.kernel.errors import HeadstartError, RunError
from headstart.kernel.files import read_json
from headstart.kernel.replacement import recover
from headstart.pipeline.pretraining.record import KIND, PretrainRecord
from headstart.pipeline.record import FILE_NAME, FORMAT_NUMBER, RunRecord


def read_record(run: Path) -> RunRecord:
    """The record of a fit's run folder.

    Raises:
        RunError: the folder is missing, is no run, that of a pretraining, its record is damaged, or a newer Headstart
            wrote it.
    """
    record = read_any(run)
    if isinstance(record, PretrainRecord):
        raise predicts_nothing(run)
    return record


def is_pretraining(run: Path) -> bool:
    """Whether a folder holds the record of a pretraining, whole or not."""
    try:
        content = read_json(run / FILE_NAME)
    except (HeadstartError, OSError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def read_any(run: Path) -> RunRecord | PretrainRecord:
    """The record of a fit or of a pretraining. Raises RunError as `read_record`."""
    recover(run)
    path = run / FILE_NAME
    if not run.is_dir():
        raise RunError(
            f"{run} is {'a file, not a run folder' if run.exists() else 'missing: there is no such run folder'}"
        )
    if not path.exists():
        raise RunError(f"{run} has no {FILE_NAME}: it is no run folder, or its run was not finished")
    try:
        content = read_json(path)
    except (HeadstartError, OSError) as error:
        raise RunError(f"{path} cannot be read: {error}. Repeat the run to have it written again.") from error
    if not (isinstance(content, dict) and {"format", "headstart"} <= content.keys()):
        raise RunError(f"{path} is no record of a Headstart run: it lacks the fields 'format' and 'headstart'")
    return _validated(path, content)


def _validated(path: Path, content: dict[str, Any]) -> RunRecord | PretrainRecord:
    number = content["format"]
    if isinstance(number, int) and number > FORMAT_NUMBER:
        raise RunError(
            f"{path} was written by Headstart {content['headstart']} in format {number}; this one reads formats up to"
            f" {FORMAT_NUMBER}. Install Headstart {content['headstart']} or newer."
        )
    try:
        kind = PretrainRecord if content.get("kind") == KIND else RunRecord
        return kind.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3]]
        more = f" and {error.error_count() - 3} more" if error.error_count() > 3 else ""
        raise RunError(
            f"{path} is damaged: {'; '.join(faults)}{more}. Repeat the run to have it written again."
        ) from error
