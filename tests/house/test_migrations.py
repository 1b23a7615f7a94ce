"""Migrations stand one after the other: of two with the same number none would be the last."""

import re
from itertools import pairwise

from tests.house.tree import SOURCE


def test_each_migration_follows_the_one_before() -> None:
    files = sorted((SOURCE / "innkeeper/migrations/versions").glob("[0-9]*.py"))
    found = [
        re.findall(r'^(?:down_)?revision = (?:"(\d+)"|None)$', file.read_text(), re.MULTILINE)
        for file in files
    ]
    numbers = [f"{number:04d}" for number in range(len(files) + 1)]
    assert [file.name[:4] for file in files] == numbers[1:]
    assert found == [[own, "" if own == "0001" else before] for before, own in pairwise(numbers)]
