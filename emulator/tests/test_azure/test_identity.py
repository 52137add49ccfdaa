# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sign-in service as azure-identity and forgers see it: certificates, federated tokens, users, versions."""

from __future__ import annotations

import base64
import time
import uuid
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from azure.identity import CertificateCredential, ClientAssertionCredential
from azure_support import Running, Start
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from hotpatch_emulator import assertions, identity_files

AZ = "04b07795-8ddb-461a-bbee-02f9e1bf7b46"


def who(azure: Running, name: str = "rollout") -> dict[str, Any]:
    return dict(azure.endpoints["principals"][name])


def login(azure: Running, **options: Any) -> dict[str, Any]:
    return {
        "authority": azure.arm,
        "disable_instance_discovery": True,
        "connection_verify": azure.endpoints["ca"],
        **options,
    }


def ask(azure: Running, **form: str) -> requests.Response:
    form = {"grant_type": "client_credentials", "scope": f"{azure.arm}/.default", **form}
    return azure.http.post(f"{azure.arm}/{azure.endpoints['tenant_id']}/oauth2/v2.0/token", data=form)


def present(azure: Running, assertion: str, name: str = "rollout") -> requests.Response:
    return ask(
        azure,
        client_id=who(azure, name)["client_id"],
        client_assertion_type=assertions.JWT_BEARER,
        client_assertion=assertion,
    )


def code_of(answer: requests.Response) -> int:
    assert answer.status_code in (400, 401), answer.text
    assert f"AADSTS{answer.json()['error_codes'][0]}" in answer.json()["error_description"]
    return int(answer.json()["error_codes"][0])


def may_read(azure: Running, token: str) -> bool:
    url = f"{azure.arm}{azure.vm('ready25')}?api-version=2024-07-01"
    return azure.http.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200


# -- certificates ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["certificate", "certificate_pfx"])
def test_azure_identity_logs_in_by_certificate(azure: Running, form: str) -> None:
    rollout = who(azure)
    credential = CertificateCredential(
        azure.endpoints["tenant_id"], rollout["client_id"], rollout[form], **login(azure)
    )
    assert may_read(azure, credential.get_token(f"{azure.arm}/.default").token)
    (line,) = [line for line in azure.audit("request") if line["path"].endswith("/token")]
    assert (line["principal"], line["status"]) == ("rollout", 200)


def assertion(azure: Running, header: dict[str, Any] | None = None, **changed: Any) -> str:
    """An assertion by the certificate's own key, right but for what is *changed*."""
    rollout = who(azure)
    pem = Path(rollout["certificate"]).read_bytes()
    now = int(time.time())
    claims = {
        "aud": f"{azure.arm}/{azure.endpoints['tenant_id']}/oauth2/v2.0/token",
        "iss": rollout["client_id"],
        "sub": rollout["client_id"],
        "jti": str(uuid.uuid4()),
        "nbf": now,
        "exp": now + 600,
        **changed,
    }
    key = load_pem_private_key(pem, None)
    named = {"kid": rollout["thumbprint"]} if header is None else header
    return jwt.encode(claims, key, algorithm="RS256", headers=named)  # type: ignore[arg-type]


def thumb(azure: Running) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(who(azure)["thumbprint"])).decode().rstrip("=")


def test_what_names_the_certificate(azure: Running) -> None:
    for header in ({"kid": who(azure)["thumbprint"]}, {"x5t": thumb(azure)}, {"kid": thumb(azure)}):
        assert present(azure, assertion(azure, header)).status_code == 200


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"aud": "https://login.microsoftonline.com/t/oauth2/v2.0/token"}, 700023),
        ({"sub": "somebody else"}, 700021),
        ({"exp": 1}, 700024),
        ({"exp": None}, 700024),
        ({"nbf": 4102444800}, 700024),
    ],
)
def test_assertions_that_are_refused(azure: Running, changed: dict[str, Any], code: int) -> None:
    assert code_of(present(azure, assertion(azure, **changed))) == code


def test_forged_assertions(azure: Running) -> None:
    good = assertion(azure)
    head, _dot, _signature = good.rpartition(".")
    other = assertions.ApplicationCertificate("forger")
    claims = jwt.decode(good, options={"verify_signature": False})
    key = load_pem_private_key(other.pem().encode(), None)
    header = {"kid": who(azure)["thumbprint"]}
    forged = jwt.encode(claims, key, algorithm="RS256", headers=header)  # type: ignore[arg-type]
    own = jwt.encode(claims, key, algorithm="RS256", headers={"kid": other.thumbprint})  # type: ignore[arg-type]
    symmetric = jwt.encode(claims, "x" * 32, algorithm="HS256", headers=header)
    unsigned = jwt.encode(claims, None, algorithm="none", headers=header)  # type: ignore[arg-type]
    for text in (f"{head}.{'A' * 342}", f"{head}.", forged, own, symmetric, unsigned, assertion(azure, {})):
        assert code_of(present(azure, text)) == 700027
    assert code_of(present(azure, "no token")) == 50027
    assert present(azure, good).status_code == 200


