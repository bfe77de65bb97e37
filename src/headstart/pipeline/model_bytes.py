"""A model as bytes: the files of a saved model in one archive, for what wants a value and not a folder, such as pickle.

Unlike live modules, saved files depend on no device and on no library's private attributes.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path

from headstart.contracts.model import Model, load_model


def to_bytes(model: Model) -> bytes:
    """The files that `Model.save` writes, as a ZIP archive. Raises HeadstartError where there is no temporary room."""
    archive = io.BytesIO()
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder, zipfile.ZipFile(archive, "w") as files:
        model.save(Path(folder))
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file():
                files.write(path, path.relative_to(folder))
    return archive.getvalue()


def from_bytes(content: bytes) -> Model:
    """The model in an archive that `to_bytes` made, on the CPU. Raises RunError as `load_model` does."""
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        with zipfile.ZipFile(io.BytesIO(content)) as files:
            files.extractall(folder)
        return load_model(Path(folder))
