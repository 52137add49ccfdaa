# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The wire as recorded: asynchronous operations, signed poll URLs, headers, refusals, tokens, roles."""

from __future__ import annotations

import base64
import json
import re
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    from azure_support import Running, Start

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,7})?\+00:00")


def test_install_is_accepted_as_recorded(azure: Running) -> None:
    accepted = azure.install("ready25")
    assert (accepted.status_code, accepted.content) == (202, b"")
    poll, location = accepted.headers["Azure-AsyncOperation"], accepted.headers["Location"]
    assert accepted.headers["Azure-AsyncNotification"] == "Enabled"
    assert "Retry-After" not in accepted.headers
    assert len(poll) > 3000
    names = list(parse_qs(urlsplit(poll).query))
    assert names == ["p", "api-version", "t", "c", "s", "h"]
    assert list(parse_qs(urlsplit(location).query)) == ["p", "monitor", "api-version", "t", "c", "s", "h"]
    operation = urlsplit(poll).path.rsplit("/", 1)[1]
    assert accepted.headers["x-ms-request-id"] == operation
    running = azure.get(poll)
    assert running.json().keys() == {"startTime", "status", "name"}
    assert running.json()["name"] == operation
    assert "Retry-After" not in running.headers
    assert running.headers["x-ms-ratelimit-remaining-resource"].startswith("Microsoft.Compute/GetOperationResource;")
    monitor = azure.get(location)
    assert (monitor.status_code, monitor.content) == (202, b"")
    azure.advance(600)
    ended = azure.get(poll).json()
    assert list(ended) == ["startTime", "endTime", "status", "properties", "name"]
    assert STAMP.fullmatch(ended["startTime"]) and STAMP.fullmatch(ended["endTime"])
    output = ended["properties"]["output"]
    assert output["installationActivityId"] == operation
    assert azure.get(location).json() == output
    assert output["error"] == {"details": [], "code": "Success", "message": "0 error/s reported"}
    assert all(patch["kbId"].isdigit() for patch in output["patches"])


def test_assess_result_as_recorded(azure: Running) -> None:
    accepted = azure.call("POST", azure.vm("ready22", "/assessPatches"))
    assert "Retry-After" not in accepted.headers
    output = azure.result(accepted)
    assert list(output) == [
        "status", "assessmentActivityId", "rebootPending", "criticalAndSecurityPatchCount", "otherPatchCount",
        "startDateTime", "availablePatches",
    ]  # fmt: skip
    assert list(output["availablePatches"][0]) == [
        "patchId", "name", "kbId", "classifications", "rebootBehavior", "publishedDate", "activityId",
        "lastModifiedDateTime", "assessmentState",
    ]  # fmt: skip
    assert [patch["classifications"] for patch in output["availablePatches"]] == [
        ["Security"], ["UpdateRollUp"], ["Definition"],
    ]  # fmt: skip


@pytest.mark.parametrize(("switch", "status"), [("not_found", 404), ("forbidden", 403), ("accepted", 200)])
def test_rebuilt_poll_urls_are_refused(start: Start, switch: str, status: int) -> None:
    azure = start(switches={"rebuilt_poll_url": switch})
    poll = azure.install("ready25").headers["Azure-AsyncOperation"]
    rebuilt = f"{poll.split('?')[0]}?api-version=2024-07-01"
    assert azure.get(rebuilt).status_code == status
    assert azure.get(poll.replace("2024-07-01", "2025-04-01")).status_code == status
    assert azure.get(poll).status_code == 200


def test_an_operation_is_forgotten_some_time_after_its_end(start: Start) -> None:
    azure = start(switches={"operation_kept_minutes": 60})
    poll = azure.install("ready25").headers["Azure-AsyncOperation"]
    azure.advance(30 * 60)
    assert azure.get(poll).status_code == 200
    azure.advance(60 * 60)
    gone = azure.get(poll)
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "NotFound")


def test_power_calls_carry_retry_after(azure: Running) -> None:
    accepted = azure.call("POST", azure.vm("ready25", "/restart"))
    assert accepted.headers["Retry-After"] == "10"
    assert azure.outcome(accepted).keys() == {"startTime", "endTime", "status", "name"}
    assert azure.get(accepted.headers["Location"]).content == b""


def test_stop_and_start(azure: Running) -> None:
    azure.outcome(azure.call("POST", azure.vm("ready25", "/deallocate")))
    view = azure.call("GET", azure.vm("ready25", "/instanceView")).json()
    assert view.keys() == {"disks", "hyperVGeneration", "statuses"}  # recorded: nothing of the guest
    assert view["statuses"][1]["code"] == "PowerState/deallocated"
    assert not azure.machine("ready25").guest.answers(azure.emulator.world.clock.now())
    booted = azure.machine("ready25").guest.booted_at
    azure.outcome(azure.call("POST", azure.vm("ready25", "/start")))
    assert azure.machine("ready25").guest.answers(azure.emulator.world.clock.now())
    assert azure.machine("ready25").guest.booted_at > booted
    assert azure.call("POST", azure.vm("off25", "/restart")).status_code == 409
    assert azure.audit("restart") == []


