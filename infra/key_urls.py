"""A secret named by a URL -> its text: where a key lies is configuration, what it is never is.

`env:NAME` is an environment variable, `file:///path` a file that only its owner can read,
`keyring:SERVICE/NAME` an entry of the desktop's or server's keyring. Other schemes (a cloud's key service)
are plug-ins: an entry point in the group `kitepilot.keys` named as the scheme, a callable from the URL to
the secret's text. No message of this module holds a secret.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from infra import masking, replaced_file

PLUGINS = "kitepilot.keys"
DEFAULT_NAME = "key"
MAX_FILE_BYTES = 64 * 1024


class SecretError(RuntimeError):
    """The secret cannot be had; the text names the URL, the reason and the remedy."""


class NoSecretError(SecretError):
    """The place answers, and there is nothing in it."""


def read(url: str) -> str:
    """The secret at `url`, without surrounding white space.

    Raises:
        NoSecretError: nothing is kept there. SecretError: unknown scheme, unsafe file, keyring out of reach.
    """
    secret = _read(url)
    masking.note(secret)
    return secret


def _read(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "env":
        return _from_environment(parts)
    if parts.scheme == "file":
        return _from_file(_path(url, parts))
    if parts.scheme == "keyring":
        return _from_keyring(url, *_entry(url, parts))
    return _from_plugin(url, parts.scheme)


def read_or_make(url: str, make: Callable[[], str]) -> str:
    """As `read`; an empty file or keyring place gets a new secret from `make`, kept before it is returned.

    Raises:
        SecretError: as `read`, and for a place that cannot be written, such as an environment variable.
    """
    try:
        return read(url)
    except NoSecretError as err:
        if not keeps(url):
            raise SecretError(str(err)) from err
    write(url, make())
    return read(url)  # what the place really keeps, and not what was meant to be kept


def write(url: str, secret: str) -> None:
    """Keep `secret` at `url`. A file is made with mode 0600 and never overwritten.

    Raises:
        SecretError: the scheme is read-only, the file exists or cannot be made, the keyring refuses.
    """
    parts = urlsplit(url)
    if parts.scheme == "file":
        _to_file(_path(url, parts), secret)
    elif parts.scheme == "keyring":
        _to_keyring(url, *_entry(url, parts), secret)
    else:
        raise SecretError(f"{url} can only be read: put the secret there yourself")


def keeps(url: str) -> bool:
    """Whether a secret can be put there from here."""
    return urlsplit(url).scheme in ("file", "keyring")


def replace(url: str, secret: str) -> None:
    """Keep `secret` at `url` in the place of what is there, in one step.

    Raises:
        SecretError: the scheme is read-only, the file cannot be written, the keyring refuses or forgets.
    """
    parts = urlsplit(url)
    if parts.scheme != "file":
        write(url, secret)
    else:
        path = _path(url, parts)
        try:
            replaced_file.replace(path, secret.encode())
        except OSError as err:
            raise SecretError(f"{path} cannot be written: {err.strerror}") from err
    if read(url) != secret:
        raise SecretError(f"{url} does not give back what was put there")


def _from_environment(parts: SplitResult) -> str:
    secret = os.environ.get(parts.path, "").strip()
    if not secret:
        raise NoSecretError(f"the environment variable ${parts.path} is not set")
    return secret


def _path(url: str, parts: SplitResult) -> Path:
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise SecretError(f"{url} is not a local file: write file:///absolute/path")
    return path


def _from_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(MAX_FILE_BYTES).decode(errors="replace").strip()
    except FileNotFoundError as err:
        raise NoSecretError(f"there is no file {path}") from err
    except OSError as err:
        raise SecretError(f"{path} cannot be read: {err.strerror}") from err
    if stat.S_IMODE(mode) & 0o077:
        raise SecretError(f"others can read {path}: `chmod 600 {path}`, then make a new secret")
    if not text:
        raise NoSecretError(f"{path} is empty")
    return text


def _to_file(path: Path, secret: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secret)
            file.flush()
            os.fsync(file.fileno())
    except OSError as err:
        raise SecretError(f"{path} cannot be made: {err.strerror}") from err


def _entry(url: str, parts: SplitResult) -> tuple[str, str]:
    service, _, name = unquote((parts.netloc + parts.path).strip("/")).partition("/")
    if not service:
        raise SecretError(f"{url} names no service: write keyring:kitepilot or keyring:kitepilot/NAME")
    return service, name or DEFAULT_NAME


def _from_keyring(url: str, service: str, name: str) -> str:
    import keyring
    from keyring.errors import KeyringError

    try:
        secret = keyring.get_password(service, name)
    except KeyringError as err:
        raise SecretError(_out_of_reach(url, err)) from err
    if not secret:
        raise NoSecretError(f"the keyring has no entry {service}/{name}")
    return secret.strip()


def _to_keyring(url: str, service: str, name: str, secret: str) -> None:
    import keyring
    from keyring.errors import KeyringError

    try:
        keyring.set_password(service, name, secret)
    except KeyringError as err:
        raise SecretError(_out_of_reach(url, err)) from err


def _out_of_reach(url: str, err: Exception) -> str:
    why = f"{url}: no usable keyring on this machine ({type(err).__name__})"
    return f"{why}: use a file: or env: address, see docs/how-to/log-in.md"


def _from_plugin(url: str, scheme: str) -> str:
    """A URL of no known scheme is not repeated: somebody may have put the secret itself there."""
    known = {entry.name: entry for entry in entry_points(group=PLUGINS)}
    if scheme not in known:
        valid = ", ".join(f"{name}:" for name in ("env", "file", "keyring", *sorted(known)))
        raise SecretError(f"a secret's address begins with one of {valid}; {scheme or 'nothing'!r} is none")
    try:
        ask: Callable[[str], str] = known[scheme].load()
        secret = ask(url).strip()
    except Exception as err:  # a plug-in's own errors are not known here
        raise SecretError(f"{url}: the plug-in {known[scheme].value} failed: {type(err).__name__}") from err
    if not secret:
        raise NoSecretError(f"{url} holds nothing")
    return secret
