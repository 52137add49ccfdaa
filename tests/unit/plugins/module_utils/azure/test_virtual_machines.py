# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway to virtual machines, on the wire, with the real SDK of the environment."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure, PollUrlGone
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.virtual_machines import VirtualMachines
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId
from ansible_collections.winfleet.hotpatch.tests.unit.plugins.module_utils.azure.scripted_azure import (
    GROUP,
    MACHINE,
    SUBSCRIPTION,
    VM_PATH,
    ManualClock,
    OpenSession,
    Reply,
    ScriptedAzure,
)

VM = {"id": VM_PATH, "name": "vm1", "location": "westus", "properties": {"vmId": "v", "futureThing": {"x": 1}}}
BODY = {
    "maximumDuration": "PT2H",
    "rebootSetting": "Never",
    "windowsParameters": {
        "kbNumbersToInclude": ["KB5087423"],
        "excludeKbsRequiringReboot": True,
        "maxPatchPublishDate": "2026-05-13T00:00:00.000Z",
        "patchNameMasksToInclude": ["*"],
    },
}
ACTIVITY = "59bd89d2-63ed-48fd-81cf-6dfde73c3eb1"


def accepted(url: str, **more: str) -> Reply:
    """The recorded 202 of installPatches (2024-08), its signed URLs with every awkward character."""
    base = f"{url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westus/operations/{ACTIVITY}"
    signed = "p=571046f6&api-version=2024-07-01&t=638602627263845157&c=MII%2Bx%2Fy%3D&s=a-b_c~d%7E&h=T4JU"
    headers = {
        "Azure-AsyncNotification": "Enabled",
        "Azure-AsyncOperation": f"{base}?{signed}",
        "Location": f"{base}?monitor=true&{signed}",
        "x-ms-request-id": ACTIVITY,
        **more,
    }
    return Reply(202, None, headers)


async def test_get_asks_for_the_instance_view_and_returns_the_body_unchanged(
    azure: ScriptedAzure, open_scripted: OpenSession
) -> None:
    azure.script(Reply(200, VM))
    async with open_scripted() as session:
        body = await VirtualMachines(session).get(MACHINE)
    assert body == VM
    (seen,) = azure.seen
    path, dummy, query = seen.target.partition("?")
    assert (seen.method, path) == ("GET", VM_PATH)
    assert sorted(query.replace("%24", "$").split("&")) == ["$expand=instanceView", "api-version=2024-07-01"]
    assert seen.headers["Authorization"] == "Bearer token-1"
    assert azure.tokens[0]["scope"] == "https://management.scripted//.default"


