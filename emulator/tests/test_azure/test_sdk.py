# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The official Azure SDK judges the emulator: it assesses, installs, updates and restarts without noticing."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from azure.mgmt.compute import models

if TYPE_CHECKING:
    from azure_support import Running, Start

GROUP = "rg-rehearsal"
AS_TIMEDELTA = "timedelta" in str(getattr(models.VirtualMachineInstallPatchesParameters, "__doc__", ""))


def _install(kb: str, reboot: str = "Never") -> Any:
    return models.VirtualMachineInstallPatchesParameters(
        maximum_duration=timedelta(hours=2) if AS_TIMEDELTA else "PT2H",  # type: ignore[arg-type]
        reboot_setting=reboot,
        windows_parameters=models.WindowsParameters(kb_numbers_to_include=[kb], exclude_kbs_requiring_reboot=True),
    )


def test_assess_then_install_moves_the_guest(azure: Running) -> None:
    client = azure.sdk()
    assessed = client.virtual_machines.begin_assess_patches(GROUP, "ready25").result(60)
    assert assessed.status == "Succeeded"
    release = next(p for p in assessed.available_patches if p.kb_id == "5087423")
    assert release.reboot_behavior == "NeverReboots"
    assert release.classifications == ["Security"]
    assert assessed.critical_and_security_patch_count == 1
    assert assessed.other_patch_count == 2

    guest = azure.machine("ready25").guest
    booted = guest.booted_at
    installed = client.virtual_machines.begin_install_patches(GROUP, "ready25", _install("KB5087423")).result(60)
    assert installed.status == "Succeeded"
    assert installed.installed_patch_count == 1
    assert installed.excluded_patch_count == 2
    assert installed.reboot_status == "NotNeeded"
    assert installed.error.code == "Success"
    assert (guest.ubr, guest.booted_at) == (32772, booted)
    assert "KB5087423" in guest.kbs
    assert azure.audit("restart") == []

    view = client.virtual_machines.instance_view(GROUP, "ready25")
    summary = view.patch_status.last_patch_installation_summary
    assert summary.installation_activity_id == installed.installation_activity_id
    assert summary.installed_patch_count == 1
    assert view.patch_status.available_patch_summary.assessment_activity_id == assessed.assessment_activity_id


def test_second_assessment_offers_nothing_to_a_current_machine(azure: Running) -> None:
    client = azure.sdk()
    client.virtual_machines.begin_install_patches(GROUP, "ready22", _install("KB5087424")).result(60)
    azure.advance(60)
    again = client.virtual_machines.begin_assess_patches(GROUP, "ready22").result(60)
    assert again.critical_and_security_patch_count == 0
    assert azure.machine("ready22").guest.ubr == 5074


def test_restart(azure: Running) -> None:
    guest = azure.machine("ready25").guest
    booted = guest.booted_at
    azure.sdk().virtual_machines.begin_restart(GROUP, "ready25").result(60)
    assert guest.booted_at > booted
    assert [line["cause"] for line in azure.audit("restart")] == ["user"]


def test_update_turns_hotpatching_on_and_the_guest_follows_late(start: Start) -> None:
    azure = start(switches={"enrolment_delay_minutes": [60, 60]})
    client = azure.sdk()
    body = {"osProfile": {"windowsConfiguration": {"patchSettings": {"enableHotpatching": True}}}}
    updated = client.virtual_machines.begin_update(GROUP, "lcu25", {"properties": body}).result(60)
    assert updated.os_profile.windows_configuration.patch_settings.enable_hotpatching is True
    assert updated.provisioning_state == "Succeeded"
    assessed = client.virtual_machines.begin_assess_patches(GROUP, "lcu25").result(60)
    assert assessed.available_patches[0].reboot_behavior == "AlwaysRequiresReboot"
    assert not azure.machine("lcu25").guest.enrolled
    azure.advance(3600)
    assert azure.machine("lcu25").guest.enrolled
    assessed = client.virtual_machines.begin_assess_patches(GROUP, "lcu25").result(60)
    assert assessed.available_patches[0].kb_id == "5087423"


def test_lists_come_in_pages(start: Start) -> None:
    azure = start(machines=[{"name": "n", "count": 25}], switches={"page_size": 10})
    client = azure.sdk()
    assert len(list(client.virtual_machines.list_all())) == 25
    names = [m.name for m in client.virtual_machines.list(GROUP)]
    assert names[0] == "n0001" and len(set(names)) == 25
    with_status = list(client.virtual_machines.list_all(status_only="true"))
    assert with_status[24].instance_view.statuses[1].code == "PowerState/running"


def test_errors_arrive_as_the_sdk_expects_them(azure: Running) -> None:
    client = azure.sdk()
    with pytest.raises(ResourceNotFoundError) as missing:
        client.virtual_machines.get(GROUP, "nobody")
    assert missing.value.error is not None and missing.value.error.code == "ResourceNotFound"
    with pytest.raises(HttpResponseError) as refused:
        client.virtual_machines.begin_install_patches(GROUP, "ready25", _install("5087423"))
    assert refused.value.error is not None and refused.value.error.code == "InvalidParameter"
    assert refused.value.error.target == "windowsParameters.kbNumbersToInclude"


@pytest.mark.parametrize(
    ("tenant", "client_id", "secret", "code"),
    [
        ("same", "same", "not-the-secret", "AADSTS7000215"),
        ("11111111-1111-1111-1111-111111111111", "same", "same", "AADSTS90002"),
        ("same", "22222222-2222-2222-2222-222222222222", "same", "AADSTS700016"),
    ],
)
def test_sign_in_is_refused_with_its_own_code(
    azure: Running, tenant: str, client_id: str, secret: str, code: str
) -> None:
    ends = azure.endpoints
    credential = ClientSecretCredential(
        ends["tenant_id"] if tenant == "same" else tenant,
        ends["client_id"] if client_id == "same" else client_id,
        ends["client_secret"] if secret == "same" else secret,
        authority=azure.arm,
        disable_instance_discovery=True,
        connection_verify=ends["ca"],
    )
    # msal turns a refused tenant discovery into a ValueError of its own, with the answer inside.
    with pytest.raises((ClientAuthenticationError, ValueError)) as refused:
        credential.get_token("https://management.azure.com/.default")
    assert code in str(refused.value) or "Unable to get authority configuration" in str(refused.value)
    assert azure.audit("request")[-1]["status"] in (400, 401)


def test_managed_identity_both_ways(azure: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", azure.endpoints["control"])
    token = ManagedIdentityCredential().get_token(f"{azure.arm}/.default").token
    answer = azure.http.get(
        f"{azure.arm}/subscriptions?api-version=2022-12-01", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.json()["value"][0]["subscriptionId"] == azure.subscription
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.endpoints["identity_endpoint"])
    monkeypatch.setenv("IDENTITY_HEADER", azure.endpoints["identity_header"])
    assert ManagedIdentityCredential().get_token("https://management.azure.com/.default").token
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(ClientAuthenticationError):
        ManagedIdentityCredential().get_token("https://management.azure.com/.default")
