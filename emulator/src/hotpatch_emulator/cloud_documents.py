# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cloud says of itself to anybody who asks: its endpoints, and those of its sign-in service."""

from __future__ import annotations

from typing import Any

from hotpatch_emulator.wire import ArmError, Reply

METADATA_VERSIONS = ("2015-01-01", "2018-05-01", "2019-05-01", "2020-06-01", "2020-09-01", "2022-09-01")


def metadata_endpoints(base_url: str, api_version: str) -> Any:
    """The cloud's endpoints: a dictionary for 2022-09-01, a list of clouds for the versions before it.

    The az CLI's ``cloud register`` reads the first, ARM_CLOUD_METADATA_URL (azure.azcollection) the second, and may
    leave the version out. Raises the Resource Manager's 400 for an unknown one.
    """
    if api_version and api_version not in METADATA_VERSIONS:
        raise ArmError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{api_version}' is invalid. The supported versions are '{','.join(METADATA_VERSIONS)}'.",
        )
    host = base_url.split("://", 1)[1].split(":", 1)[0]
    cloud = {
        "portal": base_url,
        "authentication": {
            "loginEndpoint": base_url,
            "audiences": [base_url, "https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "media": base_url,
        "graphAudience": f"{base_url}/graph",
        "graph": f"{base_url}/graph",
        "name": "HotpatchEmulator",
        "suffixes": {
            "acrLoginServer": f"azurecr.{host}",
            "sqlServerHostname": f"database.{host}",
            "keyVaultDns": f"vault.{host}",
            "storage": f"core.{host}",
            "azureFrontDoorEndpointSuffix": f"azurefd.{host}",
        },
        "batch": base_url,
        "resourceManager": f"{base_url}/",
        "vmImageAliasDoc": f"{base_url}/aliases.json",
        "activeDirectoryDataLake": base_url,
        "sqlManagement": base_url,
        "microsoftGraphResourceId": f"{base_url}/graph",
        "gallery": base_url,
    }
    return cloud if api_version == "2022-09-01" else [cloud]


def openid_configuration(base_url: str, tenant_id: str) -> Reply:
    """A tenant's OpenID Connect document."""
    base = f"{base_url}/{tenant_id}"
    return Reply(
        200,
        {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{base}/oauth2/v2.0/logout",
            "tenant_region_scope": "EU",
        },
    )


def instance_discovery(base_url: str) -> Reply:
    """What login.microsoftonline.com says of a login endpoint it knows."""
    host = base_url.split("://", 1)[1]
    return Reply(
        200,
        {
            "tenant_discovery_endpoint": f"{base_url}/common/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        },
    )
