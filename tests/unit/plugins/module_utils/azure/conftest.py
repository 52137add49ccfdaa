# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the Azure side: a scripted Azure, the environment that leads to it, and sessions with it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.session import ArmSession, open_session
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    CLIENT,
    SECRET,
    SUBSCRIPTION,
    TENANT,
    ManualClock,
    OpenSession,
    ScriptedAzure,
)


@pytest.fixture
async def azure(tmp_path: Path) -> AsyncIterator[ScriptedAzure]:
    scripted = ScriptedAzure(tmp_path)
    await scripted.start()
    yield scripted
    await scripted.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def environ(azure: ScriptedAzure) -> dict[str, str]:
    """What an AWX job template gives, pointed at the scripted Azure."""
    return {
        "AZURE_TENANT": TENANT,
        "AZURE_CLIENT_ID": CLIENT,
        "AZURE_SECRET": SECRET,
        "AZURE_SUBSCRIPTION_ID": SUBSCRIPTION,
        "AZURE_CLOUD_ENVIRONMENT": azure.url,
        "AZURE_DISABLE_INSTANCE_DISCOVERY": "true",
        "REQUESTS_CA_BUNDLE": str(azure.ca_path),
    }


@pytest.fixture
def open_scripted(environ: dict[str, str], clock: ManualClock) -> OpenSession:
    """Open a session with the scripted Azure; options may be given by keyword."""

    def opened(**params: Any) -> AbstractAsyncContextManager[ArmSession]:
        return open_session(params, environ, clock)

    return opened
