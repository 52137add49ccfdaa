# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Azure Resource Graph: what it knows of the fleet, late, and only what the caller may read.

Every change of a machine and every assessment and installation reaches the tables some minutes later (a switch),
never one before an older one. Rows that the caller has no permission for are left out without a word, as documented.
Answers have the form of recorded ones (2020, 2021) and of the OpenAPI of 2024-04-01.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hotpatch_emulator import graph_rows, kql
from hotpatch_emulator.audit import Audit
from hotpatch_emulator.graph_rows import Row
from hotpatch_emulator.kql_functions import text_of
from hotpatch_emulator.operations import Operations
from hotpatch_emulator.rbac import Permissions
from hotpatch_emulator.settings import Principal
from hotpatch_emulator.state import Fleet, VirtualMachine
from hotpatch_emulator.wire import ArmError, Reply, support_sentence

API_VERSIONS = (
    "2018-09-01-preview", "2019-04-01", "2020-04-01-preview", "2021-03-01", "2021-06-01-preview", "2022-10-01",
    "2024-04-01",
)  # fmt: skip
_FIRST_WITH_OBJECTS = "2021-03-01"
_LARGEST_PAGE = 1000
_KEPT = {"patchassessmentresources": timedelta(days=7), "patchinstallationresources": timedelta(days=30)}
_MACHINE = "Microsoft.Compute/virtualMachines"
_READ = {
    "microsoft.compute/virtualmachines": f"{_MACHINE}/read",
    "microsoft.network/networkinterfaces": "Microsoft.Network/networkInterfaces/read",
    "microsoft.network/publicipaddresses": "Microsoft.Network/publicIPAddresses/read",
    "patchassessmentresources": f"{_MACHINE}/patchAssessmentResults/read",
    "patchinstallationresources": f"{_MACHINE}/patchInstallationResults/read",
}
_TABLES = ("resources", *_KEPT)
# What the recorded service names as the expected token, whatever was expected.
_EXPECTED = "\u01cf"
_CURSOR_KEPT = timedelta(minutes=1)
_CLUSTER = "https://arg-weu-four-sf.arg.core.windows.net"


@dataclass
class _Version:
    visible: datetime
    rows: list[Row]
    machine: VirtualMachine | None = None


@dataclass
class _Known:
    """What Resource Graph knows, or will know, of one machine: histories of rows, oldest first."""

    machine: list[_Version] = field(default_factory=list)
    assessment: list[_Version] = field(default_factory=list)
    installations: dict[str, list[_Version]] = field(default_factory=dict)
    network: list[Row] | None = None


@dataclass(frozen=True)
class _Cursor:
    """The rows of a query that is being paged through, good until something changes or becomes visible."""

    made: datetime
    stamp: tuple[int, int]
    rows: list[Row]


