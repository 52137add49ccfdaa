# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Makes hosts of all Windows machines that Azure Resource Graph shows."""

from __future__ import annotations

DOCUMENTATION = r"""
name: machines
short_description: Windows machines of subscriptions or management groups, from Azure Resource Graph
version_added: 0.2.0
author:
  - winfleet contributors (@winfleet)
description:
  - Makes a host of every Windows virtual machine, and of every Arc-enabled Windows server, of one or many subscriptions
    or management groups, straight from Azure Resource Graph, which gives a thousand machines a request.
  - The configuration is a YAML file whose name ends in C(hotpatch.yml) or C(hotpatch.yaml).
  - Stopped machines are hosts as well; their C(powerstate) and C(availability) tell them apart. (The inventory
    C(azure.azcollection.azure_rm) leaves them out unless it is told otherwise.)
  - Resource Graph shows a change some minutes late, and leaves out without a word what the account may not read. Say
    what you O(expect), and what is missing is named.
extends_documentation_fragment:
  - winfleet.hotpatch.azure
  - winfleet.hotpatch.scope
  - winfleet.hotpatch.scope.filters
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Marks the file as this plugin's configuration.
    type: str
    required: true
    choices: [winfleet.hotpatch.machines]
  api_version:
    description:
      - API version of Microsoft.ResourceGraph to use instead of the one this collection was written for.
    type: str
  gather:
    description:
      - What to read beside the machines. Each is a query of its own, a request for a thousand rows.
      - V(addresses) reads network interfaces and their public addresses; without it no host gets an C(ansible_host).
      - V(assessments) reads the last assessments, which Azure keeps for 7 days, V(installations) those of 30 days.
    type: list
    elements: str
    choices: [addresses, assessments, installations]
    default: [addresses, assessments, installations]
  plain_host_names:
    description:
      - By default a host is called as C(azure.azcollection.azure_rm) calls it, by the machine's name and four digits
        of a hash of its ID, so that machines of the same name in two resource groups stay two hosts.
      - With V(true) it is called by the machine's name alone. Machines that share a name get the digits all the same,
        with a warning.
    type: bool
    default: false
  hostnames:
    description:
      - Jinja2 expressions over a host's variables, tried in order; the first that gives a text that is not empty names
        the host. V(default) stands for what O(plain_host_names) says, and is what is used when none gives a name.
      - Hosts that would share a name get digits, as with O(plain_host_names).
    type: list
    elements: str
    default: [default]
  address_order:
    description:
      - Which kind of address becomes C(ansible_host), the first that the machine has.
      - The public one comes second by default, because WinRM should not be open to the internet. O(compose) can set
        C(ansible_host) to anything else.
    type: list
    elements: str
    choices: [private, public]
    default: [private, public]
  ring_tag:
    description: The tag whose value becomes the host variable C(hotpatch_ring). Its name compares without case.
    type: str
    default: hotpatch-ring
  group:
    description:
      - A group of all the plugin's hosts, which O(connection_defaults) are set on. Files in C(group_vars) for C(all)
        or for this group win over them.
    type: str
    default: hotpatch_machines
  connection_defaults:
    description: Variables of O(group) that say how to reach a guest.
    type: dict
    default:
      ansible_connection: winrm
      ansible_port: 5986
      ansible_winrm_scheme: https
  expect:
    description:
      - What should be found. What is not is named in a warning, or as O(expect_missing) says.
      - C(count) is a number of machines; C(machines) a list of ARM IDs or names; C(file) a text file of them, one a
        line, lines that begin with C(#) left out. A relative path starts from the folder of the configuration.
    type: dict
  expect_missing:
    description:
      - What to do when not everything that was expected is there.
      - V(warn) names it in a warning. V(fail) gives no inventory at all, with which Ansible still goes on unless
        E(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED) is set. V(add) makes hosts of the missing machines that were named
        by ARM ID, in the group C(hotpatch_missing), so that a rollout counts them as not reached.
    type: str
    choices: [warn, fail, add]
    default: warn
notes:
  - Every role of this collection takes the hosts of any inventory whose host variable C(id) or C(hotpatch_resource_id)
    is the machine's ARM ID; hosts of C(azure.azcollection.azure_rm) will do.
  - Host variables have the names of C(azure.azcollection.azure_rm) where it has them (C(id), C(location),
    C(resource_group), C(powerstate), C(image), C(availability_zone), C(virtual_machine_size), C(vmid),
    C(private_ipv4_addresses), C(public_ipv4_addresses) and so on). C(name) and C(tags) are reserved in Ansible, which
    warns about them again and again, so that hosts have C(machine_name) and C(machine_tags); the expressions of
    O(compose), O(groups), O(keyed_groups) and O(hostnames) know both. Besides there are C(hotpatch_resource_id),
    C(hotpatch_ring), C(hotpatch_read_at), C(product), C(availability), C(availability_set), C(scale_set),
    C(time_zone), C(patch_settings), C(last_assessment), C(last_installation), and C(eligibility) with C(state),
    C(reasons) and C(not_judged).
  - A variable that is null either is not there or could not be read; in the latter case C(unread) has its name with
    the reason, such as a network interface that the account may not see.
  - Resource Graph does not show the VM agent, so C(eligibility) does not judge it (C(not_judged) says so).
    M(winfleet.hotpatch.machine_info) asks Compute itself.
  - Texts from Azure, such as tags, are never evaluated as templates.
  - Since ansible-core 2.19, C(ansible-inventory --list) writes every text of a plugin that is not marked as a
    template as a dictionary whose only key is C(__ansible_unsafe), and reads it back as the text. So it does with the
    hosts of C(azure.azcollection.azure_rm), of this plugin and of any other that trusts nothing (seen with ansible-core
    2.21). A program that reads the list itself has to take the text out.
  - AWX follows dots where it looks into variables while it imports an inventory, so that with ansible-core 2.19 and
    newer in its execution environment a source's enabled variable is C(powerstate.__ansible_unsafe) (value
    C(running)) in place of C(powerstate), and an instance ID variable C(id.__ansible_unsafe). This is read from AWX's
    source (C(inventory_import.py), of 2020), and was not tried on an AWX. AWX 24 was reported to fail the import of
    other plugins' such variables (community.general issue 8212, servicenow.itsm issue 349).
seealso:
  - module: winfleet.hotpatch.machine_info
  - plugin: azure.azcollection.azure_rm
    plugin_type: inventory
"""

