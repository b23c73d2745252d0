"""Reading from the broker: repeated with backoff while the trouble may pass, behind a breaker."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import tenacity

from broker_adapter.kite.breaker import Breaker, BreakerOpenError
from broker_adapter.kite.session import SessionError

ATTEMPTS = 4
LONGEST_S = 20.0
FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
AFTER_429_S = 1.0  # the broker counts seconds
T = TypeVar("T")


class BrokerReadError(RuntimeError):
    """The broker's book could not be read; says which part and why."""


def read(
    what: str, request: Callable[[], T], breaker: Breaker, sleep: Callable[[float], None] = time.sleep
) -> T:
    """`request()`, at most four times: exponential backoff with full jitter, a second or more after a 429.

    Raises:
        BrokerReadError: it stayed impossible, or the breaker is open and nothing was asked.
    """
    try:
        return _retrying.copy(sleep=sleep)(lambda: _once(request, breaker))
    except BreakerOpenError as err:
        raise BrokerReadError(f"{what}: not asked: {err}") from err
    except Exception as err:
        raise BrokerReadError(f"{what}: {type(err).__name__}: {err}") from err


def _once(request: Callable[[], T], breaker: Breaker) -> T:
    from broker_adapter.kite.outcomes import unwell  # the stock client library takes a second to import

    breaker.check()
    try:
        answer = request()
    except SessionError:  # nothing was asked
        raise
    except Exception as err:
        if unwell(err):
            breaker.trouble(f"{type(err).__name__}: {err}")
        else:
            breaker.well()
        raise
    breaker.well()
    return answer


def _worth_repeating(error: BaseException) -> bool:
    from broker_adapter.kite.outcomes import throttled, unwell

    return unwell(error) or throttled(error)


def _pause(state: tenacity.RetryCallState) -> float:
    from broker_adapter.kite.outcomes import throttled

    error = state.outcome.exception() if state.outcome else None
    return _full_jitter(state) + (AFTER_429_S if error is not None and throttled(error) else 0.0)


_full_jitter = tenacity.wait_random_exponential(multiplier=FIRST_PAUSE_S, max=LONGEST_PAUSE_S)
_retrying = tenacity.Retrying(
    retry=tenacity.retry_if_exception(_worth_repeating),
    wait=_pause,
    stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_after_delay(LONGEST_S),
    reraise=True,
)
