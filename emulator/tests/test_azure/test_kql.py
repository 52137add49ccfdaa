# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The query language: the documented queries about patches, and where a query that cannot be read goes wrong."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from hotpatch_emulator.kql import KqlError, parse

NOW = datetime(2026, 5, 13, tzinfo=timezone.utc)
VM = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines"
ROWS: list[dict[str, Any]] = [
    {
        "id": f"{VM}/vm{number}",
        "name": f"vm{number}",
        "type": "microsoft.compute/virtualmachines" + ("/softwarepatches" if number == 3 else ""),
        "tags": {"ring": "canary"} if number == 1 else None,
        "properties": {"os": {"count": number}, "at": f"2026-05-0{number}T00:00:00.1234567Z", "ready": number > 1},
    }
    for number in (2, 1, 3)
]


def names(query: str) -> list[Any]:
    return [row.get("name") for row in parse(query).run(ROWS, NOW)]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Resources", ["vm2", "vm1", "vm3"]),
        ("where type =~ 'Microsoft.Compute/VirtualMachines'", ["vm2", "vm1"]),
        ("where type == 'Microsoft.Compute/VirtualMachines'", []),
        ("resources | where type has 'softwarepatches'", ["vm3"]),
        ("resources | where type has 'patches'", []),
        ("resources | where type contains 'patches'", ["vm3"]),
        ('resources | where type !has "softwarepatches" and properties !has "version"', ["vm2", "vm1"]),
        (f"where id in~ ('{VM.upper()}/VM1', '{VM}/vm3')", ["vm1", "vm3"]),
        ("where name in ('VM1', 'vm3')", ["vm3"]),
        ("where name !in~ ('VM1', 'vm3')", ["vm2"]),
        (f"where id startswith '{VM.lower()}/vm1'", ["vm1"]),
        ("where properties.os.count == 2 or properties['os']['count'] > 2", ["vm2", "vm3"]),
        ("where properties.os.count between (1 .. 2)", ["vm2", "vm1"]),
        ("where properties.ready == true", ["vm2", "vm3"]),
        ("where properties.ready", ["vm2", "vm3"]),
        ("where not(properties.ready) and isnull(properties.nothing.here)", ["vm1"]),
        ("where tags.ring =~ 'Canary'", ["vm1"]),
        ("where isempty(tags.ring)", ["vm2", "vm3"]),
        ("where todatetime(properties.at) > ago(11d)", ["vm2", "vm3"]),
        ("where todatetime(properties.at) < datetime(2026-05-02)", ["vm1"]),
        ("where ['name'] matches regex 'vm[12]'", ["vm2", "vm1"]),
        ("order by name asc", ["vm1", "vm2", "vm3"]),
        ("order by name", ["vm3", "vm2", "vm1"]),
        ("sort by tostring(properties.ready) asc, name desc // both", ["vm1", "vm3", "vm2"]),
        ("top 2 by properties.os.count desc", ["vm3", "vm2"]),
        ("order by name asc\n| take 1", ["vm1"]),
        ("order by tags.ring asc nulls last | limit 1", ["vm1"]),
        ("order by tags.ring asc | limit 1", ["vm2"]),
    ],
)
def test_rows(query: str, expected: list[str]) -> None:
    assert names(query) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("where name == 'vm1' | project name, properties.os.count", {"name": "vm1", "properties_os_count": 1}),
        ("top 1 by name | extend x = split(id, '/')[8], n = strcat(name, '-', 1) | project x, n",
         {"x": "vm3", "n": "vm3-1"}),
        ("top 1 by name | project machine = tolower(name), tolower(id)",
         {"machine": "vm3", "Column1": f"{VM}/vm3".lower()}),
        ("top 1 by name | project-away id, type, properties, tags", {"name": "vm3"}),
        ("summarize count()", {"count_": 3}),
        ("where name == 'none' | summarize n = count()", {"n": 0}),
        ("where name == 'vm1' | summarize countif(properties.ready == true) by type, ring = tostring(tags.ring)",
         {"type": "microsoft.compute/virtualmachines", "ring": "canary", "countif_": 0}),
        ("summarize max(name), dcount(type)", {"max_name": "vm3", "dcount_type": 2}),
        ("count", {"Count": 3}),
        ("where name == 'vm1' | distinct type", {"type": "microsoft.compute/virtualmachines"}),
        ("top 1 by name | extend p = parse_json('{\"a\": [1, 2]}') "
         "| project n = array_length(p.a), iff(p.a[0] == 1, 'yes', 'no')",
         {"n": 2, "Column1": "yes"}),
    ],
)  # fmt: skip
def test_columns(query: str, expected: dict[str, Any]) -> None:
    assert parse(query).run(ROWS, NOW) == [expected]


@pytest.mark.parametrize(
    ("query", "line", "column", "token"),
    [
        ("where where", 1, 11, "<EOF>"),  # recorded
        ("where id ==", 1, 11, "<EOF>"),
        ("Resources\n| project id |", 2, 14, "<EOF>"),
        ("project id | join x", 1, 13, "join"),
        ("where name =! 'x'", 1, 11, "="),
        ("where nosuch(id)", 1, 6, "nosuch"),
        ("summarize percentile(id)", 1, 10, "percentile"),
    ],
)
def test_where_a_query_goes_wrong(query: str, line: int, column: int, token: str) -> None:
    with pytest.raises(KqlError) as caught:
        parse(query)
    assert (caught.value.line, caught.value.column, caught.value.token) == (line, column, token)
