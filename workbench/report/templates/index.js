/* The index page: sort any table by a heading, filter the runs. */
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return text !== "" && !Number.isNaN(Number(text)) ? Number(text) : text;
  };
  const order = ([a], [b]) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  const sort = (table, column, heading) => {
    const down = heading.getAttribute("aria-sort") === "ascending";
    all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = [...table.tBodies[0].rows].map((row) => [valueOf(row, column), row]);
    const known = keyed.filter(([value]) => value !== "").sort(order);
    const missing = keyed.filter(([value]) => value === ""); // last, whichever way
    const sorted = [...(down ? known.reverse() : known), ...missing];
    table.tBodies[0].append(...sorted.map(([, row]) => row));
  };
  for (const table of all("[data-sortable]"))
    all("thead th", table).forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.onclick = () => sort(table, column, heading);
      heading.append(button);
    });

  const form = document.querySelector("[data-filters]");
  if (!form) return;
  const rows = all("tr[data-status]");
  const apply = () => {
    const text = form.text.value.trim().toLowerCase();
    const wanted = (row) =>
      (!form.status.value || row.dataset.status === form.status.value) &&
      (!form.machine.value || row.dataset.machine === form.machine.value) &&
      row.textContent.toLowerCase().includes(text);
    for (const row of rows) row.hidden = !wanted(row);
    const n = rows.filter((row) => !row.hidden).length;
    form.querySelector("[data-count]").textContent = `${n} of ${rows.length} runs`;
  };
  form.hidden = false;
  form.oninput = apply;
  form.onsubmit = (event) => event.preventDefault();
  apply();
})();
