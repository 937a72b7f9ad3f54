// Charts: drawn by Vega when they come into view, in the page's theme, from the rows that pass the filters.

const MANY_MARKS = 3000; // beyond it a canvas is faster than SVG
const dark = () => document.documentElement.dataset.theme === "dark";

/** All figures of the page, by name; their data are parsed when first needed. */
const figures = [...document.querySelectorAll("[data-figure]")].map((node) => ({
  name: node.dataset.figure,
  node,
  chart: node.querySelector(".chart"),
  scroll: node.querySelector(".scroll"),
  details: node.querySelector("details.data"),
  empty: node.querySelector(".empty"),
  view: null,
  stale: true, // not drawn at all, or by another choice or theme
  redraw: true, // new rows are not enough
  work: Promise.resolve(), // one thing after another
}));

function parsed(figure) {
  if (!figure.table) {
    const { spec, rows, table } = read(`data-${figure.name}`);
    Object.assign(figure, { spec, table, tableRows: unpack(table) });
    figure.rows = Object.fromEntries(Object.entries(rows).map(([name, packed]) => [name, unpack(packed)]));
  }
  return figure;
}

/** Fresh copies of the rows that pass: Vega marks the objects that it is given. */
const passing = (rows) => rows.filter(passes).map((row) => ({ ...row }));

/** The theme, with panels as wide as there is room for. Charts of one panel fit themselves. */
function fitted(theme, { chart, spec }) {
  const columns = spec.hconcat?.length ?? spec.columns ?? 1;
  const width = chart.clientWidth / columns - 170; // less what stands beside an axis
  return { ...theme, view: { ...theme.view, continuousWidth: Math.min(760, Math.max(180, width)) } };
}

/** Draw a figure anew. */
async function draw(figure, theme = dark() ? "dark" : "light") {
  if (!figure.chart) return;
  const { spec, rows } = parsed(figure);
  const datasets = Object.fromEntries(Object.entries(rows).map(([name, found]) => [name, passing(found)]));
  const count = Object.values(datasets).reduce((sum, found) => sum + found.length, 0);
  figure.redraw = false;
  figure.empty.hidden = count > 0;
  figure.chart.hidden = count === 0;
  figure.view?.finalize();
  figure.view = null;
  if (count === 0) return;
  const options = {
    mode: "vega-lite",
    ast: true, // expressions are interpreted: the page's policy forbids `eval`
    actions: false,
    defaultStyle: false,
    logLevel: 1, // errors
    renderer: count > MANY_MARKS ? "canvas" : "svg",
    config: fitted(page.themes[theme], figure),
    tooltip: { disableDefaultStyle: true },
  };
  try {
    figure.view = (await vegaEmbed(figure.chart, structuredClone({ ...spec, datasets }), options)).view;
  } catch (error) {
    figure.chart.textContent = `This chart could not be drawn: ${error.message}`;
    console.error(error);
  }
}

/** Give the drawn chart the rows that pass now. */
async function refilter(figure) {
  const sets = Object.entries(figure.rows).map(([name, rows]) => [name, passing(rows)]);
  if (sets.every(([, rows]) => rows.length === 0)) return draw(figure);
  for (const [name, rows] of sets) figure.view.data(name, rows);
  await figure.view.runAsync();
}

/** Bring a chart up to date. */
function update(figure) {
  figure.stale = false;
  figure.work = figure.work.then(() => (figure.redraw || !figure.view ? draw(figure) : refilter(figure)));
  return figure.work;
}

/** Draw what has come into view, and what comes there soon. */
const visible = new Set();
const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const figure = figures.find(({ chart }) => chart === target);
    visible[isIntersecting ? "add" : "delete"](figure);
    if (isIntersecting && figure.stale) update(figure);
  }
}, { rootMargin: "500px" });

/** All charts again: at once where they are in view, the others when there is time. */
function refresh(redraw) {
  for (const figure of figures) {
    figure.redraw ||= redraw;
    if (figure.details.open) showTable(parsed(figure));
    if (!figure.chart) continue;
    figure.stale = true;
    if (visible.has(figure)) update(figure);
  }
  updateIdly();
}

/** Every chart, in this theme: before printing. */
async function drawAll(theme) {
  for (const figure of figures) {
    figure.work = figure.work.then(() => draw(figure, theme));
    await figure.work;
  }
}

/** One after another while the reader reads, so that all are there for the browser's own print command. */
let idle = null;
function updateIdly() {
  const wait = window.requestIdleCallback ?? ((task) => setTimeout(task, 200));
  idle ??= wait(async () => {
    const next = figures.find((figure) => figure.chart && figure.stale);
    if (next) await update(next);
    idle = null;
    if (next) updateIdly();
  }, { timeout: 500 });
}
