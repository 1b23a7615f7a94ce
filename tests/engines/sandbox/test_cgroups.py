"""Control groups: found where they are, of either version, and never half made.

The contract tests this machine's own. Here the other layouts are folders that look like them; only the
kernel would make the files appear in a new group, so those are told apart by what is written.
"""

import os
import shutil
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.cgroups import Cgroup, Hierarchy, open_hierarchies, release
from innkeeper.engines.sandbox.sandbox import Limits, SandboxError, Usage


def version_2(
    tmp_path: Path, group: str, controllers: str = "cpuset cpu io memory pids"
) -> tuple[Path, Path, Path]:
    """A mounted version 2 tree with the server in `group`: mount point, and the two files of /proc/self."""
    mount = tmp_path / "cgroup"
    own = mount / group.lstrip("/")
    own.mkdir(parents=True)
    for folder in {mount, own}:
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text("")
    mountinfo, cgroup = tmp_path / "mountinfo", tmp_path / "self"
    mountinfo.write_text(f"30 23 0:26 / {mount} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n")
    cgroup.write_text(f"0::{group}\n")
    return mount, mountinfo, cgroup


def test_a_delegated_group_of_version_2_is_used_with_the_server_in_a_leaf(tmp_path: Path) -> None:
    mount, mountinfo, cgroup = version_2(tmp_path, "/user.slice/inn.scope")
    hierarchies, problems = open_hierarchies(mountinfo, cgroup)
    own = mount / "user.slice/inn.scope"
    assert hierarchies == (Hierarchy(own, 2, frozenset({"cpu", "memory", "pids"})),)
    assert problems == ()
    assert (own / "innkeeper-server/cgroup.procs").read_text() == str(os.getpid())
    assert set((own / "cgroup.subtree_control").read_text().split()) == {"+cpu", "+memory", "+pids"}
    cgroup.write_text("0::/user.slice/inn.scope/innkeeper-server\n")
    (own / "innkeeper-server/cgroup.controllers").write_text("")
    assert open_hierarchies(mountinfo, cgroup)[0] == hierarchies


def test_without_all_controllers_there_are_no_limits_and_a_reason(tmp_path: Path) -> None:
    _, mountinfo, cgroup = version_2(tmp_path, "/", controllers="cpu hugetlb")
    hierarchies, problems = open_hierarchies(mountinfo, cgroup)
    assert hierarchies == ()
    assert "cpu, memory, pids" in problems[0]
    assert "Delegate=yes" in problems[0]


def test_controllers_of_version_1_that_share_a_mount_are_used_once(tmp_path: Path) -> None:
    mountinfo, cgroup = tmp_path / "mountinfo", tmp_path / "self"
    lines = []
    for name in ("cpu,cpuacct", "memory", "pids", "devices"):
        (tmp_path / name / "inn").mkdir(parents=True)
        lines.append(f"31 23 0:27 / {tmp_path / name} rw - cgroup cgroup rw,{name}\n")
    mountinfo.write_text("".join(lines))
    cgroup.write_text("4:cpu,cpuacct:/inn\n3:memory:/hidden/by/container\n2:pids:/inn\n1:devices:/\n0::/\n")
    hierarchies, problems = open_hierarchies(mountinfo, cgroup)
    assert [hierarchy.parent for hierarchy in hierarchies] == [
        tmp_path / "cpu,cpuacct/inn",
        tmp_path / "memory",
        tmp_path / "pids/inn",
    ]
    assert problems == ()


@pytest.mark.parametrize(("unified", "version"), [(True, 2), (False, 1)])
def test_beside_version_1_freezing_is_done_by_version_2_if_it_is_there(
    tmp_path: Path, unified: bool, version: int
) -> None:
    mountinfo, cgroup = tmp_path / "mountinfo", tmp_path / "self"
    lines = []
    for name in ("cpu", "memory", "pids", "freezer"):
        (tmp_path / name / "inn").mkdir(parents=True)
        lines.append(f"31 23 0:27 / {tmp_path / name} rw - cgroup cgroup rw,{name}\n")
    if unified:
        (tmp_path / "unified").mkdir()
        lines.append(f"32 23 0:28 / {tmp_path / 'unified'} rw - cgroup2 cgroup2 rw\n")
    mountinfo.write_text("".join(lines))
    cgroup.write_text("4:cpu:/inn\n3:memory:/inn\n2:pids:/inn\n1:freezer:/inn\n0::/\n")
    *limiting, freezing = open_hierarchies(mountinfo, cgroup)[0]
    assert not any(hierarchy.freezes for hierarchy in limiting)
    assert (freezing.freezes, freezing.version) == (True, version)
    group = Cgroup([freezing], "one")
    group.make(Limits())
    assert list(Path(group.paths[0]).iterdir()) == []


def test_limits_are_written_in_the_words_of_version_2(tmp_path: Path) -> None:
    group = Cgroup([Hierarchy(tmp_path, 2, frozenset({"cpu", "memory", "pids"}))], "one")
    group.make(Limits(cpu_cores=1.5, memory_mib=64, processes=10))
    folder = tmp_path / "innkeeper-one"
    assert (folder / "cpu.max").read_text() == "150000 100000"
    assert (folder / "memory.max").read_text() == str(64 << 20)
    assert (folder / "pids.max").read_text() == "12"
    assert not (folder / "memory.swap.max").exists()
    (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (folder / "memory.current").write_text(f"{3 << 20}\n")
    (folder / "pids.current").write_text("5\n")
    assert group.usage() == Usage(cpu_seconds=2.5, memory_mib=3, memory_peak_mib=3, processes=3)


@pytest.mark.parametrize(("version", "knob", "usual"), [(1, "cpu.shares", 1024), (2, "cpu.weight", 100)])
def test_one_that_is_waited_for_goes_before_others_until_it_is_there(
    tmp_path: Path, version: int, knob: str, usual: int
) -> None:
    group = Cgroup([Hierarchy(tmp_path, version, frozenset({"cpu", "memory", "pids"}))], "one")
    group.make(Limits())
    weight = tmp_path / "innkeeper-one" / knob
    with group.hurried():
        assert int(weight.read_text()) == 8 * usual
    assert int(weight.read_text()) == usual
    with group.hurried():
        shutil.rmtree(weight.parent)  # it ended meanwhile: that is told elsewhere


def test_a_group_that_cannot_be_made_whole_is_not_made_at_all(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    none = frozenset({"cpuacct"})
    group = Cgroup([Hierarchy(first, 1, none), Hierarchy(second, 1, none)], "one")
    with pytest.raises(SandboxError, match="cgroup"):
        group.make(Limits())
    assert list(first.iterdir()) == []
    release(group.paths)


def test_without_groups_nothing_is_measured() -> None:
    assert Cgroup([], "one").usage().measured is False