async def test_api_version_can_be_chosen_for_one_operation(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(Reply(200, VM), accepted(azure.url))
    async with open_scripted() as session:
        machines = VirtualMachines(session, {"get": "2025-04-01"})
        await machines.get(MACHINE, instance_view=False)
        await machines.start_assessment(MACHINE)
    assert [seen.target.rpartition("?")[2] for seen in azure.seen] == [
        "api-version=2025-04-01",
        "api-version=2024-07-01",
    ]


async def test_installation_sends_the_body_as_it_is_and_reads_the_acceptance(
    azure: ScriptedAzure, open_scripted: OpenSession
) -> None:
    azure.script(accepted(azure.url))
    async with open_scripted() as session:
        started = await VirtualMachines(session).start_installation(MACHINE, BODY)
    (seen,) = azure.seen
    assert (seen.method, seen.target) == ("POST", f"{VM_PATH}/installPatches?api-version=2024-07-01")
    assert seen.body == BODY
    assert seen.headers["Content-Type"] == "application/json"
    assert started.activity_id == started.request_id == ACTIVITY
    assert "monitor=true" not in started.poll_url
    assert "monitor=true" in started.location
    assert (started.status, started.retry_after, started.body) == (202, None, None)


async def test_assessment_has_no_body(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(accepted(azure.url))
    async with open_scripted() as session:
        started = await VirtualMachines(session).start_assessment(MACHINE)
    (seen,) = azure.seen
    assert (seen.method, seen.target) == ("POST", f"{VM_PATH}/assessPatches?api-version=2024-07-01")
    assert seen.body is None
    assert started.activity_id == ACTIVITY


async def test_update_patches_only_what_it_is_given(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    body = {"properties": {"osProfile": {"windowsConfiguration": {"patchSettings": {"enableHotpatching": True}}}}}
    reply = accepted(azure.url)
    azure.script(Reply(200, VM, {"Azure-AsyncOperation": dict(reply.headers)["Azure-AsyncOperation"]}))
    async with open_scripted() as session:
        started = await VirtualMachines(session).update(MACHINE, body)
    (seen,) = azure.seen
    assert (seen.method, seen.target, seen.body) == ("PATCH", f"{VM_PATH}?api-version=2024-07-01", body)
    assert (started.status, started.body, started.location) == (200, VM, "")
    assert started.poll_url.endswith("&h=T4JU")
    assert "If-Match" not in seen.headers


async def test_update_goes_only_to_the_model_that_was_read(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    """The header is the same with every version of the SDK; 412 is certain and not repeated."""
    azure.script(Reply(412, {"error": {"code": "PreconditionFailed", "message": "Another version."}}))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure) as caught:
            await VirtualMachines(session).update(MACHINE, BODY, None, '"2"')
    (seen,) = azure.seen
    assert seen.headers["If-Match"] == '"2"'
    assert (caught.value.status, caught.value.uncertain) == (412, False)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("60", 60.0), ("0", 0.0), ("Wed, 13 May 2026 01:00:50 GMT", 50.0), ("soon", None)],
)
async def test_an_accepted_request_stays_accepted_whatever_its_retry_after(
    azure: ScriptedAzure, open_scripted: OpenSession, header: str, expected: float | None
) -> None:
    """SDK 39 raises ValueError for a date here, after Azure has started to install."""
    azure.script(accepted(azure.url, **{"Retry-After": header}))
    async with open_scripted() as session:
        started = await VirtualMachines(session).start_installation(MACHINE, BODY)
    assert started.activity_id == ACTIVITY
    assert started.retry_after == expected
    assert len(azure.seen) == 1


async def test_poll_urls_are_asked_for_byte_by_byte(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(accepted(azure.url), Reply(200, {"startTime": "2026", "status": "InProgress", "name": ACTIVITY}))
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        started = await machines.start_installation(MACHINE, BODY)
        operation = await machines.poll(started.poll_url)
    assert azure.url + azure.seen[1].target == started.poll_url
    assert not operation.finished
    assert operation.next_url == started.poll_url


async def test_a_forgotten_poll_url_is_told_apart(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    azure.script(Reply(404, {"error": {"code": "NotFound", "message": "The entity was not found."}}))
    async with open_scripted() as session:
        with pytest.raises(PollUrlGone) as caught:
            await VirtualMachines(session).poll(f"{azure.url}/subscriptions/s/providers/x")
    assert (caught.value.status, caught.value.code) == (404, "NotFound")


@pytest.mark.parametrize("url", ["https://127.0.0.2:1/x", "http://127.0.0.1/x", "https://evil.example/x", "x"])
async def test_tokens_go_to_no_other_host(azure: ScriptedAzure, open_scripted: OpenSession, url: str) -> None:
    async with open_scripted() as session:
        with pytest.raises(AzureFailure, match="given to nobody else"):
            await VirtualMachines(session).poll(url)
    assert azure.seen == []
    assert azure.tokens == []


async def test_lists_follow_their_pages(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    second = {**VM, "name": "vm2"}
    next_link = f"{azure.url}/subscriptions/{SUBSCRIPTION}/more?api-version=2024-07-01&$skiptoken=a%2Fb"
    azure.script(
        Reply(200, {"value": [VM], "nextLink": next_link}), Reply(200, {"value": [second]}), Reply(200, {"value": []})
    )
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        assert await machines.list(SUBSCRIPTION) == [VM, second]
        assert await machines.list(SUBSCRIPTION, GROUP) == []
    paths = [seen.target.partition("?")[0] for seen in azure.seen]
    assert paths[0] == f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Compute/virtualMachines"
    assert paths[1] == f"/subscriptions/{SUBSCRIPTION}/more"
    assert paths[2] == VM_PATH.removesuffix("/vm1")


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "1"}])
async def test_a_post_is_never_repeated_on_a_server_error(
    azure: ScriptedAzure, open_scripted: OpenSession, status: int, headers: dict[str, str]
) -> None:
    azure.script(Reply(status, {"error": {"code": "ServerTimeout", "message": "The request timed out."}}, headers))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure) as caught:
            await VirtualMachines(session).start_installation(MACHINE, BODY)
    assert len(azure.seen) == 1
    assert caught.value.uncertain


