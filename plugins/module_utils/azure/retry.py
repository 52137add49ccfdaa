# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pipeline policy that paces and repeats requests, in place of azure-core's own retry policy.

azure-core's policy repeats any answer of 400 or more that carries Retry-After, whatever the method: an installation
whose answer got lost would be started twice. Here POST and PATCH are repeated on 429 only, which Azure sends before
it acts; reads are repeated on 408, 429, 5xx and lost connections.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from ..clock import Clock
from .errors import parse_error_body
from .network import is_untrusted
from .pacing import Draw, Pacer, classify, parse_remaining, parse_retry_after, throttled_scope
from .token_bucket import TokenBucket, Turn

CHECK_OPTION = "hotpatch_check"
"""Operation keyword: a callable run right before each sending; what it raises keeps the request from leaving."""
MAYBE_SENT = "hotpatch_maybe_sent"
"""Context key: whether the last attempt may have reached Azure."""

READ_METHODS = frozenset({"GET", "HEAD"})
READ_RETRY_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
READ_ATTEMPTS = 5
THROTTLED_ATTEMPTS = 10
LONGEST_BACKOFF_SECONDS = 60.0


def may_repeat(method: str, status: int | None, attempt: int) -> bool:
    """Tell whether a request may be sent again after its *attempt* (1 is the first) ended with *status*.

    *status* None is a connection that failed or was lost.
    """
    if status == 429:
        return attempt < THROTTLED_ATTEMPTS
    if method not in READ_METHODS:
        return False
    return (status is None or status in READ_RETRY_STATUSES) and attempt < READ_ATTEMPTS


def backoff(attempt: int, asked: float | None) -> float:
    """Return the seconds before the next sending: what Azure *asked* for, else 0.8, 1.6, 3.2 ... seconds.

    Asked for 0 it goes at once the first time, and backs off after that, so that it cannot spin.
    """
    if asked or (asked == 0 and attempt == 1):
        return asked or 0.0
    return min(LONGEST_BACKOFF_SECONDS, 0.8 * 2.0 ** (attempt - 1))


Turns = Mapping[str, tuple[TokenBucket, Turn]]
"""The buckets a request has drawn on, by their names in Pacer.buckets, and its token in each."""


async def wait_for_turn(pacer: Pacer, draw: Draw, clock: Clock) -> Turns:
    """Wait until every bucket *draw* draws on lets a request go, take a token of each, and return them.

    First comes first; only the first of a lane looks at the clock, so that thousands may wait.
    """
    buckets = pacer.buckets(draw, clock.monotonic())
    own = buckets.get("resource")
    while own is not None:
        wait = own.wait(clock.monotonic())
        if wait <= 0:
            break
        await _sleep_or_news(pacer, clock, wait)
    async with pacer.lane(draw):
        while True:
            now = clock.monotonic()
            wait = max(bucket.wait(now) for bucket in buckets.values())
            if wait <= 0:
                return {name: (bucket, bucket.take(now)) for name, bucket in buckets.items()}
            await _sleep_or_news(pacer, clock, wait)


async def _sleep_or_news(pacer: Pacer, clock: Clock, seconds: float) -> None:
    sleeper = asyncio.ensure_future(clock.asleep(seconds))
    news = pacer.news.next()
    try:
        await asyncio.wait({sleeper, news}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        news.cancel()


async def read_text(response: Any) -> str:
    """Return the body of an azure-core response, read already or not (azure-core reads an empty one only once)."""
    if not response.is_stream_consumed:
        await response.read()
    return str(response.text())


async def learn(answer: Any, turns: Turns, draw: Draw, clock: Clock) -> float | None:
    """Correct the buckets by an azure-core response, and return the seconds to wait that it asks for."""
    now = clock.monotonic()
    left = parse_remaining(draw.arm_class, answer.headers.items())
    per_bucket = {
        "arm": left.arm,
        "region": left.compute.get((draw.group, False)),
        "resource": left.compute.get((draw.group, True)),
    }
    if answer.status_code != 429:
        for name, (bucket, turn) in turns.items():
            bucket.answered(turn, now, per_bucket[name])
            if left.resets_after is not None:
                bucket.settle_window(now, left.arm if left.arm is not None else bucket.level, left.resets_after)
        return parse_retry_after(answer.headers, clock.now())
    text = await read_text(answer)
    asked = parse_retry_after(answer.headers, clock.now(), text)
    if asked is None:
        asked = left.resets_after
    said = parse_error_body(text)
    # A limit of another resource provider has no bucket here: then only this request waits.
    scope = throttled_scope(said.code, said.details)
    for name, (bucket, _turn) in turns.items():
        # A refusal takes nothing, and its numbers are those of the bucket that refused.
        bucket.give_back()
        if name == scope:
            bucket.hold(now, asked if asked is not None else bucket.step)
    return asked


def make_policies(pacer: Pacer, clock: Clock) -> tuple[Any, Any]:
    """Return the pacing policy and the departure policy; they frame the authentication policy.

    Made here and not at import, because their base classes need azure-core.
    """
    from azure.core.exceptions import AzureError
    from azure.core.pipeline.policies import AsyncHTTPPolicy, SansIOHTTPPolicy

    class PacingRetry(AsyncHTTPPolicy):  # type: ignore[type-arg]
        """Waits for the request's turn, sends it, learns from the answer, and repeats what may be repeated."""

        async def send(self, request: Any) -> Any:
            method = request.http_request.method.upper()
            draw = classify(method, request.http_request.url)
            if draw.arm_class == "queries":
                method = "GET"  # Resource Graph is asked by POST, and changes nothing
            request.context[CHECK_OPTION] = request.context.options.pop(CHECK_OPTION, None)
            attempt = 0
            while True:
                attempt += 1
                turns = await wait_for_turn(pacer, draw, clock)
                request.context[MAYBE_SENT] = False
                try:
                    response = await self.next.send(request)
                except BaseException as error:
                    _settle_unanswered(turns, sent=bool(request.context[MAYBE_SENT]))
                    pacer.news.tell()
                    if not isinstance(error, AzureError) or not may_repeat(method, None, attempt):
                        raise
                    if is_untrusted(error):
                        raise  # asking again makes no certificate better
                    await clock.asleep(backoff(attempt, None))
                    continue
                asked = await learn(response.http_response, turns, draw, clock)
                pacer.news.tell()
                if not may_repeat(method, response.http_response.status_code, attempt):
                    return response
                await clock.asleep(backoff(attempt, asked))

    class Departure(SansIOHTTPPolicy):  # type: ignore[type-arg]
        """Stands last before the wire: runs the caller's check, and notes that the request may have been sent."""

        def on_request(self, request: Any) -> None:
            check: Callable[[], None] | None = request.context.get(CHECK_OPTION)
            if check is not None:
                check()
            request.context[MAYBE_SENT] = True

    return PacingRetry(), Departure()


def _settle_unanswered(turns: Turns, *, sent: bool) -> None:
    for bucket, _turn in turns.values():
        if sent:
            bucket.lost()
        else:
            bucket.give_back()
