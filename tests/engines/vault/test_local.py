"""Keeping secrets at rest."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.vault.local import LocalVault
from innkeeper.engines.vault.vault import Vault


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return LocalVault(tmp_path_factory.mktemp("vault") / "master.key")


@given(secret=st.binary(max_size=4096), context=st.text(max_size=200))
def test_a_secret_opens_as_it_was_sealed(vault: Vault, secret: bytes, context: str) -> None:
    sealed = vault.seal(secret, context)
    assert vault.open(sealed, context) == secret
    assert len(secret) < 8 or secret not in sealed


@given(secret=st.binary(max_size=64), data=st.data())
def test_any_altered_byte_is_noticed(vault: Vault, secret: bytes, data: st.DataObject) -> None:
    sealed = bytearray(vault.seal(secret, "ours"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match="sealed secret"):
        vault.open(bytes(sealed), "ours")


@given(secret=st.binary(max_size=64), data=st.data())
def test_a_cut_secret_is_noticed(vault: Vault, secret: bytes, data: st.DataObject) -> None:
    sealed = vault.seal(secret, "ours")
    with pytest.raises(ValueError, match="sealed secret"):
        vault.open(sealed[: data.draw(st.integers(0, len(sealed) - 1))], "ours")


@given(contexts=st.lists(st.text(max_size=40), min_size=2, max_size=2, unique=True))
def test_another_context_does_not_open_it(vault: Vault, contexts: list[str]) -> None:
    sealed = vault.seal(b"hunter2", contexts[0])
    with pytest.raises(ValueError, match="another context"):
        vault.open(sealed, contexts[1])


def test_the_same_secret_never_looks_the_same(vault: Vault) -> None:
    assert vault.seal(b"hunter2", "ours") != vault.seal(b"hunter2", "ours")


def test_after_a_restart_the_same_file_opens_everything(tmp_path: Path) -> None:
    first, second = LocalVault(tmp_path / "key"), LocalVault(tmp_path / "key")
    assert second.open(first.seal(b"hunter2", "ours"), "ours") == b"hunter2"
    assert second.derive("tokens") == first.derive("tokens")
    assert [len(key) for key in first.derive("tokens")] == [32]


def test_each_purpose_and_each_vault_has_its_own_key(tmp_path: Path) -> None:
    ours, theirs = LocalVault(tmp_path / "ours"), LocalVault(tmp_path / "theirs")
    assert len({ours.derive("a"), ours.derive("b"), theirs.derive("a")}) == 3
    with pytest.raises(ValueError, match="another context or key"):
        theirs.open(ours.seal(b"hunter2", "ours"), "ours")


def test_the_key_file_is_private(tmp_path: Path) -> None:
    LocalVault(tmp_path / "key")
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_key_file_that_others_may_read_is_refused_with_the_cure(tmp_path: Path) -> None:
    LocalVault(tmp_path / "key")
    (tmp_path / "key").chmod(0o640)
    with pytest.raises(PermissionError, match=r"mode 0640.*chmod 600"):
        LocalVault(tmp_path / "key")


def test_a_damaged_key_file_is_refused(tmp_path: Path) -> None:
    LocalVault(tmp_path / "key")
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(ValueError, match="32 bytes, not 5"):
        LocalVault(tmp_path / "key")


def test_a_rotation_is_noticed_by_who_runs_and_the_old_key_opens_until_it_is_retired(tmp_path: Path) -> None:
    running, command = LocalVault(tmp_path / "key"), LocalVault(tmp_path / "key")
    before = running.seal(b"hunter2", "ours")
    assert running.rewrap(before, "ours") is None
    old = running.derive("tokens")
    for _ in range(2):
        command.file.rotate()
    after = LocalVault(tmp_path / "key").seal(b"hunter2", "ours")
    assert running.open(after, "ours") == b"hunter2"
    assert running.derive("tokens")[1:] == old
    changed = running.rewrap(before, "ours")
    assert changed is not None
    with pytest.raises(ValueError, match="another context"):
        running.rewrap(before, "theirs")
    command.file.retire()
    rest = LocalVault(tmp_path / "key")
    assert rest.derive("tokens") == running.derive("tokens") != old
    assert [rest.open(one, "ours") for one in (changed, after)] == [b"hunter2"] * 2
    with pytest.raises(ValueError, match="another context or key"):
        rest.open(before, "ours")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_servers_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        vaults = list(threads.map(LocalVault, [tmp_path / "key"] * 16))
    assert len({vault.derive("tokens") for vault in vaults}) == 1