@pytest.mark.parametrize("operation", ["install", "update"])
async def test_a_request_whose_answer_is_lost_is_sent_once(
    azure: ScriptedAzure, open_scripted: OpenSession, operation: str
) -> None:
    """Also on a connection that was used before, where aiohttp repeats reads by itself."""
    azure.script(Reply(200, VM), Reply(drop=True))
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        await machines.get(MACHINE)
        with pytest.raises(AzureFailure) as caught:
            await (machines.start_installation if operation == "install" else machines.update)(MACHINE, BODY)
    assert [seen.method for seen in azure.seen] == ["GET", "POST" if operation == "install" else "PATCH"]
    assert caught.value.kind == "unreachable"
    assert caught.value.uncertain


async def test_a_conflict_with_retry_after_is_not_repeated(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    refusal = {"error": {"code": "OperationNotAllowed", "message": "Not now."}}
    azure.script(Reply(409, refusal, {"Retry-After": "1", "x-ms-request-id": "r-1"}))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure) as caught:
            await VirtualMachines(session).start_installation(MACHINE, BODY)
    failure = caught.value
    assert (failure.kind, failure.status, failure.code, failure.request_id) == (
        "conflict",
        409,
        "OperationNotAllowed",
        "r-1",
    )
    assert not failure.uncertain
    assert VM_PATH in failure.sentence


async def test_a_throttled_post_goes_again_after_the_time_azure_asks_for(
    azure: ScriptedAzure, open_scripted: OpenSession, clock: ManualClock
) -> None:
    azure.script(Reply(429, "Slow down.", {"Retry-After": "37"}), accepted(azure.url))
    async with open_scripted() as session:
        started = await VirtualMachines(session).start_installation(MACHINE, BODY)
    assert started.activity_id == ACTIVITY
    assert clock.monotonic() == 37
    assert len(azure.seen) == 2


async def test_reads_are_repeated(azure: ScriptedAzure, open_scripted: OpenSession, clock: ManualClock) -> None:
    azure.script(Reply(503, None, {"Retry-After": "5"}), Reply(drop=True), Reply(200, VM))
    async with open_scripted() as session:
        assert await VirtualMachines(session).get(MACHINE) == VM
    assert clock.sleeps[0] == 5


async def test_the_check_runs_before_each_sending_and_can_stop_it(
    azure: ScriptedAzure, open_scripted: OpenSession
) -> None:
    """The parent may die while a request waits for its turn: it must not leave then."""
    checks: list[int] = []

    class Orphaned(Exception):
        pass

    def check() -> None:
        checks.append(len(azure.seen))
        if len(checks) == 2:
            raise Orphaned

    azure.script(Reply(429, None, {"Retry-After": "1"}))
    async with open_scripted() as session:
        with pytest.raises(Orphaned):
            await VirtualMachines(session).start_installation(MACHINE, BODY, check)
        assert all(bucket.in_flight == 0 for bucket in session.pacer._buckets.values())
    assert checks == [0, 1]
    assert len(azure.seen) == 1


async def test_one_token_and_one_pool_serve_all_subscriptions(azure: ScriptedAzure, open_scripted: OpenSession) -> None:
    other = ResourceId.parse(VM_PATH.replace(SUBSCRIPTION, SUBSCRIPTION[:-1] + "2"))
    azure.script(*(Reply(200, VM) for dummy in range(6)))
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        for dummy in range(3):
            await machines.get(MACHINE)
            await machines.get(other)
    assert len(azure.tokens) == 1
    assert len({seen.connection for seen in azure.seen}) == 1


ANSWERS: list[tuple[Reply, str, str, str]] = [
    (
        Reply(
            403,
            {
                "error": {
                    "code": "AuthorizationFailed",
                    "message": "The client 'c' with object id 'o' does not have authorization to perform action "
                    "'Microsoft.Compute/virtualMachines/read' over scope 's' or the scope is invalid.",
                }
            },
        ),
        "forbidden",
        "AuthorizationFailed",
        "a role that allows the action Microsoft.Compute/virtualMachines/read",
    ),
    (
        Reply(404, {"error": {"code": "ResourceNotFound", "message": "gone"}}),
        "not_found",
        "ResourceNotFound",
        "check the resource ID",
    ),
    (
        Reply(401, {"error": {"code": "InvalidAuthenticationTokenTenant", "message": "x"}}),
        "credential",
        "Invalid",
        "check tenant",
    ),
    (Reply(400, {"Error": {"Code": "Odd", "Message": "Pascal."}}), "invalid", "Odd", "Pascal"),
    (Reply(400, "no JSON at all"), "invalid", "", "no JSON at all"),
    (Reply(200, "<html><title>Proxy</title></html>"), "other", "", "not what Azure sends"),
]


