"""What goes on from a copy of an interpreter draws numbers of its own, whether a cell has run or not."""

import random
from typing import Any

import numpy as np
import pytest

from innkeeper.services.code_interpreter.inside.innkeeper_seeds import Seeds


@pytest.fixture(params=["no cell has run", "a cell has run"])
def seeds(request: pytest.FixtureRequest) -> Seeds:
    made = Seeds()
    made.remember()
    if request.param == "a cell has run":
        made.forget()
    return made


def test_each_copy_draws_numbers_of_its_own(seeds: Seeds) -> None:
    copies = []
    for _ in range(3):
        random.seed(7)
        np.random.seed(7)
        seeds.renew()
        copies.append((random.random(), *np.random.random(1000)))  # noqa: S311
    assert len({number for copy in copies for number in copy}) == 3 * 1001
    assert 0.4 < np.mean(copies) < 0.6


def test_nothing_is_left_of_a_pair_that_a_cell_has_drawn_one_of() -> None:
    seeds = Seeds()
    seeds.remember()
    seeds.forget()
    np.random.standard_normal()
    seeds.renew()
    assert np.random.get_state(legacy=False)["has_gauss"] == 0


def test_another_generator_is_seeded_by_numpy_itself() -> None:
    """One whose state does not lie as is expected."""
    seeds, numbers = Seeds(), _numbers()
    before = numbers.get_bit_generator()
    numbers.set_bit_generator(np.random.PCG64(7))
    try:
        seeds.remember()
        state = numbers.get_bit_generator().state
        seeds.renew()
        assert numbers.get_bit_generator().state != state
        assert 0.4 < numbers.random(1000).mean() < 0.6
    finally:
        numbers.set_bit_generator(before)


def _numbers() -> Any:
    return np.random
