# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fetching public documents: real HTTPS on loopback, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msrc_stand_in import Reply, StandIn, running

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure import downloads
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.downloads import Wanted, download
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import ManualClock


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StandIn]:
    with running(tmp_path) as found:
        yield found


@pytest.fixture
def trusted(server: StandIn) -> dict[str, str]:
    return {"SSL_CERT_FILE": str(server.ca_file)}


def wanted(url: str, limit: int = 1000) -> Wanted:
    return Wanted("calendar_url", url, "read the calendar", limit)


async def test_fetches_and_sends_no_credential(server: StandIn, trusted: dict[str, str], clock: ManualClock) -> None:
    server.serve("/a?b=%2F", Reply(body=b"{}"))
    assert await download(wanted(f"{server.url}/a?b=%2F"), trusted, clock) == b"{}"
    ((path, headers),) = server.asked
    assert (path, headers["Accept"], headers["Accept-Encoding"]) == ("/a?b=%2F", "application/json", "identity")
    assert not {"Authorization", "Cookie"} & set(headers)


@pytest.mark.parametrize("url", ["http://127.0.0.1/a", "file:///etc/passwd", "calendar.json", "", "https://"])
async def test_only_https(url: str, clock: ManualClock) -> None:
    with pytest.raises(InputError, match="Option calendar_url"):
        await download(wanted(url), {}, clock)


async def test_a_password_in_the_url_is_refused_and_not_shown(clock: ManualClock) -> None:
    with pytest.raises(InputError) as caught:
        await download(wanted("https://user:geheim@example.invalid/a"), {}, clock)
    assert "geheim" not in str(caught.value)


async def test_an_untrusted_certificate_is_never_accepted(server: StandIn, clock: ManualClock) -> None:
    server.serve("/a", Reply(body=b"{}"))
    with pytest.raises(AzureFailure) as caught:
        await download(wanted(f"{server.url}/a"), {}, clock)
    assert caught.value.kind == "untrusted_certificate"
    assert server.asked == []


async def test_redirects_are_followed_by_https_only(
    server: StandIn, trusted: dict[str, str], clock: ManualClock
) -> None:
    server.serve("/old", Reply(302, headers={"Location": "/new"}))
    server.serve("/new", Reply(body=b"[]"))
    assert await download(wanted(f"{server.url}/old"), trusted, clock) == b"[]"
    server.serve("/down", Reply(301, headers={"Location": server.url.replace("https", "http") + "/new"}))
    with pytest.raises(InputError, match="HTTPS"):
        await download(wanted(f"{server.url}/down"), trusted, clock)
    server.serve("/round", Reply(302, headers={"Location": "/round"}))
    with pytest.raises(AzureFailure, match="redirects more than 5 times"):
        await download(wanted(f"{server.url}/round"), trusted, clock)
    assert server.paths.count("/round") == 6


@pytest.mark.parametrize(
    ("status", "kind", "asked"),
    [(404, "not_found", 1), (403, "forbidden", 1), (429, "throttled", 3), (503, "server", 3), (302, "other", 1)],
)
async def test_other_answers(
    server: StandIn, trusted: dict[str, str], clock: ManualClock, status: int, kind: str, asked: int
) -> None:
    server.serve("/a", Reply(status, b"<html>no</html>"))
    with pytest.raises(AzureFailure) as caught:
        await download(wanted(f"{server.url}/a"), trusted, clock)
    assert (caught.value.kind, caught.value.status) == (kind, status)
    assert f"answered {status}" in caught.value.sentence
    assert len(server.asked) == asked


async def test_what_passes_is_asked_again_after_the_time_it_says(
    server: StandIn, trusted: dict[str, str], clock: ManualClock
) -> None:
    server.serve("/a", Reply(429, headers={"Retry-After": "17"}), Reply(500), Reply(body=b"{}"))
    begun = clock.monotonic()
    assert await download(wanted(f"{server.url}/a"), trusted, clock) == b"{}"
    assert clock.monotonic() - begun == 17 + 2 * downloads.PAUSE_SECONDS


@pytest.mark.parametrize("reply", [Reply(body=b"x" * 1001), Reply(body=b"z", headers={"Content-Encoding": "gzip"})])
async def test_too_much_or_compressed(
    server: StandIn, trusted: dict[str, str], clock: ManualClock, reply: Reply
) -> None:
    server.serve("/a", reply)
    with pytest.raises(AzureFailure, match=r"larger than 1000 bytes|compressed"):
        await download(wanted(f"{server.url}/a"), trusted, clock)


async def test_nobody_there(clock: ManualClock) -> None:
    with pytest.raises(AzureFailure) as caught:
        await download(wanted("https://127.0.0.1:9/a"), {}, clock)
    assert caught.value.kind == "unreachable"


async def test_the_environment_s_proxy_is_used(server: StandIn, trusted: dict[str, str], clock: ManualClock) -> None:
    # Nothing listens there: the request never goes to the host itself.
    environ = {**trusted, "HTTPS_PROXY": "http://127.0.0.1:9"}
    with pytest.raises(AzureFailure) as caught:
        await download(wanted("https://example.invalid/a"), environ, clock)
    assert (caught.value.kind, server.asked) == ("unreachable", [])
    assert "127.0.0.1:9" in caught.value.sentence
