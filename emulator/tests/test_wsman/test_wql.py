# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""WQL: quoting as WMI has it, what it refuses, and what its conditions match."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from hotpatch_emulator.wsman import providers, wql
from hotpatch_emulator.wsman.cim import CimClass, Value

ROW: dict[str, Value] = {
    "name": "wuauserv",
    "path": r"C:\Windows\system32",
    "quoted": 'it\'s "so"',
    "index": 7,
    "started": True,
    "nothing": None,
    "booted": datetime(2026, 5, 1, 10, 30, tzinfo=timezone.utc),
    "percent": "50%",
}


def matches(condition: str) -> bool:
    return wql.parse(f"SELECT * FROM Win32_X WHERE {condition}").matches(ROW)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (r"path = 'C:\\Windows\\system32'", True),
        (r'path = "C:\\Windows\\system32"', True),
        (r"path LIKE '%\\SYSTEM32'", True),
        (r"quoted = 'it\'s \"so\"'", True),
        (r"""quoted = "it's \"so\"" """, True),
        (r"quoted = 'it\'s \\\"so\\\"'", False),
        (r"name = 'x\\' OR name = 'wuauserv'", True),  # the literal ends at the second quote
        (r"name = 'x\' OR name = \'wuauserv'", False),  # here it does not
    ],
)
def test_escapes(condition: str, expected: bool) -> None:
    assert matches(condition) is expected


@pytest.mark.parametrize(
    "condition",
    [r"path = 'C:\Windows'", r"path = 'C:\new\tab'", "name = 'it''s'", r"name = 'open\'", "name = 'a' -- b"],
)
def test_quoting_that_is_sql_but_not_wql(condition: str) -> None:
    with pytest.raises(wql.InvalidQuery):
        matches(condition)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("NAME = 'WUAUSERV'", True),
        ("name <> 'wuauserv'", False),
        ("name != 'other'", True),
        ("index = 7", True),
        ("index = '7'", True),
        ("7 = index", True),
        ("6 < index AND index <= 7", True),
        ("8 < index", False),
        ("index > -1", True),
        ("started = TRUE", True),
        ("started = 'false'", False),
        ("NOT started = FALSE", True),
        ("nothing IS NULL", True),
        ("nothing = NULL", True),
        ("name <> NULL", True),
        ("name IS NOT NULL", True),
        ("nothing = 'x'", False),
        ("nothing <> 'x'", False),
        ("booted > '20260501102959.000000+000'", True),
        ("booted > '20260501103000.000000+000'", False),
        ("name LIKE 'wu%'", True),
        ("name LIKE 'wu'", False),
        ("name LIKE '_uauser[a-v]'", True),
        ("name LIKE '[^w]%'", False),
        ("percent LIKE '50[%]'", True),
        ("name LIKE 'w.*'", False),
        ("name = 'a' OR name = 'b' OR (index = 7 AND started = TRUE)", True),
    ],
)
def test_conditions(condition: str, expected: bool) -> None:
    assert matches(condition) is expected


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELECT",
        "SELECT * FROM",
        "SELECT Name State FROM Win32_Service",
        "SELECT Name AS n FROM Win32_Service",
        "SELECT COUNT(*) FROM Win32_Service",
        "SELECT DISTINCT Name FROM Win32_Service",
        "SELECT * FROM Win32_Service ORDER BY Name",
        "SELECT * FROM Win32_Service LIMIT 1",
        "SELECT * FROM Win32_Service s",
        "SELECT * FROM Win32_Service, Win32_Process",
        "SELECT * FROM Win32_Service JOIN Win32_Process",
        "SELECT * FROM root.Win32_Service",
        "SELECT `Name` FROM Win32_Service",
        "SELECT * FROM Win32_Service WHERE Name = State",
        "SELECT * FROM Win32_Service WHERE UPPER(Name) = 'A'",
        "SELECT * FROM Win32_Service WHERE Name IN ('a', 'b')",
        "SELECT * FROM Win32_Service WHERE Name LIKE 5",
        "SELECT * FROM Win32_Service; SELECT * FROM Win32_Process",
        "DELETE FROM Win32_Service",
        "ASSOCIATORS OF {Win32_Service.Name='a'}",
        "SELECT * FROM Win32_Service WHERE " + "(" * 5000 + "Name = 'a'" + ")" * 5000,
        "SELECT * FROM Win32_Service WHERE " + " OR ".join(["Name = 'abcdefgh'"] * 2000),
    ],
)
def test_refused(query: str) -> None:
    with pytest.raises(wql.InvalidQuery):
        wql.parse(query)


@pytest.mark.parametrize(
    "cim_class", [item for item in providers.CLASSES if item.properties], ids=lambda item: item.name
)
def test_every_property_can_be_named(cim_class: CimClass) -> None:
    """No property name is a keyword that the parser would trip over."""
    names = tuple(cim_class.properties)
    condition = " AND ".join(f"{name} IS NULL" for name in names)
    query = wql.parse(f"SELECT {','.join(names)} FROM {cim_class.name} WHERE {condition}")
    assert query.properties == names
    assert query.class_name == cim_class.name
    assert query.referenced == set(names)
    query.check(cim_class.properties)


def test_unknown_property_is_refused_in_projection_and_condition() -> None:
    for query in ("SELECT Nonsense FROM C", "SELECT Name FROM C WHERE Nonsense = 1"):
        with pytest.raises(wql.InvalidQuery, match="Nonsense"):
            wql.parse(query).check(["Name"])
