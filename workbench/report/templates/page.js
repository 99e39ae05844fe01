/* Every page: the theme, and boxes that scroll. Without scripts the page reads the same. */
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;

  const themes = ["system", "light", "dark"];
  const toggle = document.querySelector("[data-theme-toggle]");
  const setTheme = (theme) => {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    toggle.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("workbench-theme", theme); } catch { /* not kept then */ }
  };
  let stored = "system";
  try { stored = localStorage.getItem("workbench-theme"); } catch { /* a closed store */ }
  setTheme(themes.includes(stored) ? stored : "system");
  toggle.hidden = false;
  toggle.onclick = () => setTheme(themes[(themes.indexOf(root.dataset.theme ?? "system") + 1) % 3]);

  // On a narrow screen the list of sections would push the verdict out of sight.
  for (const list of all(".outline details")) list.open = matchMedia("(min-width: 68rem)").matches;

  // What scrolls sideways must be reachable by keyboard, and only that.
  const reachable = () => all(".scroll, main pre, .drawing").forEach((box) => {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  });
  addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true);
  reachable();
})();
