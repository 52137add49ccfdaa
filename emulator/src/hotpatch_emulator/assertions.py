# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proofs that an application signs instead of sending a secret: its certificate's, and a federated issuer's tokens.

What is checked, and the AADSTS code of each refusal, follow "Microsoft identity platform application authentication
certificate credentials", "Workload identity federation" and "Microsoft Entra authentication and authorization error
codes" (Microsoft Learn).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
from cryptography.x509.oid import NameOID

JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AUDIENCE = "api://AzureADTokenExchange"
"""The audience of a federated credential, unless another is registered."""
_SIGNATURES = ["RS256", "PS256"]


class Refused(Exception):
    """An assertion is not accepted; ``code`` is the number of the AADSTS error, ``text`` its words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class ApplicationCertificate:
    """A certificate registered with an application, together with the key that only its owner has."""

    def __init__(self, name: str, valid_days: float = 365) -> None:
        self._key = new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(timezone.utc)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=366))
            .not_valid_after(now + timedelta(days=valid_days))
            .sign(self._key, hashes.SHA256())
        )
        self.thumbprint = self.certificate.fingerprint(hashes.SHA1()).hex().upper()

    def pem(self) -> str:
        """Certificate and key, as clients read them."""
        key = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return (self.certificate.public_bytes(Encoding.PEM) + key).decode("ascii")

    def pfx(self) -> bytes:
        """The same as PKCS #12, without a password."""
        return pkcs12.serialize_key_and_certificates(None, self._key, self.certificate, None, NoEncryption())

    def signs(self, header: Mapping[str, Any]) -> bool:
        """Tell whether a JWT's header names this certificate: by x5t, x5t#S256 or kid."""
        sha1 = self.certificate.fingerprint(hashes.SHA1())
        names = {
            "x5t#S256": (_encoded(self.certificate.fingerprint(hashes.SHA256())),),
            "x5t": (_encoded(sha1),),
            "kid": (_encoded(sha1), self.thumbprint),
        }
        given = {name: str(header[name]).rstrip("=") for name in names if header.get(name)}
        return bool(given) and all(value in names[name] for name, value in given.items())

    def check(self, assertion: str, client_id: str, audiences: tuple[str, ...]) -> None:
        """Raise Refused unless the assertion was signed by this certificate for this application, just now."""
        header, _claims = parts(assertion)
        if not self.signs(header):
            raise _key_refused("The key was not found.", header)
        if self.certificate.not_valid_after_utc <= datetime.now(timezone.utc):
            raise _key_refused("The key used is expired.", header)
        claims = _verified(assertion, self.certificate.public_key())
        if claims is None:
            raise _key_refused("The provided signature value did not match the expected signature value.", header)
        if claims.get("aud") not in audiences:
            raise Refused(
                700023,
                f"Client assertion audience claim does not match Realm issuer. The audience was '{claims.get('aud')}'.",
            )
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise Refused(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
        check_time(claims)


@dataclass(frozen=True)
class FederatedTrust:
    """A federated identity credential: whose tokens an application takes for its own proof. All compare exactly."""

    subject: str
    audience: str = AUDIENCE


class OidcIssuer:
    """An OpenID Connect issuer as a CI system or a Kubernetes cluster has one; publishes its key, signs tokens."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self.key = key
        self.key_id = _encoded(hashes_of(key))

    def pem(self) -> str:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii")

    def jwks(self) -> dict[str, Any]:
        """The JSON Web Key Set that the issuer publishes."""
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return {"keys": [{**key, "kid": self.key_id, "use": "sig", "alg": "RS256"}]}

    def mint(self, issuer: str, subject: str, audience: str, lifetime: float) -> str:
        """Sign a token for *subject*, good for *lifetime* real seconds; negative ones are over already."""
        now = time.time()
        claims = {
            "iss": issuer,
            "sub": subject,
            "aud": audience,
            "iat": int(now),
            "nbf": int(min(now, now + lifetime)),
            "exp": int(now + lifetime),
        }
        return jwt.encode(claims, self.key, algorithm="RS256", headers={"kid": self.key_id})


def check_federated(assertion: str, trust: FederatedTrust, issuer: str, jwks: Mapping[str, Any]) -> None:
    """Raise Refused unless the token is the issuer's, for the subject and audience that were registered.

    *issuer* is the registered one, *jwks* what it publishes.
    """
    header, unverified = parts(assertion)
    record = "No matching federated identity record found for presented assertion"
    advice = "Check your federated identity credential Subject, Audience and Issuer against the presented assertion."
    if unverified.get("iss") != issuer:
        raise Refused(700211, f"{record} issuer '{unverified.get('iss')}'. {advice}")
    key = next((jwt.PyJWK(entry).key for entry in jwks["keys"] if entry["kid"] == header.get("kid")), None)
    claims = _verified(assertion, key) if key is not None else None
    if claims is None:
        reason = "The key was not found." if key is None else "The provided signature value did not match."
        raise Refused(50013, f"Assertion failed signature validation. [Reason - {reason}]")
    check_time(claims)
    if claims.get("aud") != trust.audience:
        raise Refused(700212, f"{record} audience '{claims.get('aud')}'. {advice}")
    if claims.get("sub") != trust.subject:
        raise Refused(700213, f"{record} subject '{claims.get('sub')}'. {advice}")


def parts(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims of a JWT nobody has verified yet; raises Refused for what is none."""
    try:
        header = jwt.get_unverified_header(assertion)
        claims = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.InvalidTokenError as error:
        raise Refused(50027, f"JWT token is invalid or malformed. {error}") from error
    return header, claims


def check_time(claims: Mapping[str, Any]) -> None:
    """Raise Refused outside the assertion's validity. Entra allows five minutes of skew; here none are allowed."""
    now = time.time()
    if not _number(claims.get("nbf", 0)) <= now < _number(claims.get("exp")):
        raise Refused(
            700024,
            f"Client assertion is not within its valid time range. Current time: {_iso(now)}, assertion valid from "
            f"{_iso(_number(claims.get('nbf')))}, expiry time of assertion {_iso(_number(claims.get('exp')))}.",
        )


def hashes_of(key: rsa.RSAPrivateKey) -> bytes:
    """What names a key: the digest of its public half."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(str(key.public_key().public_numbers().n).encode())
    return digest.finalize()


def _verified(assertion: str, key: Any) -> Mapping[str, Any] | None:
    """The claims if the signature is right; the claims themselves are the caller's to judge."""
    try:
        claims = json.loads(jwt.PyJWS().decode(assertion, key, algorithms=_SIGNATURES))
    except (jwt.InvalidTokenError, ValueError):
        return None
    return claims if isinstance(claims, dict) else None


def _key_refused(reason: str, header: Mapping[str, Any]) -> Refused:
    used = header.get("x5t") or header.get("x5t#S256") or header.get("kid") or ""
    return Refused(
        700027,
        "The certificate with identifier used to sign the client assertion is not registered on application. "
        f"[Reason - {reason}, Thumbprint of key used by client: '{used}']",
    )


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.0000000Z")
