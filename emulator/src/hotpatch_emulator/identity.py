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
from typing import Any

from hotpatch_emulator import cloud_documents
from hotpatch_emulator.assertions import JWT_BEARER, OidcIssuer, Refused, check_federated, new_key, parts
from hotpatch_emulator.settings import Principal, make_secret
from hotpatch_emulator.state import Fleet
from hotpatch_emulator.users import GRANTS, PUBLIC_APPLICATIONS, Users, id_claims
from hotpatch_emulator.wire import ArmError, Reply, new_id

PUBLIC_AUDIENCES = ("https://management.azure.com", "https://management.core.windows.net")
GRAPH_AUDIENCES = ("https://graph.microsoft.com", "https://graph.windows.net")
IMDS_VERSIONS = ("2018-02-01", "2019-06-04", "2019-08-15", "2020-06-01", "2021-02-01")
APP_SERVICE_VERSIONS = ("2017-09-01", "2019-08-01")


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
        self.users = Users(fleet.principals)
        self.issuer = OidcIssuer(new_key()) if any(p.federated for p in fleet.principals) else None

    # -- tokens -------------------------------------------------------------------------------------------------

    @property
    def issuer_url(self) -> str:
        """The OIDC issuer whose tokens principals with the proof ``federated`` may send."""
        return f"{self.base_url}/oidc"

    def principal_of(self, form: Mapping[str, str]) -> Principal | None:
        """Who a token request says it is from."""
        user = self.users.find(form.get("username", ""))
        client_id = form.get("client_id", "").lower()
        return user or next((p for p in self._fleet.principals if p.client_id == client_id), None)

    def _token(self, principal: Principal, audience: str, lifetime: int, **claimed: Any) -> str:
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
        return self._signed({**claims, **claimed})

    def _signed(self, claims: Mapping[str, Any]) -> str:
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
        return next(p for p in self._fleet.principals if p.object_id == claims["oid"])

    def _unauthorised(self, code: str, message: str) -> ArmError:
        challenge = (
            f'Bearer authorization_uri="{self.base_url}/{self._fleet.tenant_id}", error="invalid_token", '
            f'error_description="{message}"'
        )
        return ArmError(401, code, message, headers={"WWW-Authenticate": challenge, "x-ms-failure-cause": "gateway"})

    # -- the sign-in service ------------------------------------------------------------------------------------

    def metadata_endpoints(self, api_version: str) -> Any:
        return cloud_documents.metadata_endpoints(self.base_url, api_version)

    def openid_configuration(self, tenant: str) -> Reply:
        return self._tenant_problem(tenant) or cloud_documents.openid_configuration(
            self.base_url, self._fleet.tenant_id
        )

    def instance_discovery(self) -> Reply:
        return cloud_documents.instance_discovery(self.base_url)

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
        """POST /{tenant}/oauth2/v2.0/token: an application by secret or assertion, or a user by password."""
        problem = self._tenant_problem(tenant)
        if problem is not None:
            return problem
        if form.get("grant_type") in GRANTS:
            return self._user_token(form)
        if form.get("grant_type") != "client_credentials":
            return self._problem(
                400,
                "unsupported_grant_type",
                70003,
                f"The app requested an unsupported grant type '{form.get('grant_type', '')}'.",
            )
        client_id = form.get("client_id", "")
        principal = next((p for p in self._fleet.principals if p.client_id == client_id.lower()), None)
        if principal is None or principal.managed_identity or principal.user:
            return self._problem(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory "
                f"'{self._fleet.tenant_id}'. This can happen if the application has not been installed by the "
                "administrator of the tenant or consented to by any user in the tenant. You may have sent your "
                "authentication request to the wrong tenant.",
            )
        try:
            self._check_proof(principal, form)
            audience = self._audience(form.get("resource", "") if version_one else form.get("scope", ""))
        except Refused as refused:
            return self._problem(401, "invalid_client", refused.code, refused.text)
        lifetime = self._fleet.switches.token_lifetime_seconds
        body: dict[str, Any] = {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self._token(
                principal, audience, lifetime, appidacr="2" if "client_assertion" in form else "1"
            ),
        }
        if version_one:
            now = int(time.time())
            texts = {"expires_in": lifetime, "expires_on": now + lifetime, "not_before": now, "resource": audience}
            body.update({name: str(value) for name, value in texts.items()})
        return Reply(200, body)

    def _check_proof(self, principal: Principal, form: Mapping[str, str]) -> None:
        """Raise Refused unless the application proves who it is by something registered with it."""
        assertion = form.get("client_assertion")
        if assertion is None and "client_secret" not in form:
            raise Refused(
                7000218,
                "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        if assertion is None:
            right = hmac.compare_digest(form["client_secret"].encode(), principal.secret.encode())
            if "secret" not in principal.proofs or not right:
                raise Refused(
                    7000215,
                    "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                    f"value, not the client secret ID, for a secret added to app '{principal.client_id}'.",
                )
            return
        if form.get("client_assertion_type") != JWT_BEARER:
            raise Refused(7000219, "'client_assertion' or 'client_assertion_type' must both be present.")
        # An application signs its own assertions as their issuer; every other issuer has to be a federated one.
        if parts(assertion)[1].get("iss") == principal.client_id:
            self._check_certificate(principal, assertion)
        elif principal.federated is None or self.issuer is None:
            raise Refused(
                70025, f"The client '{principal.client_id}' has no configured federated identity credentials."
            )
        else:
            check_federated(assertion, principal.federated, self.issuer_url, self.issuer.jwks())

    def _check_certificate(self, principal: Principal, assertion: str) -> None:
        if principal.certificate is None:
            raise Refused(
                700027,
                "The certificate with identifier used to sign the client assertion is not registered on application. "
                "[Reason - The key was not found.]",
            )
        base = f"{self.base_url}/{self._fleet.tenant_id}"
        audiences = (f"{base}/oauth2/v2.0/token", f"{base}/oauth2/token", f"{base}/v2.0", base)
        principal.certificate.check(assertion, principal.client_id, audiences)

    def _audience(self, scope: str) -> str:
        """The resource that a token is wanted for; raises Refused for one that the tenant does not know."""
        wanted = next((word for word in scope.split() if "://" in word), "").removesuffix("/.default")
        graph = (*GRAPH_AUDIENCES, f"{self.base_url}/graph")
        if wanted.rstrip("/") not in (*self._allowed_audiences(), *graph):
            raise Refused(
                500011,
                f"The resource principal named {wanted} was not found in the tenant named "
                f"{self._fleet.tenant_id}. This can happen if the application has not been installed by the "
                "administrator of the tenant or consented to by any user in the tenant.",
            )
        return wanted

    def _user_token(self, form: Mapping[str, str]) -> Reply:
        """A token for a user, through an application that keeps no secret."""
        client_id = form.get("client_id", "").lower()
        try:
            if client_id not in PUBLIC_APPLICATIONS:
                raise Refused(
                    7000218,
                    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
                )
            user = self.users.sign_in(form)
            audience = self._audience(form.get("scope", ""))
        except Refused as refused:
            confidential = refused.code == 7000218
            error = "invalid_client" if confidential else "invalid_grant"
            return self._problem(401 if confidential else 400, error, refused.code, refused.text)
        lifetime = self._fleet.switches.token_lifetime_seconds
        tenant = self._fleet.tenant_id
        who = id_claims(user, tenant, f"{self.base_url}/{tenant}/v2.0", client_id, lifetime)
        claimed = {"idtyp": "user", "upn": user.user, "appid": client_id, "appidacr": "0"}
        return Reply(
            200,
            {
                "token_type": "Bearer",
                "scope": form.get("scope", ""),
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": self._token(user, audience, lifetime, **claimed),
                "refresh_token": self.users.refresh_token(user),
                "id_token": self._signed(who),
                "client_info": _encode({"uid": user.object_id, "utid": tenant}),
            },
        )

    def document(self, path: str, query: Mapping[str, str]) -> Reply | None:
        """What anybody may read: the OIDC issuer's documents and a user's realm; None for every other path."""
        if path == "/oidc/.well-known/openid-configuration" and self.issuer is not None:
            supported = {"id_token_signing_alg_values_supported": ["RS256"], "response_types_supported": ["id_token"]}
            return Reply(200, {"issuer": self.issuer_url, "jwks_uri": f"{self.issuer_url}/jwks", **supported})
        if path == "/oidc/jwks" and self.issuer is not None:
            return Reply(200, self.issuer.jwks())
        if path.lower().startswith("/common/userrealm/"):
            if query.get("api-version") not in ("1.0", "2.1"):
                return Reply(
                    400, {"error": "invalid_request", "error_description": "The api-version is not supported."}
                )
            return Reply(200, self.users.realm(path.rpartition("/")[2]))
        return None

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
            if query.get("api-version") not in APP_SERVICE_VERSIONS:
                return Reply(400, {"statusCode": 400, "message": "Unsupported api-version"})
        elif headers.get("Metadata", "").lower() != "true":
            return Reply(
                400, {"error": "invalid_request", "error_description": "Required metadata header not specified"}
            )
        elif query.get("api-version") not in IMDS_VERSIONS:
            reason = "Bad request. api-version is invalid or was not specified in the request."
            return Reply(400, {"error": reason, "newest-versions": list(reversed(IMDS_VERSIONS[-3:]))})
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


def _us_time(seconds: float) -> str:
    """The Resource Manager's own date form in token errors: 5/13/2026 1:00:00 AM."""
    moment = datetime.fromtimestamp(seconds, timezone.utc)
    return f"{moment.month}/{moment.day}/{moment.year} {moment.hour % 12 or 12}:{moment:%M:%S} {moment:%p}"
