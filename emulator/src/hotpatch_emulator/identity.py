# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens: the sign-in service, the managed identity and what the Resource Manager makes of a token.

Tokens live in real time: they are the one thing, with TLS, that the emulated clock does not touch. The shapes of
errors are those of the Microsoft identity platform (AADSTS codes) and of the Azure Instance Metadata Service.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from hotpatch_emulator.settings import Principal, make_secret
from hotpatch_emulator.state import Fleet
from hotpatch_emulator.wire import ArmError, Reply, new_id

PUBLIC_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")


def _encode(value: Mapping[str, Any] | bytes) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Identity:
    """Issues and checks tokens for the fleet's principals."""

    def __init__(self, fleet: Fleet, base_url: str = "https://127.0.0.1") -> None:
        self.base_url = base_url
        self.identity_header = make_secret()
        self._fleet = fleet
        self._key = secrets.token_bytes(32)
        self._key_id = secrets.token_hex(20)

    # -- tokens -------------------------------------------------------------------------------------------------

    def _token(self, principal: Principal, audience: str, lifetime: int) -> str:
        now = int(time.time())
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self._fleet.tenant_id}/",
            "iat": now,
            "nbf": now,
            "exp": now + lifetime,
            "appid": principal.client_id,
            "appidacr": "1",
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": self._fleet.tenant_id,
            "ver": "1.0",
        }
        signed = f"{_encode({'typ': 'JWT', 'alg': 'RS256', 'kid': self._key_id})}.{_encode(claims)}"
        return f"{signed}.{_encode(self._signature(signed))}"

    def _signature(self, signed: str) -> bytes:
        # A real token carries an RSA signature of 256 bytes.
        return b"".join(hmac.digest(self._key, signed.encode() + bytes([n]), hashlib.sha256) for n in range(8))

    def _allowed_audiences(self) -> tuple[str, ...]:
        return (self.base_url, *PUBLIC_AUDIENCES)

    def authenticate(self, header: str | None) -> Principal:
        """The principal behind an Authorization header; raises the Resource Manager's 401."""
        if not header:
            raise self._unauthorised(
                "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
            )
        scheme, _blank, token = header.partition(" ")
        if scheme.lower() != "bearer" or token.count(".") != 2:
            raise self._unauthorised(
                "AuthenticationFailedInvalidHeader",
                "Authentication failed. The 'Authorization' header is provided in an invalid format.",
            )
        signed, _dot, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), _encode(self._signature(signed)).encode()):
            raise self._unauthorised("InvalidAuthenticationToken", "The access token is invalid.")
        claims = _decode(signed.split(".")[1])
        if claims["exp"] <= time.time():
            raise self._unauthorised(
                "ExpiredAuthenticationToken",
                f"The access token expiry UTC time '{_us_time(claims['exp'])}' is earlier than current UTC time "
                f"'{_us_time(time.time())}'.",
            )
        if claims["aud"].rstrip("/") not in self._allowed_audiences():
            allowed = ",".join(f"{audience}/" for audience in self._allowed_audiences())
            raise self._unauthorised(
                "InvalidAuthenticationTokenAudience",
                f"The access token has been obtained for wrong audience or resource '{claims['aud']}'. It should "
                f"exactly match with one of the allowed audiences '{allowed}'.",
            )
        return next(p for p in self._fleet.principals if p.client_id == claims["appid"])

    def _unauthorised(self, code: str, message: str) -> ArmError:
        challenge = (
            f'Bearer authorization_uri="{self.base_url}/{self._fleet.tenant_id}", error="invalid_token", '
            f'error_description="{message}"'
        )
        return ArmError(401, code, message, headers={"WWW-Authenticate": challenge, "x-ms-failure-cause": "gateway"})

    # -- the sign-in service ------------------------------------------------------------------------------------

    def metadata_endpoints(self, api_version: str) -> Any:
        """The cloud's endpoints: a dictionary for 2022-09-01, a list of clouds for every other version.

        The az CLI's ``cloud register`` reads the first, ARM_CLOUD_METADATA_URL (azure.azcollection) the second.
        """
        host = self.base_url.split("://", 1)[1].split(":", 1)[0]
        cloud = {
            "portal": self.base_url,
            "authentication": {
                "loginEndpoint": self.base_url,
                "audiences": [self.base_url, "https://management.core.windows.net/", "https://management.azure.com/"],
                "tenant": "common",
                "identityProvider": "AAD",
            },
            "media": self.base_url,
            "graphAudience": f"{self.base_url}/graph",
            "graph": f"{self.base_url}/graph",
            "name": "HotpatchEmulator",
            "suffixes": {
                "acrLoginServer": f"azurecr.{host}",
                "sqlServerHostname": f"database.{host}",
                "keyVaultDns": f"vault.{host}",
                "storage": f"core.{host}",
                "azureFrontDoorEndpointSuffix": f"azurefd.{host}",
            },
            "batch": self.base_url,
            "resourceManager": f"{self.base_url}/",
            "vmImageAliasDoc": f"{self.base_url}/aliases.json",
            "activeDirectoryDataLake": self.base_url,
            "sqlManagement": self.base_url,
            "microsoftGraphResourceId": f"{self.base_url}/graph",
            "gallery": self.base_url,
        }
        return cloud if api_version == "2022-09-01" else [cloud]

    def openid_configuration(self, tenant: str) -> Reply:
        problem = self._tenant_problem(tenant)
        if problem is not None:
            return problem
        base = f"{self.base_url}/{self._fleet.tenant_id}"
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

    def instance_discovery(self) -> Reply:
        host = self.base_url.split("://", 1)[1]
        return Reply(
            200,
            {
                "tenant_discovery_endpoint": f"{self.base_url}/common/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            },
        )

    def _tenant_problem(self, tenant: str) -> Reply | None:
        if tenant.lower() in (self._fleet.tenant_id.lower(), "common", "organizations"):
            return None
        return self._problem(
            400,
            "invalid_request",
            90002,
            f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
            "correct cloud. Check with your subscription administrator, this may happen if there are no active "
            "subscriptions for the tenant.",
        )

    def token(self, tenant: str, form: Mapping[str, str], *, version_one: bool = False) -> Reply:
        """POST /{tenant}/oauth2/v2.0/token with client_credentials and a secret."""
        problem = self._tenant_problem(tenant)
        if problem is not None:
            return problem
        if form.get("grant_type") != "client_credentials":
            return self._problem(
                400,
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{form.get('grant_type', '')}'.",
            )
        client_id = form.get("client_id", "")
        principal = next((p for p in self._fleet.principals if p.client_id == client_id.lower()), None)
        if principal is None or principal.managed_identity:
            return self._problem(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory "
                f"'{self._fleet.tenant_id}'. This can happen if the application has not been installed by the "
                "administrator of the tenant or consented to by any user in the tenant. You may have sent your "
                "authentication request to the wrong tenant.",
            )
        if not hmac.compare_digest(form.get("client_secret", "").encode(), principal.secret.encode()):
            return self._problem(
                401,
                "invalid_client",
                7000215,
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{client_id}'.",
            )
        audience = form.get("resource", "") if version_one else form.get("scope", "").removesuffix("/.default")
        lifetime = self._fleet.switches.token_lifetime_seconds
        body: dict[str, Any] = {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self._token(principal, audience, lifetime),
        }
        if version_one:
            now = int(time.time())
            texts = {"expires_in": lifetime, "expires_on": now + lifetime, "not_before": now, "resource": audience}
            body.update({name: str(value) for name, value in texts.items()})
        return Reply(200, body)

    def _problem(self, status: int, error: str, code: int, text: str) -> Reply:
        stamp = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
        trace, correlation = new_id(), new_id()
        return Reply(
            status,
            {
                "error": error,
                "error_description": f"AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} "
                f"Timestamp: {stamp}",
                "error_codes": [code],
                "timestamp": stamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": f"{self.base_url}/error?code={code}",
            },
        )

    # -- managed identity ---------------------------------------------------------------------------------------

    def managed_token(self, query: Mapping[str, str], headers: Mapping[str, str], *, app_service: bool) -> Reply:
        """The token of the control node's own identity: IMDS style or IDENTITY_ENDPOINT style."""
        if app_service:
            if not hmac.compare_digest(headers.get("X-IDENTITY-HEADER", "").encode(), self.identity_header.encode()):
                return Reply(401, {"statusCode": 401, "message": "Unauthorized"})
        elif headers.get("Metadata", "").lower() != "true":
            return Reply(
                400, {"error": "invalid_request", "error_description": "Required metadata header not specified"}
            )
        resource = query.get("resource", "")
        if not resource:
            return Reply(
                400, {"error": "invalid_request", "error_description": "Required query variable 'resource' is missing"}
            )
        wanted = query.get("client_id") or query.get("object_id") or query.get("principal_id")
        principal = next(
            (
                p
                for p in self._fleet.principals
                if p.managed_identity and (wanted is None or wanted.lower() in (p.client_id, p.object_id))
            ),
            None,
        )
        if principal is None:
            return Reply(400, {"error": "invalid_request", "error_description": "Identity not found"})
        now, lifetime = int(time.time()), self._fleet.switches.token_lifetime_seconds
        return Reply(
            200,
            {
                "access_token": self._token(principal, resource, lifetime),
                "client_id": principal.client_id,
                "expires_in": str(lifetime),
                "expires_on": str(now + lifetime),
                "ext_expires_in": str(lifetime),
                "not_before": str(now),
                "resource": resource,
                "token_type": "Bearer",
            },
        )


def authorise(principal: Principal, action: str, scope: str) -> None:
    """Raise the Resource Manager's 403 unless a role of the principal allows the action at the scope."""
    wanted, place = action.lower(), scope.lower()
    for granted_scope, patterns in principal.grants:
        inside = not granted_scope or place == granted_scope or place.startswith(granted_scope + "/")
        if inside and any(fnmatchcase(wanted, pattern.lower()) for pattern in patterns):
            return
    raise ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{principal.client_id}' with object id '{principal.object_id}' does not have authorization to "
        f"perform action '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, "
        "please refresh your credentials.",
        headers={"x-ms-failure-cause": "gateway"},
    )


def _us_time(seconds: float) -> str:
    """The Resource Manager's own date form in token errors: 5/13/2026 1:00:00 AM."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S} {moment:%p}"
