# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds the machines and principals of one fleet document; ids are drawn by seed, so a run can be repeated."""

from __future__ import annotations

import ipaddress
import random
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from hotpatch_emulator import catalogue, inside
from hotpatch_emulator.assertions import AUDIENCE, ApplicationCertificate, FederatedTrust
from hotpatch_emulator.rbac import Grant, Role, custom_roles
from hotpatch_emulator.settings import FleetError, Principal, Script, WinrmService, make_secret
from hotpatch_emulator.state import Guest, ImageReference, PatchSettings, VirtualMachine


class Builder:
    """Everything a document describes; ``built`` counts the machines handed out."""

    def __init__(self, document: Mapping[str, Any], seed: int, now: datetime, network: str, name: str) -> None:
        self._document = document
        self._random = random.Random(f"{seed}:ids")
        self._now = now
        self._name = name
        self._user = str(document.get("guest_user", "hotpatch-probe"))
        self._password = make_secret(24)
        self._network = network
        self._addresses = (str(host) for host in ipaddress.ip_network(network).hosts())
        self.tenant = str(document.get("tenant") or self._uuid())
        wanted = document.get("subscriptions") or [{"name": "rehearsal"}]
        self.subscriptions = {str(item.get("id") or self._uuid()): str(item["name"]) for item in wanted}
        self.built = 0
        self._dealt: dict[tuple[Any, ...], int] = {}

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _address(self) -> str:
        try:
            return next(self._addresses)
        except StopIteration:
            raise FleetError(
                f"fleet file {self._name}: the guest network {self._network} has too few addresses; give a larger one"
            ) from None

    def principals(self) -> list[Principal]:
        """Those of the file, or one rollout principal, one reader, the managed identity and a user."""
        wanted = self._document.get("principals") or [
            {
                "name": "rollout",
                "roles": [{"role": "Virtual Machine Contributor"}],
                "proofs": ["secret", "certificate", "federated"],
            },
            {"name": "reader", "roles": [{"role": "Reader"}]},
            {"name": "control-node", "managed_identity": True, "roles": [{"role": "Virtual Machine Contributor"}]},
            {"name": "operator", "proofs": ["password"], "roles": [{"role": "Virtual Machine Contributor"}]},
        ]
        return [self._principal(item) for item in wanted]

    def _principal(self, item: Mapping[str, Any]) -> Principal:
        name, managed = str(item["name"]), bool(item.get("managed_identity", False))
        proofs = () if managed else tuple(item.get("proofs", ("secret",)))
        if "password" in proofs and len(proofs) > 1:
            raise FleetError(
                f"fleet file {self._name}: principal {name} has the proof password, so it can have no other"
            )
        valid_days = float(item.get("certificate_valid_days", 365))
        subject = str(item.get("federated_subject", f"system:serviceaccount:automation:{name}"))
        is_user = "password" in proofs
        return Principal(
            name=name,
            client_id=self._uuid(),
            object_id=self._uuid(),
            secret=make_secret(),
            managed_identity=managed,
            grants=tuple(self._grant(role) for role in item.get("roles", ())),
            proofs=proofs,
            certificate=ApplicationCertificate(name, valid_days) if "certificate" in proofs else None,
            federated=FederatedTrust(subject, str(item.get("federated_audience", AUDIENCE)))
            if "federated" in proofs
            else None,
            user=str(item.get("user", f"{name}@hotpatch.example")) if is_user else "",
            password=make_secret(24) if is_user else "",
        )

    def _grant(self, given: Mapping[str, Any]) -> Grant:
        """One assignment: a role by name, or actions of its own, on a scope, a subscription or a group in it."""
        scope = str(given.get("scope", "")).rstrip("/").lower()
        if "subscription" in given or "resource_group" in given:
            scope = f"/subscriptions/{self._subscription(given.get('subscription'), 'a role')}".lower()
            if "resource_group" in given:
                scope += f"/resourcegroups/{given['resource_group']}".lower()
        roles = custom_roles(self._document.get("roles", ()))
        name = given.get("role")
        if name is not None and name not in roles:
            raise FleetError(
                f"fleet file {self._name}: role {name!r} is not known; allowed are {', '.join(sorted(roles))}"
            )
        base = roles[name] if name is not None else Role(())
        actions = base.actions + tuple(given.get("actions", ()))
        return Grant(scope, Role(actions, base.not_actions + tuple(given.get("not_actions", ()))))

    def machines(self) -> Iterator[VirtualMachine]:
        defaults = self._document.get("defaults", {})
        for item in self._document["machines"]:
            merged = _merge(defaults, item)
            count = merged.pop("count", None)
            names = [merged["name"]] if count is None else [f"{merged['name']}{n:04d}" for n in range(1, count + 1)]
            for machine_name in names:
                self.built += 1
                yield self._machine(machine_name, merged)

    def _machine(self, name: str, item: Mapping[str, Any]) -> VirtualMachine:
        product = catalogue.PRODUCTS[item.get("product", "ws2025")]
        image = self._image(product, item.get("image", {}))
        settings = self._settings(image, item.get("patch_settings", {}))
        drawn = self._uuid()  # always drawn, so that one machine's own does not change the others'
        vm_id = str(item.get("vm_id") or drawn)
        created = self._now - timedelta(days=self._random.randint(40, 400), seconds=self._random.random() * 86_400)
        power = str(item.get("power", "running"))
        zone, ring = item.get("zone"), item.get("ring")
        return VirtualMachine(
            subscription_id=self._subscription(item.get("subscription"), f"machine {item['name']}"),
            resource_group=str(item.get("resource_group", "rg-rehearsal")),
            name=name,
            location=str(item.get("location", "westeurope")),
            vm_id=vm_id,
            image=image,
            product=product.name,
            guest=self._guest(name, product, image, settings, vm_id, item.get("guest", {}), power),
            script=_script(item.get("script", {})),
            patch_settings=settings,
            time_created=created,
            provisioned_at=created + timedelta(seconds=90),
            size=str(item.get("size", "Standard_DS1_v2")),
            zones=(str(zone),) if zone is not None else (),
            availability_set=item.get("availability_set"),
            update_domain=self._update_domain(item),
            scale_set=item.get("scale_set"),
            public_address=item.get("public_address"),
            ring=ring,
            deleted=bool(item.get("deleted", False)),
            tags={**item.get("tags", {}), **({} if ring is None else {"hotpatch-ring": ring})},
            power_state=power,
            provision_vm_agent=bool(item.get("provision_vm_agent", True)),
            enable_automatic_updates=bool(item.get("enable_automatic_updates", True)),
            allow_extension_operations=bool(item.get("allow_extension_operations", True)),
            agent_ready=bool(item.get("agent_ready", True)),
            expect=dict(item.get("expect", {})),
            host=str(item.get("host") or name),
        )

    def _update_domain(self, item: Mapping[str, Any]) -> int | None:
        """The domain a fleet file gives, else Azure's way: the machines of a set are dealt over five in turn."""
        name = item.get("availability_set")
        if name is None:
            return None
        place = (item.get("subscription"), item.get("resource_group"), str(name).lower())
        dealt = self._dealt[place] = self._dealt.get(place, -1) + 1
        return int(item.get("update_domain", dealt % 5))

    def _subscription(self, wanted: str | None, who: str) -> str:
        """The id of a subscription given by id or name, of the first one by default."""
        if wanted is None:
            return next(iter(self.subscriptions))
        for identifier, name in self.subscriptions.items():
            if wanted in (identifier, name):
                return identifier
        raise FleetError(f"fleet file {self._name}: {who} names unknown subscription {wanted!r}")

    def management_groups(self) -> dict[str, tuple[str, ...]]:
        """Subscriptions by management group; the tenant's root group, named like the tenant, holds all."""
        groups = {self.tenant.lower(): tuple(self.subscriptions)}
        for name, members in self._document.get("management_groups", {}).items():
            groups[name.lower()] = tuple(self._subscription(member, f"group {name}") for member in members)
        return groups

    @staticmethod
    def _image(product: catalogue.Product, given: Mapping[str, Any]) -> ImageReference:
        if given.get("id"):
            return ImageReference("", "", "", id=str(given["id"]))
        year = product.name[2:]
        default_sku = {"2022": "2022-datacenter-azure-edition-hotpatch", "2025": "2025-datacenter-azure-edition"}[year]
        return ImageReference(
            publisher=str(given.get("publisher", "MicrosoftWindowsServer")),
            offer=str(given.get("offer", "WindowsServer")),
            sku=str(given.get("sku", default_sku)),
            version=str(given.get("version", "latest")),
            exact_version=str(given.get("exact_version", f"{product.build}.{product.releases[0].lcu_ubr}.251010")),
        )

    @staticmethod
    def _settings(image: ImageReference, given: Mapping[str, Any]) -> PatchSettings:
        fit = catalogue.supports_hotpatch(image.publisher, image.offer, image.sku)
        mode = str(given.get("patch_mode", "AutomaticByPlatform"))
        by_platform = mode == "AutomaticByPlatform"
        return PatchSettings(
            patch_mode=mode,
            enable_hotpatching=given.get("enable_hotpatching", True if fit and by_platform else None),
            assessment_mode=given.get("assessment_mode", "ImageDefault"),
            reboot_setting=given.get("reboot_setting"),
            bypass_platform_safety_checks=given.get("bypass_platform_safety_checks", False if by_platform else None),
        )

    def _guest(
        self,
        name: str,
        product: catalogue.Product,
        image: ImageReference,
        settings: PatchSettings,
        vm_id: str,
        given: Mapping[str, Any],
        power: str,
    ) -> Guest:
        edition = catalogue.edition(product, image.sku)
        enrolled = bool(given.get("enrolled", settings.enable_hotpatching is True))
        ubr, kbs = self._level(product, str(given.get("level", "baseline")), enrolled)
        kbs.update({kb: self._now - timedelta(days=30) for kb in given.get("kbs", ())})
        pending = bool(given.get("pending_restart", False))
        booted = self._now - timedelta(hours=float(given.get("booted_hours_ago", self._random.uniform(30, 600))))
        own_uuid = uuid.UUID(str(given.get("smbios_uuid", vm_id)))
        swapped = bool(given.get("smbios_uuid_swapped", True))  # SMBIOS keeps the first three fields byte-swapped
        smbios = uuid.UUID(bytes=own_uuid.bytes_le) if swapped else own_uuid
        return Guest(
            address=str(given.get("address") or self._address()),
            winrm=bool(given.get("winrm", True)),
            computer_name=name[:15],
            os_build=product.build,
            ubr=int(given.get("ubr", ubr)),
            caption=edition.caption,
            edition_sku=edition.sku,
            edition_id=edition.edition_id,
            display_version=product.display_version,
            booted_at=booted,
            username=self._user,
            password=self._password,
            time_zone=str(given.get("time_zone", "UTC")),
            utc_offset_minutes=int(given.get("utc_offset_minutes", 0)),
            clock_skew_seconds=float(given.get("clock_skew_seconds", round(self._random.uniform(-2, 2), 3))),
            kbs=kbs,
            hotpatch_package_version=given.get(
                "hotpatch_package_version", product.hotpatch_package_version if enrolled else None
            ),
            hotpatch_table_size=given.get("hotpatch_table_size", 4096 if enrolled else None),
            vbs_configured=bool(given.get("vbs_configured", True)),
            vbs_status=int(given.get("vbs_status", 2)),
            pending_restart=pending,
            cbs_keys={"RebootPending"} if pending else set(),
            wu_keys={"RebootRequired"} if pending else set(),
            smbios_uuid=str(smbios).upper(),
            services={**_SERVICES, **given.get("services", {})},
            free_memory_kb=int(given.get("free_memory_kb", 5_242_880)),
            total_memory_kb=int(given.get("total_memory_kb", 8_388_608)),
            cpu_percent=int(given.get("cpu_percent", 3)),
            powered_on=power == "running",
            winrm_service=_winrm_service(given),
            inside=inside.from_fleet(given, name[:15].upper(), self._now),
        )

    def _level(self, product: catalogue.Product, level: str, enrolled: bool) -> tuple[int, dict[str, datetime]]:
        """UBR and updates of a guest that stands at the baseline, the current release, behind or off the track."""
        now = self._now
        base, current = product.baseline(now), product.current(now)
        if level == "behind":
            base = product.baseline(base.available - timedelta(seconds=1))
        installed = base.available + timedelta(days=5, hours=3)
        kbs = {kb: installed - timedelta(days=200) for kb in product.preinstalled}
        kbs["KB9100001"] = installed - timedelta(days=1)  # a made-up .NET update: lists are never of one row
        kbs[base.lcu_kb] = min(installed, now)
        if level == "current" and current.hotpatch_kb and current.hotpatch_ubr and enrolled:
            kbs[current.hotpatch_kb] = now - timedelta(hours=2)
            return current.hotpatch_ubr, kbs
        if level == "current":
            kbs[current.lcu_kb] = now - timedelta(hours=2)
            return current.lcu_ubr, kbs
        if level == "off_track":
            # Some update beside the track: the build matches neither a baseline nor one of its hotpatches.
            kbs["KB9100002"] = now - timedelta(days=10)
            return base.lcu_ubr + 8, kbs
        return base.lcu_ubr, kbs


