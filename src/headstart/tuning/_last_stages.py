"""Number of a backbone's stages that move, counted from its end."""

from __future__ import annotations

from headstart.contracts.network import Network
from headstart.kernel.errors import SettingsError


def require_stages(backbone: Network, last: int | None) -> None:
    """Raises SettingsError when `last` is more stages than there are."""
    stages = [stage.name for stage in backbone.stages]
    if last is not None and last > len(stages):
        raise SettingsError(
            f"tuning.last = {last}: {backbone.name} has {len(stages)} stages ({', '.join(stages)}). "
            f"Give at most {len(stages)}."
        )
