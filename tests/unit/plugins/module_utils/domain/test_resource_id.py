# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId

from .builders import SUBSCRIPTION, rid

ARC = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/fleet/providers/Microsoft.HybridCompute/machines/srv1"


@pytest.mark.parametrize(
    ("text", "canonical", "kind"),
    [
        (rid(), rid(), "virtual_machine"),
        (ARC, ARC, "arc_machine"),
        (rid() + "/", rid(), "virtual_machine"),
        (f"  {rid()}\n", rid(), "virtual_machine"),
        (
            rid().lower(),
            rid()
            .lower()
            .replace("resourcegroups", "resourceGroups")
            .replace("microsoft.compute/virtualmachines", "Microsoft.Compute/virtualMachines"),
            "virtual_machine",
        ),
        (
            ARC.upper(),
            ARC.upper()
            .replace("SUBSCRIPTIONS", "subscriptions")
            .replace("RESOURCEGROUPS", "resourceGroups")
            .replace("PROVIDERS/MICROSOFT.HYBRIDCOMPUTE/MACHINES", "providers/Microsoft.HybridCompute/machines"),
            "arc_machine",
        ),
        (rid().replace("/fleet/", "/rg_(a).b-1/"), rid().replace("/fleet/", "/rg_(a).b-1/"), "virtual_machine"),
        (rid().replace("/fleet/", "/grün/"), rid().replace("/fleet/", "/grün/"), "virtual_machine"),
    ],
)
def test_reads_ids_of_machines(text: str, canonical: str, kind: str) -> None:
    found = ResourceId.parse(text)
    assert (str(found), found.kind) == (canonical, kind)
    assert found == ResourceId.parse(text.lower())
    assert hash(found) == hash(ResourceId.parse(text.upper()))
    assert found.key == canonical.lower()


def test_other_machines_are_others() -> None:
    assert ResourceId.parse(rid("a")) != ResourceId.parse(rid("b"))
    assert ResourceId.parse(rid("a")) != rid("a")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "web1",
        rid()[1:],
        rid().replace("/virtualMachines/web1", ""),
        rid().replace("web1", ""),
        rid() + "/extensions/agent",
        rid().replace("virtualMachines", "disks"),
        rid().replace("Microsoft.Compute", "Microsoft.Classic"),
        rid().replace("Microsoft.Compute", "Microsoft.HybridCompute"),
        rid().replace("resourceGroups", "groups"),
        rid() + "?api-version=1",
        rid("we%62"),
        rid("a b"),
        rid("x" * 65),
        rid().replace("/fleet/", "/fleet./"),
        rid().replace("/fleet/", "//"),
        rid().replace("/fleet/", "/a#b/"),
        "https://management.azure.com" + rid(),
        7,
        None,
    ],
)
def test_refuses_the_rest_and_names_the_option(text: str) -> None:
    with pytest.raises(InputError, match=r"^Option ids has the value .*virtualMachines.*HybridCompute"):
        ResourceId.parse(text, "ids")


def test_a_subscription_must_be_a_guid() -> None:
    with pytest.raises(InputError, match="'production' is not a GUID"):
        ResourceId.parse(rid().replace(SUBSCRIPTION, "production"))


def test_scale_set_instances_have_a_sentence_of_their_own() -> None:
    text = rid().replace("virtualMachines/web1", "virtualMachineScaleSets/set/virtualMachines/0")
    with pytest.raises(InputError, match=r"scale set.*flexible") as caught:
        ResourceId.parse(text)
    assert caught.value.option == "resource_ids"
