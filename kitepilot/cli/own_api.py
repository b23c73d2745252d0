"""This home's API as the command line asks it: at its configured address, with no certificate but its own.

Under TLS the configured certificate itself is what is trusted, not who issued it and for which name: it is
asked on this machine, mostly by loopback. That it has run out stops nobody who must see whether he is flat.
"""

from __future__ import annotations

import ipaddress
import ssl
import time
from pathlib import Path
from typing import Any

import httpx

from api.control import TOKEN_FILE
from api.identity.home_proof import proof
from kitepilot.config import ApiSection, Config, ConfigError

WITHIN_S = 2.0
END_OF_ONE = "-----END CERTIFICATE-----"
NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, openssl/x509_vfy.h, OpenSSL 3.0; not named in `ssl`


def client(home: Path, config: Config) -> httpx.Client:
    """Asks the API of `home`, and proves the home's token without saying it; close it.

    Raises:
        ConfigError: the configured certificate cannot be read.
    """
    api = config.api
    return httpx.Client(
        base_url=address(api),
        verify=_pinned(Path(api.tls_certificate)) if api.tls else True,
        headers=_proof(home),
        timeout=WITHIN_S,
        trust_env=False,
    )


def status(home: Path, config: Config) -> dict[str, Any]:
    """What `/status` says. Raises httpx.HTTPError, ValueError: it does not answer; and as `client`."""
    with client(home, config) as asks:
        return dict(asks.get("/status").raise_for_status().json())


def address(api: ApiSection) -> str:
    """Where it is asked from this machine: one that listens everywhere also listens on loopback."""
    host = api.host
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        loopback = "127.0.0.1" if ip.version == 4 else "::1"
        host = loopback if ip.is_unspecified else str(ip)
        host = f"[{host}]" if ip.version == 6 else host
    return f"{'https' if api.tls else 'http'}://{host}:{api.port}"


def _pinned(path: Path) -> ssl.SSLContext:
    """Trusts the first certificate of the file, which is the API's own; those that follow issued it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | NO_CHECK_TIME
    try:
        text = path.read_text()
        first = text[: text.index(END_OF_ONE) + len(END_OF_ONE)]
        context.load_verify_locations(cadata=first[first.index("-----BEGIN CERTIFICATE-----") :])
    except (OSError, ValueError) as err:
        why = getattr(err, "strerror", None) or "it holds no certificate in PEM form"
        raise ConfigError(f"api.tls_certificate {path} cannot be used: {why}") from err
    return context


def _proof(home: Path) -> dict[str, str]:
    try:
        token = (home / TOKEN_FILE).read_text().strip()
        return {"authorization": f"Bearer {proof(token, time.time_ns())}"}
    except OSError:
        return {}  # the API has not begun yet; it says who may ask
