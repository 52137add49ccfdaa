# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of guests and of their clients: channel bindings, issuing, and the mapping to an account.

Windows maps a client certificate to a local account by the user principal name in its subject alternative name
(WSMan:\\localhost\\ClientCertificate: issuer, subject, account).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl

import trustme
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_UPN = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")  # szOID_NT_PRINCIPAL_NAME
_UTF8_STRING = 0x0C
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_WAIT_SECONDS = 2.0


def principal_of(account: str) -> str:
    """The user principal name that stands in the certificate of a local account."""
    return f"{account}@localhost"


def end_point_binding(certificate_pem: bytes) -> bytes:
    """The tls-server-end-point channel binding of a server's certificate (RFC 5929, section 4.1)."""
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    algorithm: hashes.HashAlgorithm | None = None
    with contextlib.suppress(UnsupportedAlgorithm):
        algorithm = certificate.signature_hash_algorithm
    if algorithm is None or isinstance(algorithm, (hashes.MD5, hashes.SHA1)):
        algorithm = hashes.SHA256()
    return b"tls-server-end-point:" + certificate.fingerprint(algorithm)


def issue_client(authority: trustme.CA, principal: str) -> tuple[bytes, bytes]:
    """A client certificate for a user principal name and its key, both PEM; valid for a day."""
    issuer = x509.load_pem_x509_certificate(authority.cert_pem.bytes())
    signer = load_pem_private_key(authority.private_key_pem.bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)  # the only kind that trustme makes for an authority
    key = ec.generate_private_key(ec.SECP256R1())
    text = principal.encode()
    if len(text) > 127:
        raise ValueError(f"the user principal name {principal!r} is longer than 127 bytes")
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, principal.partition("@")[0])]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.OtherName(_UPN, bytes((_UTF8_STRING, len(text))) + text)]), critical=False
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(signer, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def principal_in(certificate_der: bytes) -> str | None:
    """The user principal name that a client certificate carries, None if it carries none."""
    try:
        extensions = x509.load_der_x509_certificate(certificate_der).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    for name in names.get_values_for_type(x509.OtherName):
        value = name.value
        if name.type_id == _UPN and value[:1] == bytes((_UTF8_STRING,)) and value[1:2] == bytes((len(value) - 2,)):
            return value[2:].decode("utf-8", "replace")
    return None


async def presented_by(transport: asyncio.Transport) -> bytes | None:
    """The client certificate (DER) of a connection, asked for if need be; None if there is none.

    Over TLS 1.3 http.sys asks after the handshake, when the request has come. A client that has not offered to answer
    that (older urllib3) is cut off, as it is by Windows Server 2022. The 100 that goes with the question pushes it
    out; HTTP clients skip it.
    """
    tls = transport.get_extra_info("ssl_object")
    known: bytes | None = tls.getpeercert(True)
    if known is not None or tls.version() != "TLSv1.3":
        return known
    try:
        tls.verify_client_post_handshake()
    except ssl.SSLError:
        transport.abort()
        return None
    transport.write(_CONTINUE)
    ends = asyncio.get_running_loop().time() + _WAIT_SECONDS
    while not transport.is_closing() and asyncio.get_running_loop().time() < ends:
        known = tls.getpeercert(True)
        if known is not None:
            return known
        await asyncio.sleep(0.005)
    return None