_SERVICES = {
    "wuauserv": "Running",
    "TrustedInstaller": "Stopped",
    "WindowsAzureGuestAgent": "Running",
    "RdAgent": "Running",
    "WinRM": "Running",
}


def _merge(defaults: Mapping[str, Any], item: Mapping[str, Any]) -> dict[str, Any]:
    """Machine over defaults, maps merged key by key."""
    merged = dict(defaults)
    for key, value in item.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _winrm_service(given: Mapping[str, Any]) -> WinrmService:
    names = ("https_listener", "http_listener", "allow_unencrypted", "cbt_hardening", "certificate_name")
    return WinrmService(
        authentication=tuple(given.get("authentication", ("basic",))),
        **{name: given[name] for name in names if name in given},
    )


def _script(given: Mapping[str, Any]) -> Script:
    offer, assess, install = given.get("offer", {}), given.get("assess", {}), given.get("install", {})
    return Script(
        reboot_behavior=offer.get("rebootBehavior"),
        offer_hidden=bool(offer.get("hidden", False)),
        assess_outcome=str(assess.get("outcome", "Succeeded")),
        assess_minutes=assess.get("duration"),
        install_outcome=str(install.get("outcome", "Succeeded")),
        restarts=bool(install.get("restarts", False)),
        install_minutes=install.get("duration"),
        platform_after_minutes=given.get("platform", {}).get("install_after_minutes"),
        then_installs=assess.get("then_installs"),
        install_winrm=install.get("winrm", {}),
        winrm=given.get("winrm", {}),
    )