@pytest.mark.parametrize(("reply", "kind", "code", "words"), ANSWERS)
async def test_error_answers_become_failures(
    azure: ScriptedAzure, open_scripted: OpenSession, reply: Reply, kind: str, code: str, words: str
) -> None:
    azure.script(reply)
    async with open_scripted() as session:
        with pytest.raises(AzureFailure) as caught:
            await VirtualMachines(session).get(MACHINE)
    failure = caught.value
    assert failure.kind == kind
    assert failure.code.startswith(code)
    assert words in failure.sentence
    assert VM_PATH in failure.sentence
    assert failure.to_dict()["kind"] == kind


async def test_no_resource_provider_is_registered_behind_our_back(
    azure: ScriptedAzure, open_scripted: OpenSession
) -> None:
    refusal: dict[str, Any] = {"error": {"code": "MissingSubscriptionRegistration", "message": "not registered"}}
    azure.script(Reply(409, refusal))
    async with open_scripted() as session:
        with pytest.raises(AzureFailure):
            await VirtualMachines(session).get(MACHINE)
    assert [seen.method for seen in azure.seen] == ["GET"]


@pytest.mark.parametrize("reply", [Reply(200, "<html>hello</html>"), Reply(202, None)])
async def test_an_acceptance_that_leads_nowhere_is_uncertain(
    azure: ScriptedAzure, open_scripted: OpenSession, reply: Reply
) -> None:
    azure.script(reply)
    async with open_scripted() as session:
        with pytest.raises(AzureFailure) as caught:
            await VirtualMachines(session).start_installation(MACHINE, BODY)
    assert caught.value.uncertain


async def test_a_refusal_of_compute_holds_only_the_bucket_it_names(
    azure: ScriptedAzure, open_scripted: OpenSession, clock: ManualClock
) -> None:
    """One machine's budget is spent: it waits, another one of the same region does not."""
    spent = {
        "error": {
            "code": "OperationNotAllowed",
            "message": "The server rejected the request because too many requests have been received.",
            "details": [{"code": "TooManyRequests", "target": "VMGuestPatchOperationResource", "message": "{}"}],
        }
    }
    azure.script(Reply(429, spent, {"Retry-After": "100"}), accepted(azure.url), accepted(azure.url))
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        await machines.start_assessment(MACHINE)
        waited = clock.monotonic()
        await machines.start_assessment(ResourceId.parse(f"{VM_PATH}-other"))
    assert waited == 100
    assert clock.monotonic() == 100


async def test_headers_of_an_answer_pace_the_next_request(
    azure: ScriptedAzure, open_scripted: OpenSession, clock: ManualClock
) -> None:
    none_left = [
        ("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/LowCostGetSubscriptionMaximum;23999"),
        ("x-ms-ratelimit-remaining-resource", "Microsoft.Compute/LowCostGetResource;0"),
    ]
    azure.script(Reply(200, VM, none_left), Reply(200, VM))
    async with open_scripted() as session:
        machines = VirtualMachines(session)
        await machines.get(MACHINE)
        await machines.get(MACHINE)
    assert clock.monotonic() == 60


async def test_the_limit_of_another_provider_holds_nobody_else(
    azure: ScriptedAzure, open_scripted: OpenSession, clock: ManualClock
) -> None:
    """The recorded 429 of Arc's operations is plain text and names the time in it."""
    text = "You have reached the limit of 'GetOperationStatus' calls.Please retry after '2026-05-13T01:05:00Z' UTC."
    url = f"{azure.url}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.HybridCompute/locations/e/results/1"
    azure.script(Reply(429, text), Reply(200, {"status": "InProgress", "name": "1"}))
    async with open_scripted() as session:
        assert not (await VirtualMachines(session).poll(url)).finished
        assert all(bucket.level > 200 for bucket in session.pacer._buckets.values())
    assert clock.monotonic() == 300