EXAMPLES = r"""
# prod.hotpatch.yml: the Windows machines of a management group, by ring and region
plugin: winfleet.hotpatch.machines
management_groups: [mg-production]
plain_host_names: true
keyed_groups:
  - prefix: ring
    key: hotpatch_ring
    default_value: none
  - prefix: region
    key: location
groups:
  stopped: availability == 'stopped'
  cannot_be_hotpatched: eligibility.state == 'ineligible'
compose:
  ansible_winrm_server_cert_validation: "'validate'"
expect:
  file: expected-machines.txt
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/ansible/inventory
cache_timeout: 900

# canary.hotpatch.yml: the running canaries of two subscriptions, reached by their public addresses
# plugin: winfleet.hotpatch.machines
# subscriptions:
#   - 00000000-0000-0000-0000-000000000001
#   - 00000000-0000-0000-0000-000000000002
# tags:
#   hotpatch-ring: canary
# power_states: [running]
# address_order: [public]
# gather: [addresses]
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

try:
    from ansible.template import trust_as_template
except ImportError:
    # Until ansible-core 2.18 every text is a template unless it is marked as none.
    trust_as_template = None

from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.credentials.options import OPTIONS
from ansible_collections.winfleet.hotpatch.plugins.module_utils.azure.errors import AzureFailure
from ansible_collections.winfleet.hotpatch.plugins.module_utils.clock import ClockError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.errors import InputError
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.host_names import suffixed, unique_names
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.host_variables import with_aliases
from ansible_collections.winfleet.hotpatch.plugins.module_utils.domain.resource_id import ResourceId
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet import inventory_source
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.collector import collector_paused
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.inventory_source import Hosts, Variables
from ansible_collections.winfleet.hotpatch.plugins.module_utils.fleet.task import secret_values
from ansible_collections.winfleet.hotpatch.plugins.plugin_utils.rollout_action import plain

MISSING = "hotpatch_missing"
OWN = (
    "subscriptions", "management_groups", "resource_groups", "locations", "tags", "power_states", "api_version",
    "gather", "address_order", "ring_tag", "expect",
)  # fmt: skip


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """C(winfleet.hotpatch.machines)."""

    NAME = "winfleet.hotpatch.machines"
    _data: Any

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(("hotpatch.yml", "hotpatch.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        params = {name: self._option(name) for name in (*OPTIONS, *OWN)}
        environ = dict(os.environ)
        try:
            with collector_paused():
                hosts = self._hosts(params, environ, path, cache)
        except (InputError, ClockError) as error:
            raise AnsibleParserError(self._scrubbed(f"{path}: {error}", params, environ)) from None
        except AzureFailure as failure:
            raise AnsibleParserError(self._scrubbed(f"{path}: {failure.sentence}", params, environ)) from None
        if hosts.unmet and self.get_option("expect_missing") == "fail":
            raise AnsibleParserError(f"{path}: {hosts.unmet}")
        for warning in (*hosts.warnings, *([hosts.unmet] if hosts.unmet else ())):
            self.display.warning(f"{path}: {warning}")
        with collector_paused():
            self._populate(hosts)

    def _option(self, name: str) -> Any:
        """An option as plain data; in the configuration a value may be a template, such as a lookup of a secret."""
        value = self.get_option(name)
        if isinstance(value, str) and self.templar.is_template(value):
            value = self.templar.template(value)
        return plain(value)

    @staticmethod
    def _scrubbed(text: str, params: Mapping[str, Any], environ: Mapping[str, str]) -> str:
        try:
            return str(remove_values(text, secret_values(params, environ)))
        except InputError:
            return text

    def _hosts(self, params: dict[str, Any], environ: dict[str, str], path: str, cache: bool) -> Hosts:
        """What the cache holds, if it may be used and fits the options; else what Azure says, which is then kept."""
        may_cache = self.get_option("cache")
        digest = inventory_source.options_digest(params, environ)
        key = self.get_cache_key(path)
        if may_cache and cache:
            try:
                kept = inventory_source.from_cache(self._cache[key], digest)
            except KeyError:
                kept = None
            if kept is not None:
                return kept
        hosts = inventory_source.collect(params, environ, Path(path).resolve().parent)
        if may_cache:
            self._cache[key] = hosts.to_cache(digest)
        return hosts

    def _populate(self, hosts: Hosts) -> None:
        # Ansible's own inventory behind the proxy that notes for every single text which file it comes from: with ten
        # thousand hosts that takes ten seconds and 100 MB. Texts that nobody marked as templates are none either way.
        self._data = getattr(self.inventory, "__wrapped__", self.inventory)
        group = self.inventory.add_group(self._sanitize_group_name(self.get_option("group")))
        for name, value in (self.get_option("connection_defaults") or {}).items():
            self.inventory.set_variable(group, name, value)
        wished = [(self._wished_name(found), found["id"]) for found in hosts.variables]
        names, shared = unique_names(wished)
        for name, ids in shared.items():
            self.display.warning(f"{len(ids)} machines would be called {name}; digits of their IDs tell them apart.")
        compose, groups, keyed = (self.get_option(option) for option in ("compose", "groups", "keyed_groups"))
        strict = self.get_option("strict")
        for name, found in zip(names, hosts.variables):
            variables = safe(found)
            self._add(name, group, variables)
            if not (compose or groups or keyed):
                continue
            seen = with_aliases(variables)
            if compose:
                self._set_composite_vars(compose, seen, name, strict=strict)
                # With what was composed, as Ansible's own inventories have it.
                seen = {**seen, **self.inventory.get_host(name).get_vars()}
            if groups or keyed:
                self._add_host_to_composed_groups(groups, seen, name, strict=strict, fetch_hostvars=False)
                self._add_host_to_keyed_groups(keyed, seen, name, strict=strict, fetch_hostvars=False)
        if self.get_option("expect_missing") == "add":
            self._add_missing(hosts.missing)

    def _add(self, name: str, group: str, variables: Variables) -> None:
        known = name in self._data.hosts
        self._data.add_host(name, group=group)
        if not known:
            # What set_variable comes to for a new host, without its checks of ten thousand times the same names.
            self._data.hosts[name].vars.update(variables)
            return
        for variable, value in variables.items():
            self._data.set_variable(name, variable, value)

    def _add_missing(self, missing: list[str]) -> None:
        for machine in _machine_ids(missing):
            group = self.inventory.add_group(MISSING)
            default = machine.name if self.get_option("plain_host_names") else suffixed(machine.name, str(machine))
            name = default if default not in self.inventory.hosts else suffixed(machine.name, str(machine), 40)
            known = {"id": str(machine), "hotpatch_resource_id": str(machine), "machine_name": machine.name}
            self._add(name, group, {**known, "unread": {"machine": "Resource Graph does not show it"}})

    def _wished_name(self, variables: Variables) -> str:
        for expression in self.get_option("hostnames"):
            if expression == "default":
                break
            try:
                found = self._compose(expression, with_aliases(safe(variables)))
            except Exception as error:
                if self.get_option("strict"):
                    raise AnsibleParserError(f"hostnames: {expression} of {variables['id']}: {error}") from error
                continue
            if isinstance(found, str) and found:
                return str(plain(found))
        name: str = variables["machine_name"]
        return name if self.get_option("plain_host_names") else suffixed(name, variables["id"])


def _machine_ids(named: list[str]) -> Iterator[ResourceId]:
    """The ARM IDs among what was named; names alone make no host."""
    for item in named:
        try:
            yield ResourceId.parse(item, "expect")
        except InputError:
            continue


def safe(variables: Variables) -> Variables:
    """Return the variables so that no text of theirs is ever evaluated as a template."""
    if trust_as_template is not None:
        return variables
    marked: Variables = marked_unsafe(variables)
    return marked


def marked_unsafe(value: Any) -> Any:
    """Mark every text that could be a template as one that must not be evaluated."""
    if isinstance(value, str):
        return wrap_var(value) if "{" in value else value
    if isinstance(value, dict):
        return {marked_unsafe(name): marked_unsafe(item) for name, item in value.items()}
    if isinstance(value, list):
        return [marked_unsafe(item) for item in value]
    return value
