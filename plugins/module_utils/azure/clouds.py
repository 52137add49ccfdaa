# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an Azure cloud lives: the four names azure.azcollection knows, or any cloud by the URL of its ARM endpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..domain.errors import InputError
from .errors import AzureFailure, failure_from_answer
from .network import choose_proxy, connection_failure

if TYPE_CHECKING:
    import aiohttp

METADATA_VERSION = "2022-09-01"
_ALLOWED = "AzureCloud, AzureUSGovernment, AzureChinaCloud, or the https URL of a cloud's Resource Manager"


@dataclass(frozen=True)
class Cloud:
    """A cloud's endpoints, as https URLs without a trailing slash; *audience* is what tokens are asked for."""

    name: str
    resource_manager: str
    authority: str
    audience: str

    @property
    def scope(self) -> str:
        return f"{self.audience}/.default"

    @property
    def endpoints(self) -> tuple[str, str]:
        """All endpoints this cloud makes us talk to; what the clock is checked against."""
        return (self.resource_manager, self.authority)


KNOWN_CLOUDS: Mapping[str, Cloud] = {
    cloud.name.lower(): cloud
    for cloud in (
        Cloud(
            "AzureCloud",
            "https://management.azure.com",
            "https://login.microsoftonline.com",
            "https://management.azure.com",
        ),
        Cloud(
            "AzureUSGovernment",
            "https://management.usgovcloudapi.net",
            "https://login.microsoftonline.us",
            "https://management.usgovcloudapi.net",
        ),
        Cloud(
            "AzureChinaCloud",
            "https://management.chinacloudapi.cn",
            "https://login.chinacloudapi.cn",
            "https://management.chinacloudapi.cn",
        ),
    )
}


def known_cloud(name_or_url: str) -> Cloud | None:
    """Return the cloud of that name, or None for a well-formed https URL; raises InputError for anything else."""
    text = name_or_url.strip()
    if text.lower() in KNOWN_CLOUDS:
        return KNOWN_CLOUDS[text.lower()]
    if text.lower() == "azuregermancloud":
        raise InputError("cloud_environment", name_or_url, _ALLOWED, "Microsoft closed Azure Germany in October 2021")
    parts = urlsplit(text)
    if parts.scheme == "https" and parts.hostname and not parts.username:
        return None
    raise InputError("cloud_environment", "(not shown)" if "@" in text else name_or_url, _ALLOWED)


def choose_authority(adfs_authority_url: str, cloud: Cloud) -> str:
    """Return the login endpoint: the option adfs_authority_url if given, else the cloud's.

    Raises InputError for anything but an https URL. Without the ``/adfs`` that AD FS has in its addresses: the
    libraries put the tenant there, and with AD FS that is ``adfs``.
    """
    if not adfs_authority_url:
        return cloud.authority
    parts = urlsplit(adfs_authority_url.strip())
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query:
        raise InputError(
            "adfs_authority_url",
            "(not shown)" if parts.username else adfs_authority_url,
            "an https URL such as https://adfs.example.com, with tenant adfs",
        )
    path = parts.path.rstrip("/")
    if path.lower().endswith("/adfs"):
        path = path[: -len("/adfs")]
    return f"https://{parts.netloc}{path}"


async def resolve_cloud(name_or_url: str, session: aiohttp.ClientSession, environ: Mapping[str, str]) -> Cloud:
    """Return the cloud the option cloud_environment names, asking a custom cloud for its metadata.

    Raises InputError for what is neither a name nor an https URL, AzureFailure if the endpoint does not answer usably.
    """
    cloud = known_cloud(name_or_url)
    if cloud is not None:
        return cloud
    base = name_or_url.strip().rstrip("/")
    if urlsplit(base).path.endswith("/metadata/endpoints"):
        base = base[: base.lower().index("/metadata/endpoints")]
    operation = f"read the endpoints of the cloud at {base} (cloud_environment)"
    url = f"{base}/metadata/endpoints?api-version={METADATA_VERSION}"
    try:
        # The pool leaves decompressing to azure-core, so none is asked for here.
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        async with session.get(url, proxy=choose_proxy(environ, url), headers=headers) as answer:
            status, text = answer.status, (await answer.read()).decode("utf-8", errors="replace")
    except Exception as error:
        failure = connection_failure(operation, url, error)
        if failure is None:
            raise
        raise failure from error
    if status != 200:
        raise failure_from_answer(operation, status, text)
    try:
        return read_metadata(json.loads(text), base)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise AzureFailure(
            f"Could not {operation}: the answer holds no authentication.loginEndpoint and audiences; give the URL of "
            "the cloud's Resource Manager.",
            operation=operation,
            status=status,
            message=text[:200],
        ) from error


def read_metadata(body: Any, base: str) -> Cloud:
    """Read the metadata answer for the cloud whose Resource Manager is *base*.

    One object from Azure Stack and custom clouds, a list of all clouds from the public one; the list's entry is that
    whose resourceManager is *base*. Raises LookupError or ValueError for anything else.
    """
    entries = body if isinstance(body, list) else [body]
    host = urlsplit(base).netloc.lower()
    matching = [entry for entry in entries if urlsplit(str(entry.get("resourceManager", ""))).netloc.lower() == host]
    entry = (matching or entries)[0]
    authentication = entry["authentication"]
    login, audience = str(authentication["loginEndpoint"]), str(authentication["audiences"][0])
    if urlsplit(login).scheme != "https" or not audience:
        raise ValueError("no https loginEndpoint")
    return Cloud(str(entry.get("name") or host), base, login.rstrip("/"), audience)
