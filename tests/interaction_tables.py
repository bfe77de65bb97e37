"""Small tables of interactions in two domains whose users have the same tastes, and users with cut histories."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

from headstart.contracts.examples import Examples, Schema


def domains(
    users: int = 220, items: int = 60, shared: int = 140, related: bool = True, seed: int = 0, most: int = 14
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Films and games: `shared` users have both, and the same taste in them where the domains are related."""
    draws = np.random.default_rng(seed)
    tastes = draws.normal(size=(2 * users - shared, 4))
    own = {"films": tastes[:users], "games": tastes[users - shared :]}
    if not related:
        own["games"] = draws.normal(size=own["games"].shape)
    found = {}
    for name, start in (("films", 0), ("games", users - shared)):
        kinds = item_kinds(items, name, seed)
        wanted = own[name] @ kinds.T + draws.gumbel(size=(users, items)) - 0.3 * np.log(1 + np.arange(items))
        order = np.argsort(-wanted, axis=1)
        counts = draws.integers(2, most, users)
        pairs = [(f"u{start + u}", f"{name[0]}{item}") for u in range(users) for item in order[u, : counts[u]]]
        table = pd.DataFrame(pairs, columns=["user", "item"])
        found[name] = table.assign(rating=draws.integers(1, 6, len(table)), time=draws.integers(0, 10**7, len(table)))
    return found["films"], found["games"]


def item_kinds(items: int, name: str, seed: int = 0) -> np.ndarray:
    """(items, 4): the kinds of films or games, which meet the tastes of users."""
    return np.random.default_rng([seed, len(name), ord(name[0])]).normal(size=(items, 4))


def item_table(items: int, seed: int = 0) -> pd.DataFrame:
    """Films and games with their kinds as numbers."""
    tables = []
    for name in ("films", "games"):
        numbers = pd.DataFrame(item_kinds(items, name, seed), columns=list("abcd"))
        tables.append(numbers.assign(item=[f"{name[0]}{item}" for item in range(items)]))
    return pd.concat(tables, ignore_index=True)


def item_pictures(folder: Path, items: int, seed: int = 0) -> pd.DataFrame:
    """Films and games as pictures of four squares, as bright as their kinds are strong; a row with the path of each."""
    (folder / "pictures").mkdir()
    rows = []
    for name in ("films", "games"):
        for number, kinds in enumerate(np.clip(128 + 60 * item_kinds(items, name, seed), 0, 255).astype(np.uint8)):
            path = Path("pictures") / f"{name[0]}{number}.png"
            squares = np.kron(kinds.reshape(2, 2), np.ones((16, 16), np.uint8))
            Image.fromarray(np.repeat(squares[..., None], 3, axis=2)).save(folder / path)
            rows.append((f"{name[0]}{number}", str(path), f"title {number % 7}"))
    return pd.DataFrame(rows, columns=["item", "picture", "title"])


def save_domains(folder: Path, **how: object) -> tuple[Path, Path]:
    """Write films.csv and games.csv."""
    places = folder / "films.csv", folder / "games.csv"
    for table, place in zip(domains(**how), places):  # type: ignore[arg-type]
        table.to_csv(place, index=False)
    return places


def histories(users: int) -> Examples:
    """Users of a test part with one or two items so far, and one or two that came after."""
    names = [f"item {n}" for n in range(5)]
    after = [[names[u % 5], names[(u + 1) % 5]][: 1 + u % 2] for u in range(users)]
    table = {"user": [f"u{u}" for u in range(users)], "items": [[names[(u + 2) % 5]] for u in range(users)]}
    table |= {"relevant": after, "part": ["train"] * users, "origin": [f"user {u}" for u in range(users)]}
    schema = Schema(
        modality="interactions", inputs=("user", "items"), origin="origin", targets={"relevant": "relevant"}
    )
    return Examples(pa.table(table), schema)


def history_features(examples: Examples, width: int) -> np.ndarray:
    """(users, width): ones at the items that came after, and noise."""
    found = np.random.default_rng(0).normal(0, 0.3, (len(examples), width)).astype(np.float32)
    for row, after in enumerate(examples.target("relevant")):
        found[row, [int(item.split()[1]) for item in after]] += 2
    return found
