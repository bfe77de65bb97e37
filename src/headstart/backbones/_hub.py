"""Asking the Hugging Face hub without waiting for it: it answers within seconds, or counts as out of reach."""

from __future__ import annotations

import threading

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

CONTACT_SECONDS = 3.0
"""How long the hub may take to answer at all."""


class OutOfReach(Exception):
    """The hub cannot be asked; the text says why."""


def hub_files(repository: str, revision: str | None = None) -> list[str] | None:
    """The names of the files of a model on the hub; None if the hub has no such public model.

    Raises:
        OutOfReach: `HF_HUB_OFFLINE` is set, or no answer came in time.
    """
    if constants.HF_HUB_OFFLINE:
        raise OutOfReach("HF_HUB_OFFLINE is set")
    answer: list[list[str] | None] = []
    failure: list[Exception] = []

    def ask() -> None:
        try:
            info = huggingface_hub.HfApi().model_info(repository, revision=revision, timeout=CONTACT_SECONDS)
            answer.append([file.rfilename for file in info.siblings or []])
        except (RepositoryNotFoundError, HFValidationError):
            answer.append(None)
        except Exception as error:  # the client raises its HTTP library's errors, which differ between versions
            failure.append(error)

    # a name lookup heeds no client's time-out, so the question is asked aside
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(CONTACT_SECONDS + 1)
    if answer:
        return answer[0]
    reason = str(failure[0]).strip() if failure else f"no answer within {CONTACT_SECONDS:g} s"
    raise OutOfReach(f"the Hugging Face hub cannot be reached ({reason.splitlines()[0] if reason else 'no reason'})")
