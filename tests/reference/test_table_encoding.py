"""The encoding of tables against scikit-learn's own transformers."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from headstart.kernel.errors import DataError
from headstart.numerics.table_encoding import FEWEST_ROWS, MOST_CATEGORIES, Encoding, learn


def _frame(rows: int, seed: int) -> pd.DataFrame:
    draws = np.random.default_rng(seed)
    frame = pd.DataFrame({"age": draws.normal(40, 9, rows), "pay": draws.lognormal(9, 2, rows)})
    frame["town"] = draws.choice([f"town {k}" for k in range(400)], rows)
    frame["job"] = draws.choice(["cook", "clerk", "smith", "spy"], rows, p=[0.5, 0.3, 0.19, 0.01])
    frame.loc[draws.random(rows) < 0.1, "age"] = np.nan
    frame.loc[draws.random(rows) < 0.1, "job"] = None
    return frame


def _rows(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    return [tuple(None if pd.isna(cell) else cell for cell in row) for row in frame.itertuples(index=False)]


def test_rows_become_what_a_column_transformer_makes_of_them() -> None:
    train, new = _frame(1500, 0), _frame(300, 1)
    new.loc[0, ["town", "job"]] = "nowhere"
    words = OneHotEncoder(
        min_frequency=FEWEST_ROWS, max_categories=MOST_CATEGORIES, handle_unknown="infrequent_if_exist"
    )
    job = OneHotEncoder(categories=[["clerk", "cook", "smith", "spy", "none"]], handle_unknown="ignore")
    numbers = ["age", "pay"]
    reference = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            ("gaps", make_pipeline(SimpleImputer(add_indicator=True), "passthrough"), numbers),
            ("town", words, ["town"]),
            ("job", make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), job), ["job"]),
        ],
        sparse_threshold=0,
    ).fit(train.fillna({"job": np.nan}))
    expected = np.delete(reference.transform(new.fillna({"job": np.nan})), [2, 3], axis=1)  # imputed beside gaps
    encoding = Encoding.model_validate(json.loads(json.dumps(learn(_rows(train)).model_dump(mode="json"))))
    np.testing.assert_allclose(encoding.encoded(_rows(new)), expected, atol=1e-12)
    assert encoding.width == expected.shape[1]


def test_complete_numbers_stay_to_the_bit_and_gaps_are_filled() -> None:
    rows = [np.array([1e-9, 3.0]), np.array([2e9, 5.0]), np.array([7.0, 5.0])]
    encoding = learn(rows)
    assert encoding.encoded(rows).tobytes() == np.stack(rows).tobytes()
    assert encoding.encoded([np.array([np.nan, 1.0])]).tolist() == [[7.0, 1.0]]
    assert list(encoding.surprises([np.array([np.nan, 1.0])], ["a", "b"])) == [
        "column 'a' never had gaps in training; filled with its median: 1"
    ]


def test_what_no_training_row_has_is_not_used() -> None:
    rows = [(1.0, None, "x", "same", None), (2.0, None, "y", "same", None), (2.0, None, "x", "same", None)]
    encoding = learn(rows)
    new = [(1.0, "word", "z", "other", datetime(2024, 5, 31))]
    assert encoding.encoded(new).shape == (1, encoding.width) == (1, 3)
    with pytest.raises(DataError, match="has 2 values; expected 5"):
        encoding.encoded([(1.0, 2.0)])
    with pytest.raises(DataError, match="other kinds"):
        encoding.encoded([("word", None, "x", "same", None)])


def test_dates_become_the_parts_that_differ() -> None:
    dates = [datetime(2024, 5, 31), datetime(2024, 6, 1), None]
    encoding = learn([(date,) for date in dates])
    assert encoding.parts == (("days since 1970", "month", "day", "weekday"),)
    assert encoding.codes([(datetime(1970, 1, 1),), (None,)])[0].tolist() == [0.0, 1.0, 1.0, 3.0]
    assert encoding.encoded([(None,)])[0, -1] == 1.0
