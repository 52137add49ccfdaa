# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Client certificates over TLS 1.2 and 1.3: the mapped one is let in, every other one is not. Real clients."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from auth_support import NAME, Raw
from cryptography import x509
from urllib3.util.ssl_ import create_urllib3_context
from winrm.exceptions import InvalidCredentialsError
from wsman_support import Client, Guests

from hotpatch_emulator.wsman import certificates

MUTUAL = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual"
OS_URI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/Win32_OperatingSystem"


def files(folder: Path, ca: trustme.CA, principal: str | None) -> tuple[str, str]:
    """Certificate and key files of a user principal name; None is a certificate that carries no such name."""
    if principal is None:
        leaf = ca.issue_cert("hotpatch-probe@localhost")
        certificate, key = leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()
    else:
        certificate, key = certificates.issue_client(ca, principal)
    (folder / "client.pem").write_bytes(certificate)
    (folder / "client-key.pem").write_bytes(key)
    return str(folder / "client.pem"), str(folder / "client-key.pem")


def pywinrm(doors: Guests, pair: tuple[str, str], name: str = "cert01", **options: Any) -> Client:
    return Client(
        doors.protocol(name, transport="certificate", cert_pem=pair[0], cert_key_pem=pair[1], password=None, **options)
    )


class Pinned(requests.adapters.HTTPAdapter):
    """One version of TLS; urllib3's own context, which answers after the handshake of TLS 1.3."""

    def __init__(self, version: str) -> None:
        self._version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[version]
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        context = create_urllib3_context(ssl_minimum_version=self._version, ssl_maximum_version=self._version)
        super().init_poolmanager(*args, ssl_context=context, **kwargs)


@pytest.mark.parametrize("principal", ["hotpatch-probe@localhost", "HOTPATCH-PROBE@LocalHost"])
@pytest.mark.parametrize("version", ["1.3", "1.2"])
def test_pywinrm(doors: Guests, authority: trustme.CA, tmp_path: Path, principal: str, version: str) -> None:
    client = pywinrm(doors, files(tmp_path, authority, principal))
    client.protocol.transport.build_session().mount("https://", Pinned(version))
    for _ in range(3):
        assert client.rows(NAME) == [{"CSName": "CERT01"}]
    assert [(line["status"], line["authentication"]) for line in doors.log()] == [(200, "certificate")] * 3


def test_pypsrp(doors: Guests, authority: trustme.CA, tmp_path: Path) -> None:
    pypsrp = pytest.importorskip("pypsrp.wsman")
    certificate, key = files(tmp_path, authority, "hotpatch-probe@localhost")
    address = doors.guest("cert01").address
    with pypsrp.WSMan(
        address,
        auth="certificate",
        certificate_pem=certificate,
        certificate_key_pem=key,
        cert_validation=str(doors.ca_file),
        no_proxy=True,
    ) as session:
        assert "CERT01" in "".join(session.get(OS_URI).itertext())


@pytest.mark.parametrize("principal", ["somebody@localhost", "hotpatch-probe@corp.example", None])
def test_a_certificate_that_is_mapped_to_nobody(
    doors: Guests, authority: trustme.CA, tmp_path: Path, principal: str | None
) -> None:
    with pytest.raises(InvalidCredentialsError):
        pywinrm(doors, files(tmp_path, authority, principal)).rows(NAME)
    assert [line["status"] for line in doors.log()] == [401]


def test_a_certificate_of_another_authority(doors: Guests, tmp_path: Path) -> None:
    """OpenSSL ends the connection, where http.sys may also answer 403."""
    with pytest.raises(requests.ConnectionError):
        pywinrm(doors, files(tmp_path, trustme.CA(), "hotpatch-probe@localhost")).rows(NAME)
    assert doors.log() == []


def test_no_certificate(doors: Guests) -> None:
    headers = {"Authorization": MUTUAL, "Content-Type": "application/soap+xml"}
    assert doors.http.post(doors.url("cert01"), data=b"<a/>", headers=headers, timeout=5).status_code == 403
    context = ssl.create_default_context(cafile=str(doors.ca_file))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    raw = Raw(doors.guest("cert01").address, 5986, context)
    assert raw.post(b"<a/>", Authorization=MUTUAL)[0] == 403
    raw.close()


def test_a_client_that_cannot_answer_after_the_handshake_is_cut_off(doors: Guests) -> None:
    """What Windows Server 2022 does to clients over TLS 1.3 that know no post-handshake authentication."""
    context = ssl.create_default_context(cafile=str(doors.ca_file))
    assert context.post_handshake_auth is False
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    raw = Raw(doors.guest("cert01").address, 5986, context)
    with pytest.raises(ConnectionError):
        raw.post(b"<a/>", Authorization=MUTUAL)
    raw.close()


@pytest.mark.parametrize("name", ["tls01", "both01"])
def test_a_service_that_takes_no_certificates(doors: Guests, authority: trustme.CA, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidCredentialsError):
        pywinrm(doors, files(tmp_path, authority, "hotpatch-probe@localhost"), name).rows(NAME)


def test_certificates_are_nothing_for_http(doors: Guests, authority: trustme.CA, tmp_path: Path) -> None:
    pair = files(tmp_path, authority, "hotpatch-probe@localhost")
    with pytest.raises(InvalidCredentialsError):
        pywinrm(doors, pair, endpoint=doors.url("cert01", "http")).rows(NAME)


def test_a_certificate_alone_without_the_word_proves_nothing(
    doors: Guests, authority: trustme.CA, tmp_path: Path
) -> None:
    doors.http.cert = files(tmp_path, authority, "hotpatch-probe@localhost")
    headers = {"Content-Type": "application/soap+xml"}
    answer = doors.http.post(doors.url("cert01"), data=b"<a/>", headers=headers, timeout=5)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Negotiate, Kerberos")


def test_the_same_guest_takes_ntlm_as_well(doors: Guests) -> None:
    for scheme in ("https", "http"):
        client = Client(doors.protocol("cert01", endpoint=doors.url("cert01", scheme), transport="ntlm"))
        assert client.rows(NAME)
    assert {line.get("authentication") for line in doors.log()} == {None, "ntlm"}


def test_what_the_certificate_carries(authority: trustme.CA) -> None:
    pem, _key = certificates.issue_client(authority, "probe@localhost")
    certificate = x509.load_pem_x509_certificate(pem)
    der = certificate.public_bytes(certificates.serialization.Encoding.DER)
    assert certificates.principal_in(der) == "probe@localhost"
    assert certificates.principal_in(b"no certificate") is None
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.cert_pem.bytes()))
    with pytest.raises(ValueError, match="longer than 127 bytes"):
        certificates.issue_client(authority, "x" * 128)
