"""Recommenders made ready for interactions: closed forms are solved for, networks go through the training loop."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from headstart.contracts.backbone import Backbone
from headstart.contracts.carriers import State
from headstart.contracts.format import Columns
from headstart.contracts.interactions import Domains
from headstart.contracts.model import Encoder
from headstart.contracts.objective import TARGET
from headstart.contracts.recommender import (
    FOLLOWING,
    NextItems,
    Part,
    Recommender,
    SolvedRecommender,
    TrainedRecommender,
)
from headstart.engine.streams import Stream
from headstart.engine.training.loop import Loop
from headstart.engine.training.training_plan import TrainingPlan
from headstart.kernel.errors import SettingsError
from headstart.kernel.progress import Reporter


class HeldOut(NamedTuple):
    """Users by whom a training is stopped."""

    histories: csr_array
    """(users, items)."""
    later: csr_array
    """(users, items): what came after."""


def made_ready(
    recommender: Recommender, domains: Domains, seed: int, held_out: HeldOut | None, reporter: Reporter | None = None
) -> Part:
    """Return a recommender that was solved for or trained on these interactions.

    Args:
        held_out: decides which epoch of a training is kept, and the settings that are returned name it; without it all
            epochs of the settings are trained.

    Raises:
        TrainingError: a training cannot go on. SettingsError: the recommender is of neither kind.
    """
    if isinstance(recommender, SolvedRecommender):
        return Part(recommender, recommender.solve(domains, seed))
    if not isinstance(recommender, TrainedRecommender):
        raise SettingsError(f"{recommender.title} is neither solved for nor trained")
    network = recommender.network(domains, seed)
    recipe = recommender.recipe.model_copy(update={"keep": "last" if held_out is None else "best"})
    plan = TrainingPlan(recommender.objective, recipe, recipe.rates(len(network.stages)), 0, seed, pretrained=False)
    learnt = _stream(network, recommender.sequences(domains.target), recipe.batch_size, seed)
    if held_out is None:  # a loop looks at something after each epoch
        judged = replace(learnt, rows=learnt.rows[: recipe.batch_size])
    else:
        judged = _stream(network, recommender.sequences(*held_out), recipe.batch_size, seed)
    loop = Loop(Encoder(network, Columns()), plan, {TARGET: learnt}, {TARGET: judged}, reporter=reporter)
    progress = loop.run()
    if held_out is not None:
        recommender = recommender.ended(progress.best_epoch + 1)
    network.module.eval()
    return Part(recommender, recommender.scorer(network, domains))


def _stream(network: Backbone, sequences: NextItems, batch_size: int, seed: int) -> Stream:
    """Sequences, those of like length together."""

    def padded(rows: np.ndarray) -> State:
        return network.prepare(sequences.items[rows])

    lengths = np.array([len(one) for one in sequences.items])
    targets = {FOLLOWING: sequences.following}
    return Stream(TARGET, np.arange(len(lengths)), targets, padded, batch_size, seed, lengths=lengths)
