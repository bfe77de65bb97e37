"""A family of one backbone, which is asked for by its own name."""

from __future__ import annotations

from typing import ClassVar

from headstart.kernel.settings import Settings


class OwnName(Settings):
    """Base of the families that are asked for by their own name."""

    own_name: ClassVar[str]
    """What is asked for."""
    modality: ClassVar[str]
    """What it reads."""

    @classmethod
    def suits(cls, reference: str) -> bool:
        """Return whether the reference is the family's own name."""
        return reference == cls.own_name

    @classmethod
    def known(cls) -> list[str]:
        """Its own name."""
        return [cls.own_name]
