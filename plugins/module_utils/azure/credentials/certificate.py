# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Authentication as a service principal with its certificate: the options x509_certificate_path and thumbprint.

The file holds certificate and RSA key, as PEM or as PKCS #12 (``.pfx``); the password of either comes from the variable
AZURE_CLIENT_CERTIFICATE_PASSWORD. azure-identity finds the thumbprint by itself: a given one is compared, because with
another certificate than was meant the login would be refused with less of a reason.
"""

from __future__ import annotations

import os
from typing import Any

from ...domain.errors import InputError
from .method import Surroundings, application, require_application
from .options import CERTIFICATE_PASSWORD, AuthOptions

_PATH = "x509_certificate_path"
_ALLOWED = "a file with a certificate and its RSA key, as PEM or PKCS #12"


class Certificate:
    NAME = "certificate"
    OPTIONS = ("client_id", _PATH, "thumbprint", "tenant")

    def validate(self, options: AuthOptions) -> None:
        require_application(options, _PATH)
        data = read_certificate(options)
        try:
            thumbprint = thumbprint_of(data, options)
        except ImportError:
            return  # the libraries are missing, which the first request tells in full
        given = normalised(options.get("thumbprint"))
        if given and given != thumbprint:
            raise InputError(
                options.origin("thumbprint"),
                options.get("thumbprint"),
                f"the SHA-1 thumbprint of the certificate in {_PATH}, which is {thumbprint}, or left out",
            )

    def principal(self, options: AuthOptions) -> str:
        return application(options)

    def build(self, options: AuthOptions, surroundings: Surroundings) -> Any:
        from azure.identity.aio import CertificateCredential

        return CertificateCredential(
            options.get("tenant"),
            options.get("client_id"),
            certificate_data=read_certificate(options),
            password=options.get(CERTIFICATE_PASSWORD) or None,
            transport=surroundings.transport(),
            **surroundings.login(options),
        )


def normalised(thumbprint: str) -> str:
    """Return a thumbprint as upper-case hexadecimal digits, however it was written."""
    return "".join(character for character in thumbprint.upper() if character not in ": -")


def read_certificate(options: AuthOptions) -> bytes:
    """Return the file's bytes; raises InputError if it cannot be read."""
    path = options.get(_PATH)
    try:
        with open(os.path.expanduser(path), "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(options.origin(_PATH), path, _ALLOWED, f"it cannot be read: {error.strerror}") from error


def thumbprint_of(data: bytes, options: AuthOptions) -> str:
    """Return the certificate's SHA-1 thumbprint in hexadecimal; InputError if *data* is not what a login needs.

    Raises ImportError without the library cryptography, which comes with azure-identity.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

    password = options.get(CERTIFICATE_PASSWORD).encode() or None
    certificate: x509.Certificate | None
    try:
        if b"-----BEGIN" in data:
            key: Any = load_pem_private_key(data, password) if b"PRIVATE KEY-----" in data else None
            certificate = x509.load_pem_x509_certificate(data) if b"BEGIN CERTIFICATE" in data else None
        else:
            key, certificate, _chain = pkcs12.load_key_and_certificates(data, password)
    except Exception as error:  # cryptography raises ValueError, TypeError and its own, by version and backend
        raise _unfit(options, _why(data, password)) from error
    if certificate is None:
        raise _unfit(options, "it holds no certificate")
    if not isinstance(key, RSAPrivateKey):
        raise _unfit(options, "it holds no private key" if key is None else "its key is no RSA key")
    # Only a name of the certificate here, nothing rests on its strength.
    return certificate.fingerprint(SHA1()).hex().upper()  # noqa: S303


def _why(data: bytes, password: bytes | None) -> str:
    encrypted = b"-----BEGIN" not in data or b"ENCRYPTED" in data
    if not encrypted:
        return "it cannot be read as either"
    variable = "the password in AZURE_CLIENT_CERTIFICATE_PASSWORD"
    return f"{variable} does not open it" if password else f"it cannot be opened; if it is encrypted, put {variable}"


def _unfit(options: AuthOptions, why: str) -> InputError:
    return InputError(options.origin(_PATH), options.get(_PATH), _ALLOWED, why)