class ResourceGraph:
    """Answers queries."""

    def __init__(
        self, fleet: Fleet, operations: Operations, permissions: Permissions, audit: Audit, now: datetime
    ) -> None:
        self._fleet = fleet
        self._operations = operations
        self._permissions = permissions
        # Draws of its own: whether somebody queries must not change what else happens in a run.
        self._random = random.Random(f"{fleet.seed}:graph")
        self._known = {
            machine.key: _Known(machine=[_Version(now, [], graph_rows.snapshot(machine))]) for machine in fleet
        }
        self._changes = 0
        self._appearing: list[datetime] = []
        self._cursors: dict[tuple[str, str], _Cursor] = {}
        audit.listen(self._notice)

    # -- what comes in ------------------------------------------------------------------------------------------

    def _notice(self, line: Mapping[str, Any]) -> None:
        """Take a line of the audit log that says that something changed."""
        machine = self._fleet.machine(line["resource_id"] or "")
        if machine is None or line["kind"] not in ("operation", "state"):
            return
        known, now = self._known[machine.key], datetime.fromisoformat(line["time"])
        kind = line.get("operation")
        operation = self._operations.get(line["activity_id"]) if kind else None
        if operation is not None and kind == "assessPatches":
            self._add(known.assessment, graph_rows.assessment_rows(operation, self._fleet.tenant_id, now), now)
        elif operation is not None and kind == "installPatches":
            history = known.installations.setdefault(operation.id, [])
            self._add(history, graph_rows.installation_rows(operation, self._fleet.tenant_id, now), now)
        else:
            self._add(known.machine, [], now, graph_rows.snapshot(machine))

    def _add(
        self, history: list[_Version], rows: list[Row], now: datetime, machine: VirtualMachine | None = None
    ) -> None:
        low, high = self._fleet.switches.resource_graph_lag_minutes
        visible = now + timedelta(minutes=self._random.uniform(low, high))
        if history:
            visible = max(visible, history[-1].visible)
            while len(history) > 1 and history[1].visible <= now:
                del history[0]
        history.append(_Version(visible, rows, machine))
        self._changes += 1
        heapq.heappush(self._appearing, visible)

    # -- tables -------------------------------------------------------------------------------------------------

    def _table(
        self, name: str, machines: Iterator[VirtualMachine], principal: Principal, now: datetime
    ) -> Iterator[Row]:
        """The rows of a table that the principal may read: each kind needs a permission of its own."""
        for machine in machines:
            if name != "resources":
                if self._may_read(principal, name, machine, now):
                    yield from self._patch_rows(name, self._known[machine.key], now)
                continue
            if self._may_read(principal, "microsoft.compute/virtualmachines", machine, now):
                yield from self._visible(self._known[machine.key].machine, now)
            for row in self._network(machine):
                if self._may_read(principal, row["type"], machine, now):
                    yield row

    def _may_read(self, principal: Principal, kind: str, machine: VirtualMachine, now: datetime) -> bool:
        return self._permissions.allows(principal, _READ[kind], machine.id, now)

    def _network(self, machine: VirtualMachine) -> list[Row]:
        known = self._known[machine.key]
        if known.network is None:
            known.network = graph_rows.network_rows(machine, self._fleet.tenant_id)
        return known.network

    def _patch_rows(self, name: str, known: _Known, now: datetime) -> Iterator[Row]:
        histories = [known.assessment] if name == "patchassessmentresources" else known.installations.values()
        for history in histories:
            yield from self._visible(history, now, _KEPT[name])

    def _visible(self, history: list[_Version], now: datetime, kept: timedelta = timedelta.max) -> list[Row]:
        version = next((found for found in reversed(history) if found.visible <= now), None)
        if version is None or now - version.visible > kept:
            return []
        if version.machine is not None and not version.rows:
            version.rows = [graph_rows.machine_row(version.machine, self._fleet.tenant_id, version.visible)]
        return version.rows

    def _scope(self, principal: Principal, body: Mapping[str, Any], now: datetime) -> list[str]:
        """The subscriptions asked about that exist and in which the caller has a role."""
        wanted = body.get("subscriptions") or []
        groups = body.get("managementGroups") or []
        if not isinstance(wanted, list) or not isinstance(groups, list):
            raise _refusal(now, "InvalidRequest", "subscriptions and managementGroups must be arrays.")
        for group in groups:
            wanted = [*wanted, *self._fleet.management_groups.get(str(group).lower(), ())]
        asked = {str(item).lower() for item in wanted}
        known = [item for item in self._fleet.subscriptions if item.lower() in asked or not (wanted or groups)]
        seen = [item for item in known if self._permissions.sees(principal, item)]
        if not seen:
            raise _refusal(
                now,
                "NoValidSubscriptionsInQueryRequest",
                "There must be at least one subscription that is eligible to contain resources. Given: "
                f"'{','.join(str(item) for item in wanted)}'.",
            )
        return seen

    # -- queries ------------------------------------------------------------------------------------------------

    def query(self, principal: Principal, api_version: str, body: Any, now: datetime) -> Reply:
        """POST /providers/Microsoft.ResourceGraph/resources. Refusals are raised as ArmError."""
        if api_version not in API_VERSIONS:
            raise ArmError(
                400,
                "NoRegisteredProviderFound",
                f"No registered resource provider found for API version '{api_version}' for type 'resources'. The "
                f"supported api-versions are '{', '.join(API_VERSIONS)}'.",
            )
        if not isinstance(body, Mapping) or not isinstance(body.get("query"), str) or not body["query"].strip():
            raise _refusal(now, "InvalidQuery", "Query cannot be empty.")
        options = body.get("options") or {}
        rows = self._paged_rows(principal, body, options, now)
        top, skip = _page(options, now)
        page = rows[skip : skip + top]
        answer: dict[str, Any] = {
            "totalRecords": len(rows),
            "count": len(page),
            "data": _shaped(page, str(options.get("resultFormat") or _default_format(api_version)).lower()),
            "facets": [],
            "resultTruncated": "false",
        }
        if skip + len(page) < len(rows):
            if all("id" in row for row in page):
                answer["$skipToken"] = _token(top, skip + len(page))
            else:
                # Documented: without the id in the result there is no paging.
                answer["resultTruncated"] = "true"
        return Reply(200, answer)

    def _paged_rows(
        self, principal: Principal, body: Mapping[str, Any], options: Mapping[str, Any], now: datetime
    ) -> list[Row]:
        """The rows of the query, those of the page before where nothing has changed since: a fleet has many pages."""
        while self._appearing and self._appearing[0] <= now:
            heapq.heappop(self._appearing)
            self._changes += 1
        key = (principal.name, json.dumps([body.get(name) for name in ("query", "subscriptions", "managementGroups")]))
        stamp = (self._changes, self._permissions.withdrawals(principal, now))
        cursor = self._cursors.get(key)
        usable = cursor is not None and cursor.stamp == stamp and now - cursor.made < _CURSOR_KEPT
        if cursor is None or not usable or not options.get("$skipToken"):
            cursor = _Cursor(now, stamp, self._rows(principal, body, now))
            self._cursors = {**dict(list(self._cursors.items())[-7:]), key: cursor}
        return cursor.rows

    def _rows(self, principal: Principal, body: Mapping[str, Any], now: datetime) -> list[Row]:
        try:
            query = kql.parse(body["query"])
        except kql.KqlError as error:
            raise _unreadable(error, now) from None
        if query.table not in _TABLES:
            raise _refusal(now, "InvalidQuery", f"The emulator does not know the table '{query.table}'.")
        subscriptions = self._scope(principal, body, now)
        machines = (machine for subscription in subscriptions for machine in self._fleet.subscription(subscription))
        return query.run(self._table(query.table, machines, principal, now), now)