def test_proofs_that_were_not_registered(start: Start) -> None:
    azure = start(
        principals=[
            {"name": "by-secret", "roles": [{"role": "Reader"}]},
            {"name": "by-certificate", "proofs": ["certificate"]},
            {"name": "outworn", "proofs": ["certificate"], "certificate_valid_days": -1},
        ]
    )
    secretive, certified, outworn = (who(azure, name) for name in ("by-secret", "by-certificate", "outworn"))
    assert "client_secret" not in certified
    assert code_of(ask(azure, client_id=certified["client_id"], client_secret="x")) == 7000215
    assert code_of(ask(azure, client_id=secretive["client_id"])) == 7000218
    audience = f"{azure.arm}/{azure.endpoints['tenant_id']}/oauth2/v2.0/token"

    def sign(signer: dict[str, Any], owner: dict[str, Any]) -> str:
        key = load_pem_private_key(Path(signer["certificate"]).read_bytes(), None)
        claims = {"aud": audience, "iss": owner["client_id"], "sub": owner["client_id"], "exp": time.time() + 60}
        header = {"kid": signer["thumbprint"]}
        return jwt.encode(claims, key, algorithm="RS256", headers=header)  # type: ignore[arg-type]

    assert code_of(present(azure, sign(certified, secretive), "by-secret")) == 700027
    assert code_of(present(azure, sign(outworn, outworn), "outworn")) == 700027
    assert code_of(present(azure, sign(outworn, certified), "by-certificate")) == 700027
    assert present(azure, sign(certified, certified), "by-certificate").status_code == 200
    foreign = jwt.encode({"iss": "https://ci.example"}, "x" * 32, algorithm="HS256")
    assert code_of(present(azure, foreign, "by-certificate")) == 70025


# -- federated tokens -----------------------------------------------------------------------------------------------


def test_azure_identity_logs_in_by_federated_token(azure: Running) -> None:
    rollout = who(azure)
    token = Path(rollout["federated_token_file"]).read_text().strip()
    credential = ClientAssertionCredential(
        azure.endpoints["tenant_id"], rollout["client_id"], lambda: token, **login(azure)
    )
    assert may_read(azure, credential.get_token(f"{azure.arm}/.default").token)


def test_anybody_can_check_the_issuers_tokens(azure: Running) -> None:
    """With nothing but what the issuer publishes, as Entra does."""
    trust = who(azure)["federated"]
    document = azure.http.get(f"{trust['issuer']}/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(azure.http.get(document["jwks_uri"]).json())
    token = identity_files.mint(azure.run_dir, "rollout", 60)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key.key, algorithms=["RS256"], audience=trust["audience"], issuer=document["issuer"])
    assert claims["sub"] == trust["subject"] == "system:serviceaccount:automation:rollout"
    assert trust["audience"] == "api://AzureADTokenExchange"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--lifetime", "-5"], 700024),
        (["--issuer", "https://ci.example"], 700211),
        (["--audience", "https://management.azure.com"], 700212),
        (["--subject", "system:serviceaccount:automation:other"], 700213),
        (["--subject", "SYSTEM:serviceaccount:automation:rollout"], 700213),
    ],
)
def test_the_minting_tool(azure: Running, tmp_path: Path, options: list[str], code: int) -> None:
    output = tmp_path / "token"
    common = ["--run-dir", str(azure.run_dir), "--principal", "rollout", "--output", str(output)]
    assert identity_files.main(common) == 0
    assert present(azure, output.read_text().strip()).status_code == 200
    assert output.stat().st_mode & 0o077 == 0
    assert identity_files.main([*common, *options]) == 0
    assert code_of(present(azure, output.read_text().strip())) == code


def test_nobodys_token(azure: Running, capsys: pytest.CaptureFixture[str]) -> None:
    assert identity_files.main(["--run-dir", str(azure.run_dir), "--principal", "reader"]) == 2
    assert "rollout does" in capsys.readouterr().err


def test_forged_federated_tokens(azure: Running) -> None:
    trust = who(azure)["federated"]
    stranger = assertions.OidcIssuer(assertions.new_key())
    forged = stranger.mint(trust["issuer"], trust["subject"], trust["audience"], 60)
    assert code_of(present(azure, forged)) == 50013
    good = identity_files.mint(azure.run_dir, "rollout", 60)
    assert code_of(present(azure, f"{good.rpartition('.')[0]}.{'A' * 342}")) == 50013


