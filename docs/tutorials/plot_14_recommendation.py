"""
Recommendation across domains
=============================

Users have a long history of films and a short one of games. What was learnt from films tells something about games
for the users that both share; "no transfer" always stands beside it.
"""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import headstart

draw = np.random.default_rng(0)
users, tastes = 300, 6
taste = draw.dirichlet(np.full(tastes, 0.3), users)


def interactions(items: int, each: int, name: str) -> pd.DataFrame:
    """Users pick items of the tastes that they have."""
    kind = draw.integers(0, tastes, items)
    chances = taste[:, kind] * draw.pareto(1.5, items)
    rows = [
        {"user": f"u{user}", "item": f"{name}{item}"}
        for user in range(users)
        for item in draw.choice(items, each, replace=False, p=chances[user] / chances[user].sum())
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=0)


folder = Path(tempfile.mkdtemp())
interactions(200, 20, "film").to_csv(folder / "films.csv", index=False)
interactions(150, 4, "game").to_csv(folder / "games.csv", index=False)

# %%

run = headstart.fit(folder / "games.csv", task="recommendation", source=folder / "films.csv", out=folder / "run")
print(run.verdict)