def _refusal(now: datetime, code: str, message: str) -> ArmError:
    return ArmError(400, "BadRequest", support_sentence(now), details=[{"code": code, "message": message}])


def _unreadable(error: kql.KqlError, now: datetime) -> ArmError:
    """Recorded in 2021; what the emulator alone cannot read says so in the message of the second detail."""
    own = str(error) if "emulator" in str(error) else "ParserFailure"
    return ArmError(
        400,
        "BadRequest",
        support_sentence(now),
        details=[
            {
                "code": "InvalidQuery",
                "message": "Query is invalid. Please refer to the documentation for the Azure Resource Graph service "
                "and fix the error before retrying.",
            },
            {
                "code": "ParserFailure",
                "message": own,
                "line": error.line,
                "characterPositionInLine": error.column,
                "token": error.token,
                "expectedToken": _EXPECTED,
            },
        ],
    )


def _default_format(api_version: str) -> str:
    """The default changed: a table in recorded traffic of 2020, an array of objects in the OpenAPI of 2024."""
    return "objectArray" if api_version >= _FIRST_WITH_OBJECTS else "table"


def _page(options: Mapping[str, Any], now: datetime) -> tuple[int, int]:
    """Rows a page and rows to skip; a token has both, and $top and $skip beside it win."""
    top, skip = _LARGEST_PAGE, 0
    token = options.get("$skipToken")
    if token is not None:
        try:
            inside = json.loads(base64.b64decode(str(token), validate=True))
            top, skip = int(inside["MaxRows"]), int(inside["RowsToSkip"])
        except (binascii.Error, ValueError, KeyError, TypeError):
            raise _refusal(now, "InvalidOptions", "The $skipToken is invalid.") from None
    top, skip = options.get("$top", top), options.get("$skip", skip)
    if not (isinstance(top, int) and 1 <= top <= _LARGEST_PAGE and isinstance(skip, int) and skip >= 0):
        raise _refusal(now, "InvalidOptions", "$top must be from 1 to 1000, $skip not negative.")
    return top, skip


def _token(top: int, skip: int) -> str:
    text = json.dumps({"$id": "1", "MaxRows": top, "RowsToSkip": skip, "KustoClusterUrl": _CLUSTER}, indent=2)
    return base64.b64encode(text.replace("\n", "\r\n").encode()).decode()


def _shaped(rows: list[Row], form: str) -> Any:
    plain = [{key: _json(value) for key, value in row.items()} for row in rows]
    if form != "table":
        return plain
    names = list(rows[0]) if rows else []
    columns = [{"name": name, "type": _type([row[name] for row in rows])} for name in names]
    return {"columns": columns, "rows": [[row[name] for name in names] for row in plain]}


def _json(value: Any) -> Any:
    return text_of(value) if isinstance(value, (datetime, timedelta)) else value


def _type(values: list[Any]) -> str:
    value = next((item for item in values if item is not None), "")
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (datetime, "datetime"), ((dict, list), "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "string")
