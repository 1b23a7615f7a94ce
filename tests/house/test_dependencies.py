"""Every dependency has its line of reason."""

import re
import tomllib

from packaging.requirements import Requirement

from tests.house.tree import ROOT


def _declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"].values()
    extras = project["project"].get("optional-dependencies", {}).values()
    lines = [
        *project["project"]["dependencies"],
        *(line for group in [*groups, *extras] for line in group),
        *project["build-system"]["requires"],
    ]
    return {Requirement(line).name for line in lines}


def test_the_page_gives_a_reason_for_each_dependency_and_for_no_other() -> None:
    page = (ROOT / "docs/dependencies.md").read_text()
    explained = re.findall(r"^\| `([\w.-]+)` \| .{10,} \|$", page, re.MULTILINE)
    assert sorted(explained) == sorted(_declared())
