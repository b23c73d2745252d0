"""What is done outside the topics of a run: a login, a configuration, a run's end, a person at the API."""

from __future__ import annotations

import msgspec

from kitepilot.events import UndecodableError
from kitepilot.events.envelope import Event

CONFIGURED = "configured"  # a run was made; the whole configuration, and its hash
LOGGED_IN = "logged_in"
LOGIN_FAILED = "login_failed"
LOGGED_OUT = "logged_out"
MODEL_MOVED = "model_moved"  # an offline model's stage; the subject is its id
PROFILE_MADE = "profile_made"  # a version of the risk profile, in force or waiting for its time
RUN_ENDED = "run_ended"  # with the day's result
RUN_STOPPED = "run_stopped"  # taken down without a conclusion
# People at the API; the subject is an e-mail address, a session's or a token's name.
RELOAD_ASKED = "reload_asked"  # a configuration, whole: in force by the word on `session` of its command_id
REQUESTED = "requested"  # anything that is no reading, by whom and how it was answered
SECRETS_ROTATED = "secrets_rotated"
SESSION_ENDED = "session_ended"
SIGNED_IN = "signed_in"
SIGNED_OUT = "signed_out"
SIGN_IN_REFUSED = "sign_in_refused"
STEPPED_UP = "stepped_up"  # gave a fresh one-time code
STEP_UP_REFUSED = "step_up_refused"
TOKEN_MADE = "token_made"  # noqa: S105 the name of an act
TOKEN_REVOKED = "token_revoked"  # noqa: S105 the name of an act
USER_CHANGED = "user_changed"  # added, reset, disabled, enabled

_encoder = msgspec.msgpack.Encoder()


class Acted(Event, frozen=True, kw_only=True, tag="acted"):
    """Somebody did something by command. Topic `acts`; never a secret, never a token.

    `by` is the operating system's user at this machine, or who was signed in to the API and from where;
    `facts` are plain text and numbers.
    """

    act: str
    run_id: str
    subject: str
    by: str
    facts: dict[str, str | int | bool]


_decoder = msgspec.msgpack.Decoder(Acted)


def encode_act(act: Acted) -> bytes:
    return _encoder.encode(act)


def decode_act(payload: bytes) -> Acted:
    """Raises `UndecodableError`."""
    try:
        return _decoder.decode(payload)
    except (msgspec.DecodeError, msgspec.ValidationError) as err:
        raise UndecodableError(str(err)) from err