def test_patch_answers_with_the_model(azure: Running) -> None:
    answer = azure.call("PATCH", azure.vm("ready25"), {"tags": {"ring": "canary"}})
    assert (answer.status_code, answer.json()["properties"]["provisioningState"]) == (200, "Updating")
    assert "Location" not in answer.headers and answer.headers["ETag"] == '"3"'
    assert azure.outcome(answer_as_accepted(answer))["status"] == "Succeeded"
    after = azure.call("GET", azure.vm("ready25")).json()
    assert (after["tags"], after["properties"]["provisioningState"]) == ({"ring": "canary"}, "Succeeded")


def answer_as_accepted(answer: Any) -> Any:
    answer.status_code = 202
    return answer


def test_ids_compare_without_case(azure: Running) -> None:
    for spelling in (str.upper, str.lower):
        head, tail = azure.vm("ready25").split("/providers/")
        answer = azure.call("GET", f"{spelling(head)}/providers/{spelling(tail)}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["name"] == "ready25"


REFUSED = [
    ({"rebootSetting": None}, "rebootSetting"),
    ({"rebootSetting": "Perhaps"}, "rebootSetting"),
    ({"windowsParameters": {}}, "windowsParameters"),
    ({"windowsParameters": None}, "windowsParameters"),
    ({"windowsParameters": {"kbNumbersToInclude": ["1111"]}}, "windowsParameters.kbNumbersToInclude"),
    ({"windowsParameters": {"classificationsToInclude": ["15"]}}, "windowsParameters.classificationsToInclude"),
    ({"windowsParameters": {"kbNumbersToInclude": ["KB5087423"], "kbNumbersToExclude": ["5"]}},
     "windowsParameters.kbNumbersToExclude"),
    ({"maximumDuration": "2 hours"}, "maximumDuration"),
    ({"maximumDuration": "P"}, "maximumDuration"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "target"), REFUSED)
def test_install_bodies_that_are_refused(azure: Running, body: dict[str, Any], target: str) -> None:
    answer = azure.install("ready25", **body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "InvalidParameter")
    assert answer.json()["error"]["target"] == target
    assert "VMGuestPatchOperationResource" in answer.headers["x-ms-ratelimit-remaining-resource"]
    assert azure.audit("operation") == []


def test_the_recorded_refusal_word_for_word(azure: Running) -> None:
    answer = azure.install("ready25", windowsParameters={"kbNumbersToInclude": ["1111"]})
    assert answer.json()["error"]["message"] == (
        "The entry in 'kbNumbersToInclude' with value '1111' is not valid. It must be a KBID such as KB4512508."
    )


def test_lower_case_classifications_are_accepted(azure: Running) -> None:
    output = azure.result(azure.install("ready25", windowsParameters={"classificationsToInclude": ["security"]}))
    assert output["installedPatchCount"] == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("{group}/virtualMachines/nobody", 404, "ResourceNotFound"),
        ("{sub}/resourceGroups/none/providers/Microsoft.Compute/virtualMachines/x", 404, "ResourceGroupNotFound"),
        ("/subscriptions/11111111-1111-1111-1111-111111111111", 404, "SubscriptionNotFound"),
        ("{group}/virtualMachines?$expand=instanceView", 400, "BadRequest"),
    ],
)
def test_what_is_not_there(azure: Running, path: str, status: int, code: str) -> None:
    sub = f"/subscriptions/{azure.subscription}"
    group = f"{sub}/resourceGroups/rg-rehearsal/providers/Microsoft.Compute"
    answer = azure.call("GET", path.format(sub=sub, group=group))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_api_versions(azure: Running) -> None:
    path = azure.vm("ready25")
    bare = azure.get(azure.arm + path)
    assert (bare.status_code, bare.json()["error"]["code"]) == (400, "MissingApiVersionParameter")
    unknown = azure.call("GET", path, version="2024-07-02")
    assert unknown.json()["error"]["code"] == "NoRegisteredProviderFound"
    early = azure.call("POST", f"{path}/installPatches", {}, version="2019-12-01")
    assert early.json()["error"]["code"] == "NoRegisteredProviderFound"


def _forged(token: str, **claims: Any) -> str:
    head, body, signature = token.split(".")
    values = {**json.loads(base64.urlsafe_b64decode(body + "==")), **claims}
    return f"{head}.{base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip('=')}.{signature}"


