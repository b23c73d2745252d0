"""Superset's settings, embedded and in compose alike: what differs comes from the environment.

`$SUPERSET_HOME` is the folder it keeps everything in. It reads ClickHouse as the user `superset`, which may
do nothing else, and its pages may talk to nobody but itself.
"""

import os
import secrets
from pathlib import Path

HOME = Path(os.environ.get("SUPERSET_HOME", "/app/superset_home"))


def _kept_secret(path: Path) -> str:
    """Drawn once, readable by the owner only: it signs sessions and seals the stored database password."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(42))
    except FileExistsError:
        pass
    return path.read_text()


SECRET_KEY = os.environ.get("SUPERSET_SECRET_KEY") or _kept_secret(HOME / "secret_key")
SQLALCHEMY_DATABASE_URI = f"sqlite:///{HOME}/superset.db?timeout=30"

APP_NAME = "KitePilot"
LOG_LEVEL = "WARNING"
SESSION_COOKIE_NAME = "kitepilot_superset"  # cookies of 127.0.0.1 are shared by all its ports
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
WTF_CSRF_ENABLED = True
PREVENT_UNSAFE_DB_CONNECTIONS = True
FAB_API_SWAGGER_UI = False
RATELIMIT_ENABLED = True  # guards the login; a dashboard's own burst of requests passes
RATELIMIT_APPLICATION = "1000 per second"
RATELIMIT_STORAGE_URI = "memory://"

# Nothing leaves the machine: no maps, no avatars, no fonts or pixels of anybody else.
TALISMAN_ENABLED = True
CONTENT_SECURITY_POLICY_WARNING = False
TALISMAN_CONFIG = {
    "content_security_policy": {
        "default-src": ["'self'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "blob:", "data:"],
        "font-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "worker-src": ["'self'", "blob:"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "script-src": ["'self'", "'strict-dynamic'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "referrer_policy": "no-referrer",
    "force_https": False,
    "session_cookie_secure": False,
}


def _files(name: str, seconds: int) -> dict[str, object]:
    return {
        "CACHE_TYPE": "FileSystemCache",
        "CACHE_DIR": str(HOME / "cache" / name),
        "CACHE_DEFAULT_TIMEOUT": seconds,
        "CACHE_THRESHOLD": 2000,
        "CACHE_KEY_PREFIX": f"{name}_",
    }


CACHE_CONFIG = _files("metadata", 300)
FILTER_STATE_CACHE_CONFIG = _files("filters", 86_400)
EXPLORE_FORM_DATA_CACHE_CONFIG = _files("explore", 86_400)
DATA_CACHE_CONFIG = {"CACHE_TYPE": "NullCache"}  # a mart is read as it is now

# 12,34,567: the groups are taken from the right, and d3 begins again after the last one named.
D3_FORMAT = {"decimal": ".", "thousands": ",", "grouping": [3, 2, 2, 2, 2, 2, 2], "currency": ["₹", ""]}
CURRENCIES = ["INR"]
D3_TIME_FORMAT = {
    "dateTime": "%d %b %Y %H:%M:%S",
    "date": "%d %b %Y",
    "time": "%H:%M:%S",
    "periods": ["am", "pm"],
    "days": ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"],
    "shortDays": ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],
    "months": [
        *("January", "February", "March", "April", "May", "June"),
        *("July", "August", "September", "October", "November", "December"),
    ],
    "shortMonths": ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
}
BABEL_DEFAULT_LOCALE = "en"
ROW_LIMIT = 10_000
SQL_MAX_ROW = 50_000
SUPERSET_WEBSERVER_TIMEOUT = 60
