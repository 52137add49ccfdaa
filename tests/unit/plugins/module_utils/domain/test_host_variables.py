# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a host: plain JSON, no reserved names, and null is explained."""

from __future__ import annotations

import json
from dataclasses import replace

from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.addresses import Network
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph import graph_installation
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.graph_machine import graph_machine
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.host_variables import (
    host_variables,
    with_aliases,
)

from .builders import NOW, rid
from .graph_rows import arc_row, installation_row, interface_row, machine_row, nic_id, public_id


def test_of_a_machine() -> None:
    network = Network()
    network.learn_interfaces([interface_row("web1", "10.0.0.4", public_id())])
    network.learn_public([{"id": public_id(), "address": "203.0.113.7"}])
    installation = graph_installation(installation_row()["properties"])
    found = replace(
        graph_machine(machine_row()),
        addresses=network.of([nic_id()]),
        assessed=True,
        installed=True,
        installation=installation,
    )
    made = host_variables(found, NOW, ring_tag="hotpatch-ring", address_order=("private", "public"))
    assert json.loads(json.dumps(made)) == made
    assert made["id"] == made["hotpatch_resource_id"] == rid()
    assert (made["ansible_host"], made["hotpatch_ring"], made["powerstate"]) == ("10.0.0.4", "canary", "running")
    assert made["public_ipv4_addresses"] == ["203.0.113.7"] and made["availability"] == "running"
    assert made["last_installation"]["started_by"] == "User" and made["last_assessment"] is None
    assert made["eligibility"] == {"state": "eligible", "reasons": [], "not_judged": ["agent_not_ready"]}
    assert made["unread"] == {} and made["hotpatch_read_at"] == "2026-05-13T01:00:00Z"
    assert not {"name", "tags"} & set(made), "Ansible warns of these names"
    assert with_aliases(made)["tags"] is made["machine_tags"]
    public_first = host_variables(found, NOW, ring_tag="x", address_order=("public",))
    assert public_first["ansible_host"] == "203.0.113.7" and public_first["hotpatch_ring"] is None


def test_what_could_not_be_read_is_named_with_its_reason() -> None:
    found = replace(graph_machine(machine_row(view=None)), addresses=Network().of([nic_id()]))
    made = host_variables(found, NOW, ring_tag="x", address_order=("private",))
    assert "ansible_host" not in made and made["powerstate"] is None and made["availability"] == "unknown"
    assert "web1-nic" in made["unread"]["private_ipv4_addresses"]
    assert {"powerstate", "os_version", "last_assessment", "last_installation"} <= set(made["unread"])


def test_of_an_arc_enabled_server() -> None:
    made = host_variables(graph_machine(arc_row()), NOW, ring_tag="x", address_order=("private",))
    assert made["resource_type"] == "Microsoft.HybridCompute/machines"
    assert (made["ansible_host"], made["hotpatch_licence"]) == ("10.1.0.4", "Enabled")
