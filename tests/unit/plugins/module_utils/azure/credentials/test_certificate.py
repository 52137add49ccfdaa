# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate: what is sent, what its file may be, and what a file that is unfit is told."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.certificate import Certificate
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.options import read_auth_options
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    CLIENT,
    MACHINE,
    TENANT,
    OpenSession,
    Reply,
    ScriptedAzure,
)

PASSWORD = "opens-the-key"


class Holder:
    """A certificate with its key, in every form a file may have."""

    def __init__(self, key: Any) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rollout")])
        now = datetime.now(timezone.utc)
        self.key = key
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        self.thumbprint = self.certificate.fingerprint(hashes.SHA1()).hex()

    def private(self, password: str = "") -> bytes:
        how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))

    def public(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def pfx(self, password: str = "") -> bytes:
        how = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return pkcs12.serialize_key_and_certificates(b"rollout", self.key, self.certificate, None, how)


@pytest.fixture(scope="module")
def holder() -> Holder:
    return Holder(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def part(text: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def forms(holder: Holder) -> Mapping[str, tuple[bytes, str]]:
    return {
        "key first": (holder.private() + holder.public(), ""),
        "certificate first": (holder.public() + holder.private(), ""),
        "encrypted": (holder.public() + holder.private(PASSWORD), PASSWORD),
        "pfx": (holder.pfx(), ""),
        "encrypted pfx": (holder.pfx(PASSWORD), PASSWORD),
    }


@pytest.mark.parametrize("form", ["key first", "certificate first", "encrypted", "pfx", "encrypted pfx"])
@pytest.mark.parametrize("by_task", [True, False])
async def test_the_signed_assertion(
    azure: ScriptedAzure,
    environ: dict[str, str],
    open_scripted: OpenSession,
    holder: Holder,
    tmp_path: Path,
    form: str,
    by_task: bool,
) -> None:
    path = tmp_path / "rollout"
    data, password = forms(holder)[form]
    path.write_bytes(data)
    del environ["AZURE_SECRET"]
    if password:
        environ["AZURE_CLIENT_CERTIFICATE_PASSWORD"] = password
    given = {"x509_certificate_path": str(path), "thumbprint": holder.thumbprint.upper()} if by_task else {}
    if not by_task:
        environ["AZURE_CLIENT_CERTIFICATE_PATH"] = str(path)
    azure.script(Reply(200, {"id": "x"}))
    async with open_scripted(**given) as session:
        assert session.principal == f"{TENANT}/{CLIENT}"
        await VirtualMachines(session).get(MACHINE)
    (sent,) = azure.tokens
    assert sent["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assert "client_secret" not in sent
    header, claims, signature = sent["client_assertion"].split(".")
    assert part(claims)["iss"] == part(claims)["sub"] == CLIENT
    assert part(claims)["aud"] == f"{azure.url}/{TENANT}/oauth2/v2.0/token"
    scheme: Any = padding.PKCS1v15()
    if part(header)["alg"] == "PS256":
        scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
    holder.certificate.public_key().verify(  # type: ignore[union-attr, call-arg]
        base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)),
        f"{header}.{claims}".encode(),
        scheme,
        hashes.SHA256(),
    )


def options(path: Path, thumbprint: str = "", password: str = "") -> Any:
    params = {"client_id": CLIENT, "tenant": TENANT, "x509_certificate_path": str(path), "thumbprint": thumbprint}
    return read_auth_options(params, {"AZURE_CLIENT_CERTIFICATE_PASSWORD": password})


@pytest.mark.parametrize("write", [str.upper, str.lower, lambda text: bytes.fromhex(text).hex(":")])
def test_a_thumbprint_in_any_spelling(holder: Holder, tmp_path: Path, write: Any) -> None:
    path = tmp_path / "rollout.pem"
    path.write_bytes(holder.private() + holder.public())
    Certificate().validate(options(path, write(holder.thumbprint)))


def test_the_thumbprint_of_another_certificate_is_refused(holder: Holder, tmp_path: Path) -> None:
    path = tmp_path / "rollout.pem"
    path.write_bytes(holder.private() + holder.public())
    with pytest.raises(InputError, match=f"Option thumbprint .*which is {holder.thumbprint.upper()}"):
        Certificate().validate(options(path, "00" * 20))


@pytest.mark.parametrize(
    ("make", "password", "words"),
    [
        (lambda holder: holder.public(), "", "no private key"),
        (lambda holder: holder.private(), "", "no certificate"),
        (lambda holder: holder.public() + holder.private(PASSWORD), "", "put the password in AZURE_CLIENT_CERTIFICATE"),
        (lambda holder: holder.public() + holder.private(PASSWORD), "wrong", "does not open it"),
        (lambda holder: holder.pfx(PASSWORD), "", "put the password in AZURE_CLIENT_CERTIFICATE"),
        (lambda holder: holder.pfx(PASSWORD), "wrong", "does not open it"),
        (lambda holder: b"-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----\n", "", "as either"),
        (lambda holder: b"hush-hush", "", "cannot be opened"),
        (lambda holder: b"", "", "cannot be opened"),
    ],
)
def test_a_file_that_is_unfit(holder: Holder, tmp_path: Path, make: Any, password: str, words: str) -> None:
    path = tmp_path / "rollout.pem"
    path.write_bytes(make(holder))
    with pytest.raises(InputError, match=f"Option x509_certificate_path .*{words}") as caught:
        Certificate().validate(options(path, password=password))
    assert "hush-hush" not in str(caught.value)
    assert PASSWORD not in str(caught.value)


def test_only_rsa_keys_sign(tmp_path: Path) -> None:
    curved = Holder(ec.generate_private_key(ec.SECP256R1()))
    path = tmp_path / "rollout.pem"
    path.write_bytes(curved.private() + curved.public())
    with pytest.raises(InputError, match="no RSA key"):
        Certificate().validate(options(path))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        Certificate().validate(options(tmp_path / "nothing.pem"))
