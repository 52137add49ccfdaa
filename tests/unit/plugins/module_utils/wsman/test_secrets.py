# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are blanked in every spelling in which a guest, a proxy or a library may give them back."""

from __future__ import annotations

import base64

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.wsman.secrets import Secrets, password_in

PASSWORD = "p&ss<w0rd>/é"
SECRETS = Secrets("ops", PASSWORD, "proxy-secret")


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("nothing here", "nothing here"),
        (f"you said {PASSWORD}!", "you said ********!"),
        ("you said p&amp;ss&lt;w0rd&gt;/é!", "you said ********!"),
        ("GET /p%26ss%3Cw0rd%3E%2F%C3%A9", "GET /********"),
        (f"Basic {base64.b64encode(f'ops:{PASSWORD}'.encode()).decode()}", "Basic ********"),
        (base64.b64encode(PASSWORD.encode()).decode(), "********"),
        ("http://me:proxy-secret@proxy:3128", "http://me:********@proxy:3128"),
        ("a name that is cut at p&ss<w0...", "a name that is cut at ********..."),
        ("a name that ends with proxy-s", "a name that ends with ********"),
        ("a name that ends with p&s", "a name that ends with p&s"),
    ],
)
def test_redact(text: str, redacted: str) -> None:
    """In clear, escaped, in base64 alone and with the user name, and where a text was cut off."""
    assert SECRETS.redact(text) == redacted


def test_nothing_to_hide() -> None:
    """Without secrets texts stay as they are; and nothing is shown of those there are."""
    assert Secrets("ops", None, "").redact("anything") == "anything"
    assert PASSWORD not in repr(SECRETS) and "Secrets" in repr(SECRETS)


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("http://me:s3cret@proxy:3128", "s3cret"),
        ("http://proxy:3128", None),
        (None, None),
        ("legacy_requests", None),
        ("http://[", None),
    ],
)
def test_a_proxy_url(url: str | None, password: str | None) -> None:
    """Its password is a secret, too."""
    assert password_in(url) == password
