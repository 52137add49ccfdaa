# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The queries by which a whole fleet is read from Resource Graph: one table each, joined by whoever reads them.

No query joins: Resource Graph allows three joins, one of them across tables, its tables of patches joined nothing in
the copy of 2021-03, and ``summarize`` is answered with one page only (Microsoft Learn, "Understanding the Azure
Resource Graph query language"). A query that keeps ``id`` and is ordered by it has pages without an end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from .resource_graph import any_of, quote

MACHINES = "'microsoft.compute/virtualmachines', 'microsoft.hybridcompute/machines'"
_PLAIN = re.compile(r"[\w .-]+")


def machines(columns: Mapping[str, str], scope_filters: Sequence[str], ids: Sequence[str] = ()) -> str:
    """Return the query for machines that are not Linux, with id, name, location, zones, tags and the columns given."""
    system = "tostring(properties.storageProfile.osDisk.osType) !~ 'Linux' and tostring(properties.osType) !~ 'Linux'"
    narrowed = [f"type in~ ({MACHINES})", system, *scope_filters]
    if ids:
        narrowed = [f"type in~ ({MACHINES})", f"id in~ {any_of(ids)}"]
    projected = ", ".join(f"{name} = {expression}" for name, expression in columns.items())
    return f"resources{_where(narrowed)} | project id, name, location, zones, tags, {projected} | order by id asc"


def filters(resource_groups: Sequence[str], locations: Sequence[str], tags: Mapping[str, Sequence[str]]) -> list[str]:
    """Return conditions on a machine's row that leave out no machine that the filters take, and most of the others.

    Names of tags compare without case in Azure and with it in a query; so a tag is only looked for in the text of all
    tags here, and compared by whoever reads the rows.
    """
    found = []
    if resource_groups:
        found.append(f"resourceGroup in~ {any_of(resource_groups)}")
    if locations:
        found.append(f"location in~ {any_of(locations)}")
    texts = [text for name, values in tags.items() for text in (name, values[0] if len(values) == 1 else "")]
    # What the text of JSON writes with escapes is not looked for.
    plain = [text for text in texts if text and _PLAIN.fullmatch(text) and text.isascii()]
    return [*found, *(f"tostring(tags) contains {quote(text)}" for text in plain)]


def power_filter(states: Sequence[str]) -> list[str]:
    """Return the condition on the power state; a machine whose state is not shown is kept."""
    if not states:
        return []
    code = "tostring(properties.extended.instanceView.powerState.code)"
    return [f"({code} in~ {any_of([f'PowerState/{state}' for state in states])} or isempty({code}))"]


def interfaces(ids: Sequence[str] = ()) -> str:
    """Return the query for network interfaces of virtual machines: all, or some by ID."""
    wanted = [f"id in~ {any_of(ids)}"] if ids else ["isnotempty(tostring(properties.virtualMachine.id))"]
    kinds = ["type =~ 'microsoft.network/networkinterfaces'", *wanted]
    return f"resources{_where(kinds)} | project id, configurations = properties.ipConfigurations | order by id asc"


def public_addresses(ids: Sequence[str] = ()) -> str:
    """Return the query for public addresses of network interfaces: all, or some by ID."""
    wanted = [f"id in~ {any_of(ids)}"] if ids else ["tostring(properties.ipConfiguration.id) contains 'interfaces/'"]
    kinds = ["type =~ 'microsoft.network/publicipaddresses'", *wanted]
    return f"resources{_where(kinds)} | project id, address = tostring(properties.ipAddress) | order by id asc"


def assessments(scope_filters: Sequence[str] = ()) -> str:
    """Return the query for the last assessment of each machine, kept for 7 days."""
    return _patches("patchassessmentresources", "patchassessmentresults", scope_filters)


def installations(scope_filters: Sequence[str] = ()) -> str:
    """Return the query for all installations of 30 days: several a machine, since only a page could be summarized."""
    return _patches("patchinstallationresources", "patchinstallationresults", scope_filters)


def _patches(table: str, kind: str, scope_filters: Sequence[str]) -> str:
    kinds = f"'microsoft.compute/virtualmachines/{kind}', 'microsoft.hybridcompute/machines/{kind}'"
    narrowed = [f"type in~ ({kinds})", "tostring(properties.osType) !~ 'Linux'", *scope_filters]
    return f"{table}{_where(narrowed)} | project id, properties | order by id asc"


def _where(conditions: Sequence[str]) -> str:
    return "".join(f" | where {condition}" for condition in conditions)
