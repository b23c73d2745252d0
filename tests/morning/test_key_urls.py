"""Where keys may lie, and that nothing unsafe is taken for one."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.backends.fail import Keyring as NoKeyring
from morning_desk import MemoryKeyring

from infra import key_urls
from infra.key_urls import NoSecretError, SecretError, keeps, read, read_or_make, replace, write
from infra.sealed_file import SealBrokenError, seal, unseal


def test_a_key_is_made_once_and_then_found(tmp_path: Path, memory_keyring: MemoryKeyring) -> None:
    for url in ((tmp_path / "deep" / "key").as_uri(), "keyring:kitepilot", "keyring:kitepilot/other"):
        with pytest.raises(NoSecretError):
            read(url)
        assert read_or_make(url, lambda: "first") == "first"
        assert read_or_make(url, lambda: "second") == "first"
    assert (tmp_path / "deep" / "key").stat().st_mode & 0o777 == 0o600


def test_a_key_is_replaced_in_one_step_where_one_can_be_kept(
    tmp_path: Path, memory_keyring: MemoryKeyring
) -> None:
    for url in ((tmp_path / "key").as_uri(), "keyring:kitepilot"):
        write(url, "first")
        replace(url, "second")
        assert keeps(url) and read(url) == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert not keeps("env:SOME_KEY") and not keeps("vault:x")
    with pytest.raises(SecretError, match="only be read"):
        replace("env:SOME_KEY", "x")


def test_an_environment_variable_is_read_and_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", " text \n")
    assert read("env:SOME_KEY") == "text"
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(SecretError, match=r"\$SOME_KEY is not set"):
        read_or_make("env:SOME_KEY", lambda: "x")
    with pytest.raises(SecretError, match="only be read"):
        write("env:SOME_KEY", "x")


def test_a_file_that_others_can_read_is_no_place_for_a_key(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write(path.as_uri(), "text")
    for mode in (0o640, 0o604, 0o666):
        path.chmod(mode)
        with pytest.raises(SecretError, match="others can read"):
            read(path.as_uri())
    with pytest.raises(SecretError, match="cannot be made"):
        write(path.as_uri(), "never overwritten")
    for url in ("file:relative/key", "file://host/key"):
        with pytest.raises(SecretError, match="not a local file"):
            read(url)


def test_a_machine_without_a_keyring_says_what_else_to_use(memory_keyring: MemoryKeyring) -> None:
    keyring.set_keyring(NoKeyring())
    with pytest.raises(SecretError, match="use a file: or env: address"):
        read("keyring:kitepilot")
    with pytest.raises(SecretError, match="names no service"):
        read("keyring:")


def test_a_secret_put_where_its_address_belongs_is_not_repeated() -> None:
    with pytest.raises(SecretError) as refused:
        read("MyVerySecretKey1234=")
    assert "MyVerySecretKey" not in str(refused.value)


def test_a_key_service_is_a_plug_in_named_as_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(group: str) -> list[EntryPoint]:
        return [EntryPoint("vault", f"{__name__}:from_vault", group)]

    monkeypatch.setattr(key_urls, "entry_points", installed)
    assert read("vault:trading/key") == "the key of vault:trading/key"
    with pytest.raises(SecretError, match="ZeroDivisionError"):
        read("vault:broken")


def from_vault(url: str) -> str:
    return f"the key of {url}" if 1 / (url != "vault:broken") else ""


@given(st.binary(max_size=500), st.integers(min_value=0), st.integers(min_value=1, max_value=255))
def test_a_sealed_file_gives_back_every_byte_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, plain: bytes, place: int, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("sealed")
    path, key = folder / "file", (folder / "key").as_uri()
    seal(path, plain, key)
    assert unseal(path, key) == plain
    sealed = bytearray(path.read_bytes())
    sealed[place % len(sealed)] ^= flip
    path.write_bytes(sealed)
    try:
        damaged = unseal(path, key)
    except SealBrokenError:
        return
    assert damaged == plain  # base64's padding bits carry nothing
