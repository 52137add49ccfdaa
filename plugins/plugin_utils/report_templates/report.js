// Copyright (c) 2026, winfleet contributors
// SPDX-License-Identifier: GPL-3.0-or-later
// Makes the table of machines sortable, searchable and paged with DataTables; without it the page is readable as it is.
(function () {
  "use strict";
  var element = document.getElementById("machines-table");
  var choice = document.getElementById("group-choice");
  var GROUP_COLUMN = 0, WAVE_COLUMN = 3, REASON_COLUMN = 7;
  var table = new DataTable(element, {
    autoWidth: false,
    caption: element.caption ? element.caption.innerHTML : "",
    columnDefs: [
      { targets: GROUP_COLUMN, visible: false, searchable: false },
      // Named types spare the table a guess over each of ten thousand rows.
      { targets: WAVE_COLUMN, type: "num" },
      { targets: REASON_COLUMN, type: "html" },
      { targets: "_all", type: "string" }
    ],
    language: {
      search: "Search all machines",
      lengthMenu: "Machines on a page _MENU_",
      info: "Machines _START_ to _END_ of _TOTAL_",
      infoEmpty: "No machines",
      infoFiltered: "(of _MAX_)",
      emptyTable: "The rollout has no machines.",
      zeroRecords: "No machine matches."
    },
    layout: {
      topStart: function () { return document.getElementById("group-filter"); },
      topEnd: "search",
      bottomStart: ["info", "pageLength"],
      bottomEnd: "paging"
    },
    lengthMenu: [25, 100, 500],
    order: [],
    pageLength: 25
  });
  document.documentElement.classList.add("tabled");

  function show(group) {
    choice.value = group;
    table.search.fixed("group", group ? function (text, data) { return data[GROUP_COLUMN] === group; } : null).draw();
  }
  choice.addEventListener("change", function () { show(choice.value); });
  document.querySelectorAll("a[data-group]").forEach(function (link) {
    link.addEventListener("click", function () { show(link.getAttribute("data-group")); });
  });

  // On paper there are no pages to turn: every machine that search and filter leave is printed.
  var length = table.page.len();
  window.addEventListener("beforeprint", function () {
    length = table.page.len();
    table.page.len(-1).draw();
  });
  window.addEventListener("afterprint", function () { table.page.len(length).draw(); });
})();