def test_tokens_are_checked(azure: Running) -> None:
    url = f"{azure.arm}/subscriptions?api-version=2022-12-01"
    good = azure.token()
    for header, code in (
        (None, "AuthenticationFailed"),
        ("Basic abc", "AuthenticationFailedInvalidHeader"),
        ("Bearer a.b.c", "InvalidAuthenticationToken"),
        (f"Bearer {_forged(good, appid='someone else')}", "InvalidAuthenticationToken"),
    ):
        answer = azure.http.get(url, headers={"Authorization": header} if header else {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer authorization_uri=")


def test_a_token_for_somebody_else_is_refused(azure: Running) -> None:
    ends = azure.endpoints
    answer = azure.http.post(
        f"{azure.arm}/{ends['tenant_id']}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": ends["client_id"],
            "client_secret": ends["client_secret"],
            "scope": "https://graph.microsoft.com/.default",
        },
    )
    header = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    refused = azure.http.get(f"{azure.arm}/subscriptions?api-version=2022-12-01", headers=header)
    assert refused.json()["error"]["code"] == "InvalidAuthenticationTokenAudience"


def test_tokens_expire_in_real_time(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    azure = start()
    header = {"Authorization": f"Bearer {azure.token()}"}
    azure.advance(30 * 86_400)
    url = f"{azure.arm}/subscriptions?api-version=2022-12-01"
    assert azure.http.get(url, headers=header).status_code == 200
    later = time.time() + 4000
    monkeypatch.setattr("hotpatch_emulator.identity.time.time", lambda: later)
    assert azure.http.get(url, headers=header).json()["error"]["code"] == "ExpiredAuthenticationToken"


def test_a_wrong_tenant_is_told_so(azure: Running) -> None:
    for method, path in (("GET", "v2.0/.well-known/openid-configuration"), ("POST", "oauth2/v2.0/token")):
        answer = azure.http.request(method, f"{azure.arm}/no-such-tenant/{path}", data={})
        assert answer.status_code == 400
        assert answer.json()["error_codes"] == [90002]
        assert answer.json()["error_description"].startswith("AADSTS90002: Tenant 'no-such-tenant' not found.")


def test_roles_are_enforced_per_action(azure: Running) -> None:
    assert azure.call("GET", azure.vm("ready25"), principal="reader").status_code == 200
    answer = azure.call("POST", azure.vm("ready25", "/installPatches"), {}, principal="reader")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (403, "AuthorizationFailed")
    assert (
        f"'Microsoft.Compute/virtualMachines/installPatches/action' over scope '{azure.vm('ready25')}'"
        in (error["message"])
    )
    nobody = azure.vm("ready25").replace("ready25", "nobody")
    assert azure.call("GET", nobody, principal="reader").status_code == 404
    assert azure.call("PATCH", nobody, {}, principal="reader").status_code == 403


def test_a_role_reaches_as_far_as_its_scope(start: Start) -> None:
    azure = start(
        machines=[{"name": "mine"}, {"name": "theirs", "resource_group": "rg-other"}],
        principals=[
            {"name": "rollout", "roles": [{"role": "Patch Operator"}]},
            {
                "name": "narrow",
                "roles": [{"actions": ["Microsoft.Compute/virtualMachines/read"], "scope": "/subscriptions/none"}],
            },
        ],
    )
    assert azure.call("GET", azure.vm("mine")).status_code == 200
    assert azure.call("GET", azure.vm("mine"), principal="narrow").status_code == 403
    assert azure.call("PATCH", azure.vm("theirs"), {}).status_code == 403


def test_cloud_metadata_in_both_forms(azure: Running) -> None:
    one = azure.http.get(f"{azure.arm}/metadata/endpoints?api-version=2022-09-01").json()
    many = azure.http.get(f"{azure.arm}/metadata/endpoints?api-version=2020-09-01").json()
    assert many == [one]
    assert one["authentication"]["loginEndpoint"] == azure.arm
    assert one["resourceManager"] == f"{azure.arm}/"


def test_the_audit_log_has_the_call_and_no_secret(azure: Running) -> None:
    azure.install("ready25")
    text = (azure.run_dir / "audit.jsonl").read_text(encoding="utf-8")
    for secret in (azure.endpoints["client_secret"], azure.endpoints["winrm_password"], azure.token()):
        assert secret not in text
    (line,) = azure.audit("request", status=202)
    assert line["action"] == "Microsoft.Compute/virtualMachines/installPatches/action"
    assert line["principal"] == "rollout"
    assert line["resource_id"] == azure.vm("ready25")
    assert line["body"]["rebootSetting"] == "Never"
    (started,) = azure.audit("operation", event="started")
    assert started["activity_id"] == line["activity_id"] == line["request_id"]


def test_a_resource_group_shows_its_tags(azure: Running) -> None:
    group = azure.machine("ready25").id.partition("/providers")[0]
    assert "tags" not in azure.call("GET", group, version="2021-04-01").json()
    control = f"{azure.endpoints['control']}/emulator/resource-groups"
    name = group.rpartition("/")[2].upper()
    assert azure.http.put(f"{control}/{name}/tags", json={"hotpatch-rollout": "pause"}).status_code == 204
    assert azure.call("GET", group, version="2021-04-01").json()["tags"] == {"hotpatch-rollout": "pause"}
    assert azure.http.put(f"{control}/none/tags", json={}).status_code == 404
