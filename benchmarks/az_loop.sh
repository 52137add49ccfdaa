#!/usr/bin/env bash
# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# What many do without a collection: az_loop.sh RESOURCE_GROUP MACHINE... assesses and installs, a job a machine.
set -u
group=$1
shift

one() {
    az vm assess-patches --resource-group "$group" --name "$1" --output none &&
        az vm install-patches --resource-group "$group" --name "$1" --maximum-duration PT2H --reboot-setting Never \
            --kb-numbers-to-include KB5087423 KB5087424 --output none
}

failed=0
jobs=()
for machine in "$@"; do
    one "$machine" &
    jobs+=($!)
done
for job in "${jobs[@]}"; do
    wait "$job" || failed=1
done
exit "$failed"
