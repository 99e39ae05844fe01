/* Draw the charts again with tooltips; where that fails, the SVG stays. */
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Nothing a spec names may be loaded; the interpreter (ast) needs no eval.
  const refuse = () => Promise.reject(new Error("this page loads nothing"));
  const options = { mode: "vega-lite", renderer: "svg", actions: false, ast: true,
    loader: { load: refuse, sanitize: refuse } };
  // A chart is as wide as its SVG was, or as the page when that is narrower.
  const fit = (spec, excess) => {
    for (const part of [spec, ...(spec.vconcat ?? [])])
      if (typeof part.width === "number") part.width = Math.max(160, part.width - excess);
    return spec;
  };
  const hydrate = async (figure) => {
    const source = figure.querySelector("script[type='application/json']");
    const drawing = figure.querySelector(".drawing");
    if (!source || !drawing) return "still";
    const still = drawing.firstElementChild;
    const live = document.createElement("div");
    const excess = Math.max(0, Number(still.getAttribute("width")) - drawing.clientWidth);
    await vegaEmbed(live, fit(JSON.parse(source.textContent), excess), options);
    const svg = live.querySelector("svg");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", still.getAttribute("aria-label"));
    // The image has one label; the names Vega gives to its parts would be read out one by one.
    const spoken = ["role", "aria-roledescription", "aria-label"];
    for (const part of [live, ...all("[role]", svg)])
      for (const name of spoken) part.removeAttribute(name);
    drawing.replaceChildren(live);
    return "live";
  };
  for (const figure of all("[data-chart]"))
    hydrate(figure).catch(() => "still").then((state) => { figure.dataset.chart = state; });
})();