# -- users ----------------------------------------------------------------------------------------------------------


def sign_in(azure: Running, **form: str) -> requests.Response:
    operator = who(azure, "operator")
    scope = f"{azure.arm}/.default openid profile offline_access"
    given = {"grant_type": "password", "client_id": AZ, "scope": scope, "username": operator["user"]}
    return ask(azure, **{**given, "password": operator["password"], **form})


def test_a_user_signs_in_and_refreshes_once(azure: Running) -> None:
    answer = sign_in(azure).json()
    assert may_read(azure, answer["access_token"])
    claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["preferred_username"]) == (AZ, who(azure, "operator")["user"])
    refresh = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    assert may_read(azure, sign_in(azure, **refresh).json()["access_token"])
    assert code_of(sign_in(azure, **refresh)) == 9002313
    assert {
        line["principal"] for line in azure.audit("request", status=200) if line["path"] == azure.vm("ready25")
    } == {"operator"}


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"password": "wrong"}, 50126),
        ({"username": "nobody@hotpatch.example"}, 50034),
        ({"client_id": "11111111-1111-4111-8111-111111111111"}, 7000218),
        ({"grant_type": "refresh_token", "refresh_token": "made up"}, 9002313),
        ({"scope": "https://elsewhere.example/.default openid"}, 500011),
        ({"grant_type": "authorization_code"}, 70003),
    ],
)
def test_users_that_are_refused(azure: Running, form: dict[str, str], code: int) -> None:
    assert code_of(sign_in(azure, **form)) == code


def test_what_kind_of_user(azure: Running) -> None:
    base = f"{azure.arm}/common/userrealm"
    name = who(azure, "operator")["user"]
    assert azure.http.get(f"{base}/{name}?api-version=1.0").json()["account_type"] == "Managed"
    assert azure.http.get(f"{base}/x@y?api-version=1.0").json()["account_type"] == "Unknown"
    assert azure.http.get(f"{base}/{name}?api-version=9").status_code == 400


# -- audiences, versions, secrets -----------------------------------------------------------------------------------


def test_a_resource_that_the_tenant_does_not_know(azure: Running) -> None:
    rollout = who(azure)
    form = {"client_id": rollout["client_id"], "client_secret": rollout["client_secret"]}
    assert code_of(ask(azure, **form, scope="https://elsewhere.example/.default")) == 500011
    assert code_of(ask(azure, **form, scope="")) == 500011


def test_unknown_api_versions_are_refused(azure: Running) -> None:
    metadata = azure.http.get(f"{azure.arm}/metadata/endpoints?api-version=2031-01-01")
    assert (metadata.status_code, metadata.json()["error"]["code"]) == (400, "InvalidApiVersionParameter")
    control, resource = azure.endpoints["control"], "resource=https://management.azure.com"
    imds = f"{control}/metadata/identity/oauth2/token?{resource}"
    app_service = f"{azure.endpoints['identity_endpoint']}?{resource}"
    headers = {"Metadata": "true", "X-IDENTITY-HEADER": azure.endpoints["identity_header"]}
    for url, good in ((imds, "2018-02-01"), (app_service, "2019-08-01")):
        assert azure.http.get(f"{url}&api-version={good}", headers=headers).status_code == 200
        assert azure.http.get(f"{url}&api-version=2031-01-01", headers=headers).status_code == 400
        assert azure.http.get(url, headers=headers).status_code == 400


def test_short_tokens_by_switch(start: Start) -> None:
    azure = start(switches={"token_lifetime_seconds": 5})
    rollout = who(azure)
    answer = ask(azure, client_id=rollout["client_id"], client_secret=rollout["client_secret"]).json()
    assert answer["expires_in"] == 5
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 5


def test_files_with_proofs_are_private_and_new_at_every_start(start: Start) -> None:
    first, second = start(), start()
    for azure in (first, second):
        private = [path for path in azure.run_dir.iterdir() if path.name.startswith(("principal-", "oidc-"))]
        assert len(private) == 4
        assert all(path.stat().st_mode & 0o077 == 0 for path in private)
    assert who(first)["thumbprint"] != who(second)["thumbprint"]
    assert who(first, "operator")["password"] != who(second, "operator")["password"]
    assert who(first)["client_id"] == who(second)["client_id"]
    token = assertion(first)
    assert present(first, token).status_code == 200
    assert sign_in(first).status_code == 200
    log = (first.run_dir / "audit.jsonl").read_text()
    assert "/oauth2/v2.0/token" in log
    assert not [secret for secret in (token, who(first, "operator")["password"]) if secret in log]
    stale = Path(who(first)["federated_token_file"]).read_text().strip()
    assert code_of(present(second, stale)) in (700211, 50013)
