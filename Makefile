# Copyright (c) 2026, winfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
# The project's verbs. Each one sets up what it needs under .build/ and nothing outside it.

PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help rehearsal rehearsal-stop test lint unit foreign-az foreign-read benchmark benchmark-guests benchmark-inventory docs clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

rehearsal: ## roll a release out over sixty machines of the embedded Azure; again: nothing changes
	@$(PYTHON) tools/rehearsal.py run

rehearsal-stop: ## end the embedded Azure that a rehearsal left running, and forget its state
	@$(PYTHON) tools/rehearsal.py stop

test: ## every gate, as CI runs them
	@$(PYTHON) tools/gates.py

lint: ## only linters, types, arrows and formats
	@$(PYTHON) tools/gates.py lint

unit: ## only the unit tests
	@$(PYTHON) tools/gates.py unit

foreign-read: ## let azure.azcollection and every azure-mgmt-compute from 33 read the fleet (installs them under .build/)
	@$(PYTHON) tools/foreign_read.py

benchmark: ## 1,000 machines against the offline optimum, inventory of 10,000; PEERS=1: az and azure.azcollection beside it
	@$(PYTHON) tools/benchmark.py

benchmark-guests: ## 200 guests read by guest_info against a bare pywinrm loop of the same requests
	@$(PYTHON) benchmarks/guests.py

benchmark-inventory: ## inventory and status of 10,000 machines against a bare loop; PEERS=1 as above
	@$(PYTHON) tools/benchmark.py inventory

foreign-az: ## let the az CLI judge the embedded Azure (installs azure-cli under .build/)
	@$(PYTHON) tools/foreign_az.py

docs: ## build the documentation site into .build/docs
	@$(PYTHON) tools/docs.py

clean: rehearsal-stop ## remove everything that these verbs made
	@rm -rf .build
