/* The comparison page: fold the rows that are equal. */
(() => {
  const box = document.querySelector("[data-fold]");
  if (!box) return;
  const equal = [...document.querySelectorAll("tr[data-differs='no']")];
  const apply = () => {
    for (const row of equal) row.hidden = box.checked;
    for (const note of document.querySelectorAll("[data-none]")) {
      const empty = !note.parentElement.querySelector("tbody tr:not([hidden])");
      note.hidden = !empty;
      note.nextElementSibling.hidden = empty;
    }
    const text = box.checked ? `${equal.length} equal rows are folded.` : "Everything is shown.";
    document.querySelector("[data-fold-status]").textContent = text;
  };
  box.closest(".fold").hidden = false;
  box.onchange = apply;
  apply();
})();
