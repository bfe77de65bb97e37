"""push: a run to a hub, without what shows single examples."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from headstart.kernel.errors import HeadstartError, RunError, SettingsError, first_line
from headstart.kernel.progress import Quiet, Reporter
from headstart.pipeline.hub_run import SENT
from headstart.pipeline.run_folder import RunFolder, open_run
from headstart.present.card import FILE, write_card


def push(run: Path | str | RunFolder, name: str, *, private: bool = True, reporter: Reporter | None = None) -> str:
    """Upload a run to the Hugging Face hub, or the one that HF_ENDPOINT names, and return its address.

    Args:
        run: a run folder.
        name: of the repository, such as 'user/photos'; made where it is not there.
        private: whether a new repository is private.
        reporter: says where it lies.

    Raises:
        RunError: no finished run. SettingsError: no such name. HeadstartError: the hub does not take it.
    """
    opened, reporter = open_run(run), reporter or Quiet()
    if not opened.record.model_hash or not (opened.folder / "model").is_dir():
        raise RunError(f"{opened.folder} has no model of its own to push")
    if name.count("/") != 1 or not all(name.split("/")):
        raise SettingsError(f"'{name}' is no name of a repository: give USER/NAME, such as anna/photos")
    write_card(opened.folder, opened.record)
    hub = import_module("huggingface_hub")
    try:
        api: Any = hub.HfApi()
        api.create_repo(name, private=private, exist_ok=True)
        found = api.upload_folder(
            repo_id=name, folder_path=opened.folder, allow_patterns=list(SENT), commit_message="A run of Headstart"
        )
    except Exception as error:  # the library's errors have many bases
        raise HeadstartError(f"the hub did not take {opened.folder}: {first_line(error)}") from error
    address = str(getattr(found, "repo_url", None) or f"{api.endpoint}/{name}")
    reporter.say(f"{opened.folder} lies on {address}, with {FILE} as its card.")
    return address
