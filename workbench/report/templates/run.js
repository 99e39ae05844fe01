/* The page of a run: copy the numbers, unfold the code. */
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  const block = document.getElementById("run-metadata");
  const quoted = (value) => (/[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : value);
  const rows = ({ series }) => series.flatMap((one) => one.value.map((value, i) =>
    [one.metric, one.unit, one.tier, one.case, one.variant, one.repeat[i], value]));
  const csv = (run) => [["metric", "unit", "tier", "case", "variant", "repeat", "value"], ...rows(run)]
    .map((row) => row.map(quoted).join(",")).join("\n");
  const copy = async (text) => {
    try { return await navigator.clipboard.writeText(text); } catch { /* no permission: by selection */ }
    const area = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  for (const button of all("[data-copy]")) {
    button.hidden = false;
    button.onclick = async () => {
      const run = JSON.parse(block.textContent);
      await copy(button.dataset.copy === "csv" ? csv(run) : JSON.stringify(run, null, 1));
      document.querySelector("[data-copy-status]").textContent = "Copied.";
    };
  }
  for (const button of all("[data-toggle-code]")) {
    button.hidden = false;
    button.onclick = () => {
      const open = button.textContent === "Show all code";
      for (const code of all("details.code")) code.open = open;
      button.textContent = open ? "Fold all code" : "Show all code";
    };
  }
})();
