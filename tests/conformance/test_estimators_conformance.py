"""scikit-learn's own checks on arrays of numbers, each collected by its name, and the examples in the docstrings."""

from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils.estimator_checks import parametrize_with_checks

from headstart import TransferClassifier, TransferRegressor
from headstart.verbs import estimators

MOST_EXCEPTIONS = 5
EXCEPTIONS: dict[str, str] = {}
"""Check -> why the estimators do not pass it. None is needed."""


def exceptions(_: BaseEstimator) -> dict[str, str]:
    return EXCEPTIONS


@parametrize_with_checks([TransferClassifier(), TransferRegressor()], expected_failed_checks=exceptions)
def test_scikit_learns_checks(estimator: BaseEstimator, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_the_exceptions_are_few_and_have_reasons() -> None:
    assert len(EXCEPTIONS) <= MOST_EXCEPTIONS
    assert all(reason.strip() for reason in EXCEPTIONS.values())


@pytest.mark.parametrize("name", ["TransferClassifier", "TransferRegressor"])
def test_the_examples_of_the_docstring_hold(name: str) -> None:
    found = doctest.DocTestFinder().find(getattr(estimators, name), name, globs=vars(estimators).copy())
    examples = [test for test in found if test.examples]
    assert examples
    runner = doctest.DocTestRunner()
    assert [runner.run(test).failed for test in examples] == [0] * len(examples)
