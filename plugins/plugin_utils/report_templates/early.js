// Copyright (c) 2026, winfleet contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// Runs before the table is read: with scripts, its rows are first laid out when they have been cut into pages.
document.documentElement.classList.add("scripted");
