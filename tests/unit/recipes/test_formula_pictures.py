from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from headstart.kernel.files import hash_bytes
from recipes.formula.pictures import FORMULAS, kind_of, picture

CLASSES = range(20)


def test_a_picture_is_a_function_of_seed_class_and_number() -> None:
    forwards = [picture(1, number, index, 40) for number in range(10) for index in range(2)]
    kind_of.cache_clear()
    backwards = [picture(1, number, index, 40) for number in reversed(range(10)) for index in (1, 0)]
    assert all(np.array_equal(one, other) for one, other in zip(forwards, reversed(backwards)))
    assert len({one.tobytes() for one in forwards}) == len(forwards)
    assert not np.array_equal(picture(1, 0, 0, 40), picture(2, 0, 0, 40))


def test_another_process_makes_the_same_pictures() -> None:
    code = (
        "from recipes.formula.pictures import picture; from headstart.kernel.files import hash_bytes;"
        "print(hash_bytes(*(picture(0, number, 3, 32).tobytes() for number in range(10))))"
    )
    there = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert there.stdout.strip() == hash_bytes(*(picture(0, number, 3, 32).tobytes() for number in range(10)))


@pytest.mark.parametrize("number", CLASSES)
def test_pictures_are_bytes_of_the_asked_size_with_something_on_them(number: int) -> None:
    made = np.stack([picture(0, number, index, 48) for index in range(6)])
    assert made.shape == (6, 48, 48, 3) and made.dtype == np.uint8
    assert np.median(made.std((1, 2, 3))) > 10


def test_all_formulas_have_their_share_of_the_classes() -> None:
    names = [kind_of(0, number).formula.name for number in range(30)]
    assert {formula.name: names.count(formula.name) for formula in FORMULAS} == {
        formula.name: 3 * formula.share for formula in FORMULAS
    }
