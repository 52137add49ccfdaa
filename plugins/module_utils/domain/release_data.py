# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The releases known when this collection was made, as plain literals: AnsiballZ carries only Python.

A release whose KB nobody could name has no row; where its kind is known all the same, MONTHS has it. Rows are history
and are never computed: 2026 broke the quarterly plan twice. The days of the WS2025 rows are the table's. WS2022 rows
of January to October 2024 carry the second Tuesday of the month that the table names (its ``B`` release), later ones
the day of the WS2025 row of the same month. Hotpatches before 2024 are left out: their baselines were not read.
"""

from __future__ import annotations

CALENDAR_PAGE = "Microsoft Learn, Windows Server release information, Windows Server hotpatch calendar, as of 2026-05"

MONTHLY: dict[str, tuple[tuple[str, str, str, int | None], ...]] = {
    # date, kind, KB, UBR or None when no source names it
    "ws2022": (
        ("2024-01-09", "baseline", "KB5034129", 2227),
        ("2024-02-13", "hotpatch", "KB5034860", 2277),
        ("2024-03-12", "hotpatch", "KB5035959", 2333),
        ("2024-04-09", "baseline", "KB5036909", 2402),
        ("2024-05-14", "hotpatch", "KB5037848", 2458),
        ("2024-06-11", "hotpatch", "KB5039330", 2522),
        ("2024-07-09", "baseline", "KB5040437", 2582),
        ("2024-08-13", "baseline", "KB5041160", 2655),
        ("2024-09-10", "hotpatch", "KB5042880", 2695),
        ("2024-10-08", "baseline", "KB5044281", 2762),
        ("2024-11-12", "hotpatch", "KB5046698", 2819),
        ("2024-12-10", "hotpatch", "KB5048800", 2908),
        ("2025-01-14", "baseline", "KB5049983", 3091),
        ("2025-02-11", "hotpatch", "KB5052106", 3148),
        ("2025-03-11", "hotpatch", "KB5053638", 3270),
        ("2025-04-08", "baseline", "KB5055526", 3453),
        ("2025-05-13", "hotpatch", "KB5058500", 3630),
        ("2025-06-10", "hotpatch", "KB5060525", 3745),
        ("2025-07-08", "baseline", "KB5062572", 3932),
        ("2025-08-12", "hotpatch", "KB5063812", 3989),
        ("2025-09-09", "hotpatch", "KB5065306", 4106),
        ("2025-10-14", "baseline", "KB5066782", 4294),
        ("2025-11-11", "hotpatch", "KB5068840", 4346),
        ("2025-12-09", "hotpatch", "KB5071413", 4467),
        ("2026-01-13", "baseline", "KB5073457", 4648),
        ("2026-02-10", "hotpatch", "KB5075943", 4711),
        ("2026-03-10", "hotpatch", "KB5078737", 4830),
        ("2026-04-14", "baseline", "KB5082142", 5020),
        ("2026-05-12", "hotpatch", "KB5087424", 5074),
        ("2026-08-11", "hotpatch", "KB5120229", None),
        ("2026-09-08", "baseline", "KB5122882", 5622),
    ),
    "ws2025": (
        ("2024-11-12", "hotpatch", "KB5046696", 2240),
        ("2024-12-10", "hotpatch", "KB5048794", 2528),
        ("2025-01-14", "baseline", "KB5050009", 2894),
        ("2025-02-11", "hotpatch", "KB5052105", 3107),
        ("2025-03-11", "hotpatch", "KB5053636", 3403),
        ("2025-04-08", "baseline", "KB5055523", 3775),
        ("2025-05-13", "hotpatch", "KB5058497", 3981),
        ("2025-06-10", "hotpatch", "KB5060841", 4270),
        ("2025-07-08", "baseline", "KB5062553", 4652),
        ("2025-08-12", "hotpatch", "KB5064010", 4851),
        ("2025-09-09", "hotpatch", "KB5065474", 6508),
        ("2025-10-14", "baseline", "KB5066835", 6899),
        ("2025-11-11", "hotpatch", "KB5068966", 7092),
        ("2025-12-09", "hotpatch", "KB5072014", 7392),
        ("2026-01-13", "baseline", "KB5073379", 32230),
        ("2026-02-10", "hotpatch", "KB5075942", 32313),
        ("2026-03-10", "hotpatch", "KB5078736", 32463),
        ("2026-04-14", "baseline", "KB5082063", 32690),
        ("2026-05-12", "hotpatch", "KB5087423", 32772),
        ("2026-06-09", "baseline", "KB5094125", 32995),
        ("2026-07-14", "baseline", "KB5099536", 33158),
    ),
}

UNPLANNED: frozenset[str] = frozenset({"KB5041160", "KB5094125", "KB5122882"})
"""Baselines in months that had been announced as hotpatch months."""

SOURCES: dict[str, str] = {
    "KB5094125": "Microsoft Learn, Windows Server release information, as of 2026-08",
    "KB5099536": "Microsoft Learn, Windows Server release information, as of 2026-08; that it is a baseline: "
    "blog.ruizsolutions.online, 2026-10, quoting the hotpatch calendar",
    "KB5120229": "third-party sample of MSRC data, 2026-08",
    "KB5122882": "Microsoft Support, Windows Server 2022 hotpatch, September 8, 2026 baseline",
}
"""Where a monthly row does not come from the calendar page."""

_QUOTED = "blog.ruizsolutions.online, 2026-10, quoting the hotpatch calendar of 2026-10-02"

MONTHS: tuple[tuple[str, str, str, bool, bool, str | None, str], ...] = (
    # product, month, kind, released (else announced only), planned, day or None when no source names it, source
    ("ws2025", "2026-08", "hotpatch", True, True, "2026-08-11", _QUOTED),
    ("ws2025", "2026-09", "baseline", True, False, "2026-09-08", _QUOTED),
    ("ws2025", "2026-10", "baseline", False, True, None, _QUOTED),
    ("ws2025", "2026-11", "hotpatch", False, True, None, _QUOTED),
    ("ws2025", "2026-12", "hotpatch", False, True, None, _QUOTED),
)
"""Months of which the kind is known, or announced, but no KB."""

OUT_OF_BAND: tuple[tuple[str, str, str, int | None, bool, str, str], ...] = (
    # product, date, KB, UBR or None when no source names it, whether it keeps a machine on the hotpatch track
    (
        "ws2025",
        "2025-10-23",
        "KB5070881",
        6905,
        False,
        "Microsoft Learn, Enable Hotpatch for Azure Arc-enabled servers, 2025-10",
        "took machines off the hotpatch track until the January 2026 baseline; KB5070893 has the same build",
    ),
    (
        "ws2025",
        "2025-10-24",
        "KB5070893",
        6905,
        True,
        "Microsoft Learn, Enable Hotpatch for Azure Arc-enabled servers, 2025-10",
        "CVE-2025-59287 (WSUS) for machines on the hotpatch track; KB5070881 has the same build",
    ),
    (
        "ws2022",
        "2025-10-24",
        "KB5070892",
        None,
        True,
        "third-party report",
        "CVE-2025-59287 (WSUS) for machines on the hotpatch track",
    ),
    ("ws2022", "2026-01-24", "KB5078136", 4651, False, "third-party report", "cumulative update"),
    ("ws2022", "2026-01-24", "KB5078238", 4655, True, "third-party report", "out-of-band hotpatch"),
    ("ws2025", "2026-01-24", "KB5078135", 32236, False, "third-party report", "cumulative update"),
    (
        "ws2025",
        "2026-04-19",
        "KB5091157",
        32698,
        False,
        "Microsoft Q&A, 2026-04",
        "cumulative update: domain controllers restarting after the April baseline",
    ),
    (
        "ws2025",
        "2026-04-19",
        "KB5091470",
        None,
        True,
        "Microsoft Q&A, 2026-04",
        "out-of-band hotpatch: domain controllers restarting after the April baseline",
    ),
    (
        "ws2022",
        "2026-04-19",
        "KB5091575",
        None,
        False,
        "Microsoft Q&A, 2026-04",
        "cumulative update: domain controllers restarting after the April baseline",
    ),
    (
        "ws2022",
        "2026-04-19",
        "KB5091576",
        None,
        True,
        "Microsoft Q&A, 2026-04",
        "out-of-band hotpatch: domain controllers restarting after the April baseline",
    ),
)
