# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS, proxies and broken connections."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import trustme

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.network import choose_proxy, make_ssl_context
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.session import open_session
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import CLOCK_VARIABLE, ClockError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    MACHINE,
    ManualClock,
    OpenSession,
    Reply,
    ScriptedAzure,
)


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_authorities_of_the_environment_are_added(tmp_path: Path, variable: str) -> None:
    plain, dummy = make_ssl_context({})
    before = plain.cert_store_stats()["x509_ca"]
    bundle = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(bundle))
    context, warnings = make_ssl_context({variable: str(bundle)})
    assert context.cert_store_stats()["x509_ca"] == before + 1
    assert (context.verify_mode, context.check_hostname, warnings) == (ssl.CERT_REQUIRED, True, [])


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    bundle = tmp_path / "ca.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(AzureFailure, match="SSL_CERT_FILE") as caught:
        make_ssl_context({"SSL_CERT_FILE": str(bundle)})
    assert caught.value.kind == "untrusted_certificate"


def test_verification_is_given_up_only_by_word_and_with_a_warning() -> None:
    context, warnings = make_ssl_context({}, "ignore")
    assert context.verify_mode == ssl.CERT_NONE
    assert len(warnings) == 1
    with pytest.raises(InputError, match="cert_validation_mode"):
        make_ssl_context({}, "maybe")


@pytest.mark.parametrize(
    ("environ", "url", "expected"),
    [
        ({}, "https://a.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://a.example", "http://p:1"),
        ({"https_proxy": "p:1"}, "https://a.example", "http://p:1"),
        ({"ALL_PROXY": "http://p:1"}, "https://a.example", "http://p:1"),
        ({"HTTP_PROXY": "http://p:1"}, "https://a.example", None),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other, .example"}, "https://a.example", None),
        ({"HTTPS_PROXY": "http://p:1", "no_proxy": "*"}, "https://a.example", None),
        ({"HTTPS_PROXY": "http://p:1"}, "https://127.0.0.1:8443/x", None),
    ],
)
def test_proxies(environ: dict[str, str], url: str, expected: str | None) -> None:
    assert choose_proxy(environ, url) == expected


async def test_an_untrusted_certificate(azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock) -> None:
    del environ["REQUESTS_CA_BUNDLE"]
    with pytest.raises(AzureFailure, match=r"certificate of 127\.0\.0\.1") as caught:
        async with open_session({}, environ, clock):
            pass
    assert caught.value.kind == "untrusted_certificate"
    assert not caught.value.uncertain
    assert clock.sleeps == [], "a bad certificate does not get better by asking again"


async def test_verification_can_be_switched_off(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock
) -> None:
    del environ["REQUESTS_CA_BUNDLE"]
    azure.script(Reply(200, {"id": "x"}))
    async with open_session({"cert_validation_mode": "ignore"}, environ, clock) as session:
        assert await VirtualMachines(session).get(MACHINE) == {"id": "x"}
        assert "not verified" in session.warnings[0]


async def test_an_unreachable_cloud(environ: dict[str, str], clock: ManualClock) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        environ["AZURE_CLOUD_ENVIRONMENT"] = f"https://127.0.0.1:{port}"
        with pytest.raises(AzureFailure, match=f"no answer from 127.0.0.1:{port}") as caught:
            async with open_session({}, environ, clock):
                pass
    assert caught.value.kind == "unreachable"


async def test_a_cloud_that_goes_away(azure: ScriptedAzure, open_scripted: OpenSession, clock: ManualClock) -> None:
    azure.script(Reply(200, {"id": "x"}))
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        await machines.get(MACHINE)
        await azure.stop()
        with pytest.raises(AzureFailure) as caught:
            await machines.get(MACHINE)
        assert len(clock.sleeps) == 4
        clock.sleeps.clear()
        with pytest.raises(AzureFailure) as caught_post:
            await machines.start_assessment(MACHINE)
        await azure.start()
    assert caught.value.kind == caught_post.value.kind == "unreachable"
    assert clock.sleeps == []
    assert not caught_post.value.uncertain, "no connection was opened, so nothing can have been started"


async def test_an_emulated_clock_never_meets_a_real_cloud(
    azure: ScriptedAzure, environ: dict[str, str], clock: ManualClock
) -> None:
    environ |= {CLOCK_VARIABLE: "http://127.0.0.1:1/clock", "AZURE_CLOUD_ENVIRONMENT": "AzureCloud"}
    with pytest.raises(ClockError, match="not a loopback address"):
        async with open_session({}, environ, clock):
            pass
