# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetch a public document by HTTPS, with the TLS, proxies and time-outs of everything else that goes out from here.

No credential is ever sent. What comes is not trusted: it must come by HTTPS all the way, and is read up to a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from ..clock import Clock
from ..domain.errors import InputError
from .errors import AzureFailure, kind_of
from .network import choose_proxy, connection_failure, make_ssl_context, open_connections

if TYPE_CHECKING:
    import aiohttp

TOTAL_SECONDS = 300
"""Real seconds for one document; MSRC's are a few megabytes."""
MOST_REDIRECTS = 5
ATTEMPTS = 3
PAUSE_SECONDS = 2.0
"""Seconds before the second attempt, twice as many before the third; a longer Retry-After counts, up to a minute."""
_LONGEST_PAUSE = 60.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PASSING = frozenset({"throttled", "server", "unreachable"})
_CHUNK = 65536


@dataclass(frozen=True)
class Wanted:
    """One document to fetch.

    :param option: the option whose value the URL is, for errors.
    :param what: what it is, in words: ``read the MSRC document 2026-May``.
    :param limit: bytes at most.
    """

    option: str
    url: str
    what: str
    limit: int
    accept: str = "application/json"


async def download(wanted: Wanted, environ: Mapping[str, str], clock: Clock) -> bytes:
    """Return the document's bytes.

    Raises:
        InputError: the URL is not one of HTTPS.
        AzureFailure: no answer, another answer than 200, a certificate that is not trusted, too many bytes.
    """
    _require_https(wanted, wanted.url)
    context, dummy = make_ssl_context(environ)
    attempt = 0
    while True:
        attempt += 1
        connections = open_connections(context)
        try:
            return await asyncio.wait_for(_follow(connections, wanted, environ), TOTAL_SECONDS)
        except AzureFailure as failure:
            if attempt == ATTEMPTS or failure.kind not in _PASSING:
                raise
            pause = max(PAUSE_SECONDS * attempt, failure.retry_after or 0)
        except Exception as error:
            found = connection_failure(wanted.what, wanted.url, error)
            if found is None:
                raise
            if attempt == ATTEMPTS or found.kind not in _PASSING:
                raise found from error
            pause = PAUSE_SECONDS * attempt
        finally:
            await connections.close()
        await clock.asleep(min(pause, _LONGEST_PAUSE))


async def _follow(connections: aiohttp.ClientSession, wanted: Wanted, environ: Mapping[str, str]) -> bytes:
    from yarl import URL

    url = wanted.url
    for dummy in range(MOST_REDIRECTS + 1):
        # Compressed bytes would make the limit mean nothing.
        headers = {"Accept": wanted.accept, "Accept-Encoding": "identity"}
        proxy = choose_proxy(environ, url)
        # Byte for byte: aiohttp would rewrite percent-encodings, which a signature may cover.
        exact = URL(url, encoded=True)
        async with connections.get(exact, headers=headers, proxy=proxy, allow_redirects=False) as answer:
            if answer.status in _REDIRECTS and answer.headers.get("Location"):
                url = urljoin(url, answer.headers["Location"])
                _require_https(wanted, url)
                continue
            if answer.status != 200:
                raise _refused(wanted, answer.status, answer.headers.get("Retry-After", ""))
            if answer.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise _failure(wanted, "the answer is compressed, which was not asked for")
            return await _read(answer.content, wanted)
    raise _failure(wanted, f"it redirects more than {MOST_REDIRECTS} times")


async def _read(content: aiohttp.StreamReader, wanted: Wanted) -> bytes:
    data = bytearray()
    async for chunk in content.iter_chunked(_CHUNK):
        data += chunk
        if len(data) > wanted.limit:
            raise _failure(wanted, f"it is larger than {wanted.limit} bytes")
    return bytes(data)


def without_query(url: str) -> str:
    """Return the URL as it may be shown: a query can hold a signature."""
    return urlsplit(url)._replace(query="", fragment="").geturl()


def _require_https(wanted: Wanted, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username is not None:
        shown = without_query(url) if parts.username is None else f"{parts.scheme}://...@{parts.hostname}"
        raise InputError(wanted.option, shown, "a URL of HTTPS without a user name")


def _refused(wanted: Wanted, status: int, retry_after: str) -> AzureFailure:
    kind = kind_of(status, "")
    step = "; it is not published there (yet)" if kind == "not_found" else ""
    pause = float(retry_after) if retry_after.isdecimal() else None
    host = urlsplit(wanted.url).netloc
    return AzureFailure(
        f"Could not {wanted.what}: {host} answered {status}{step}.",
        kind=kind,
        operation=wanted.what,
        status=status,
        target=host,
        retry_after=pause,
    )


def _failure(wanted: Wanted, why: str) -> AzureFailure:
    return AzureFailure(f"Could not {wanted.what}: {why}.", operation=wanted.what, message=why)
