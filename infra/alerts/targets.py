"""A message -> Slack, Telegram, e-mail or a webhook, by the URL that Apprise reads.

The URL holds a password: it is read from where it lies when a message leaves, and no text of this module
shows it.
"""

from __future__ import annotations

import logging
from pathlib import PurePath

import apprise

from infra import key_urls
from kitepilot.alerts.desk import AGAIN, OVER, Message
from kitepilot.alerts.kinds import Severity
from kitepilot.market import calendar

WORDS = {OVER: "over", AGAIN: "STILL"}
logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its lines show parts of addresses


class UndeliveredError(RuntimeError):
    """The target did not take it, or where it is cannot be learned; holds no secret."""


def title_of(message: Message, run_id: str) -> str:
    """One line: what, and on which run."""
    word = WORDS.get(message.word, message.severity.value)
    return f"KitePilot {word}: {message.key} ({PurePath(run_id).name})"


def body_of(message: Message) -> str:
    """What happened, since when, what to do, and how to say that it was seen."""
    since = f"{calendar.to_ist(message.raised_at):%H:%M:%S} IST"
    if message.word == OVER:
        return f"{message.detail}\nraised at {since}, over now"
    return (
        f"{message.detail}\nsince {since}, alert {message.number}\n{message.to_do}\n"
        f"kitepilot alerts ack {message.key!r}"
    )


def deliver(url_at: str, message: Message, run_id: str) -> None:
    """Hand one message over and wait until it was taken.

    Raises:
        UndeliveredError: it was not; it may be tried again.
    """
    try:
        url = key_urls.read(url_at)
    except key_urls.SecretError as err:
        raise UndeliveredError(str(err)) from err
    box = apprise.Apprise(asset=apprise.AppriseAsset(app_id="KitePilot", secure_logging=True))
    if not box.add(url):
        raise UndeliveredError(f"what lies at {url_at} is not an address that Apprise knows")
    kind = apprise.NotifyType.INFO if message.word == OVER else _TYPES[message.severity]
    if not box.notify(title=title_of(message, run_id), body=body_of(message), notify_type=kind):
        raise UndeliveredError(f"the target {message.target} did not take it")


_TYPES = {
    Severity.INFO: apprise.NotifyType.INFO,
    Severity.WARNING: apprise.NotifyType.WARNING,
    Severity.CRITICAL: apprise.NotifyType.FAILURE,
}
