# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape what a task returns: one short entry a machine, counts, and win_updates' blocks beside ARM's own words.

An entry without details stays under :data:`ENTRY_BYTES` of JSON, because AWX cuts an event's result at 700 kB and a
thousand machines must fit.  Identity is never shortened; free text (reasons, Azure's messages) is.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..azure.errors import AzureFailure
from ..domain.assessment import AvailablePatch
from ..domain.installation import PatchResult
from ..domain.kb import kb_digits
from ..domain.timestamps import to_iso

ENTRY_BYTES = 600
_SHORTEST_TEXT = 60

Entry = dict[str, Any]


def size_of(entry: Mapping[str, Any]) -> int:
    """Bytes of the entry as Ansible writes results (JSON, UTF-8)."""
    return len(json.dumps(entry).encode())


def wants_details(details: str, failed: bool) -> bool:
    """Whether the option ``details`` (failures, all, none) asks for this machine's lists."""
    return details == "all" or (details == "failures" and failed)


def fit(entry: Entry) -> Entry:
    """Drop empty values and shorten free text until the entry keeps to ENTRY_BYTES."""
    kept = without_empty(entry)
    for holder, name in ((kept.get("error"), "message"), (kept, "reason"), (kept.get("error"), "message")):
        excess = size_of(kept) - ENTRY_BYTES + 1
        if excess > 0 and isinstance(holder, dict) and isinstance(holder.get(name), str):
            length = len(holder[name])
            # Escapes make JSON longer than the text, never shorter, so cutting by the excess is enough.
            holder[name] = _cut(holder[name], max(_SHORTEST_TEXT, length - excess - 3))
    return kept


def without_empty(entry: Entry) -> Entry:
    """The entry without what is not known or says nothing."""
    return {key: value for key, value in entry.items() if value is not None and value != ""}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[:length].rstrip() + "..."


def error_of(failure: AzureFailure, details: bool) -> dict[str, Any]:
    """Azure's own words: code, message and request id, and with details everything it said."""
    if details:
        return failure.to_dict()
    short = {
        "kind": failure.kind,
        "status": failure.status,
        "code": failure.code,
        "message": failure.message,
        "request_id": failure.request_id,
    }
    return {key: value for key, value in short.items() if value not in (None, "")}


def _update(patch_id: str, name: str, kb: str | None, classifications: Sequence[str]) -> dict[str, Any]:
    return {
        "id": patch_id,
        "title": name,
        "kb": [kb_digits(kb)] if kb else [],
        "categories": list(classifications),
    }


def available_update(patch: AvailablePatch) -> dict[str, Any]:
    """An outstanding patch with the keys of ``ansible.windows.win_updates`` (KBs as digits) and ARM's own."""
    update = _update(patch.patch_id, patch.name, patch.kb, patch.classifications)
    update["downloaded"] = update["installed"] = False
    update["reboot_behavior"] = patch.reboot_behavior
    update["published_date"] = to_iso(patch.published) if patch.published else None
    return update


def available_updates(patches: Iterable[AvailablePatch]) -> dict[str, Any]:
    """Outstanding patches by patch id, as win_updates' ``updates``."""
    return {patch.patch_id: available_update(patch) for patch in patches}


def filtered_updates(filtered: Iterable[tuple[AvailablePatch, Sequence[str]]]) -> dict[str, Any]:
    """Patches left out, as win_updates' ``filtered_updates``, each with ``filtered_reasons``."""
    return {
        patch.patch_id: {**available_update(patch), "filtered_reasons": list(reasons)} for patch, reasons in filtered
    }


def installed_updates(patches: Iterable[PatchResult]) -> dict[str, Any]:
    """What an installation did with each patch, as win_updates' ``updates`` with ARM's ``installation_state``."""
    found = {}
    for patch in patches:
        update = _update(patch.patch_id, patch.name, patch.kb, patch.classifications)
        update["installed"] = patch.state == "Installed"
        update["downloaded"] = update["installed"]
        update["installation_state"] = patch.state
        found[patch.patch_id] = update
    return found


def counts(entries: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many machines ended in each outcome, and how many there are."""
    tally = Counter(str(entry["outcome"]) for entry in entries)
    return {"machines": sum(tally.values()), **dict(sorted(tally.items()))}


def in_words(tally: Mapping[str, int]) -> str:
    """The tally as words: ``12 machines: 7 claimed, 3 skipped, 2 failed``."""
    parts = [f"{number} {outcome.replace('_', ' ')}" for outcome, number in tally.items() if outcome != "machines"]
    machines = tally["machines"]
    return f"{machines} machine{'' if machines == 1 else 's'}: {', '.join(parts)}"
