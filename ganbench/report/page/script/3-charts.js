// Charts: drawn by Vega when they come into view, in the page's theme, from the rows that pass the filters.

const MANY_MARKS = 3000; // beyond it a canvas is faster than SVG
const dark = () => document.documentElement.dataset.theme === "dark";
let onPaper = false; // paper is white

/** All figures of the page, by name; their data are parsed when first needed. */
const figures = [...document.querySelectorAll("[data-figure]")].map((node) => ({
  name: node.dataset.figure,
  node,
  chart: node.querySelector(".chart"),
  scroll: node.querySelector(".scroll"),
  details: node.querySelector("details.data"),
  count: node.querySelector("details.data summary span"),
  rowsInAll: node.querySelector("details.data summary span").textContent,
  empty: node.querySelector(".empty"),
  view: null,
  stale: true, // not drawn at all, or by another choice or theme
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

/** How many rows belong to runs or variants; the others are rulers and the like, which no filter touches. */
const marks = (datasets) => Object.values(datasets).flat().filter((row) => FIELDS.some((name) => name in row)).length;

/** How many small charts stand in a row, and how wide a panel is. Charts of one panel fit themselves. */
function fitted({ chart, spec }) {
  const { margin = 0, columns = 1, gap = 0, least = 1 } = spec.usermeta ?? {};
  const room = chart.clientWidth - margin; // less what stands beside an axis
  const inRow = Math.max(1, Math.min(columns, Math.floor(room / least)));
  return { columns: inRow, width: Math.max(120, Math.floor(room / inRow) - gap) };
}

/** The specification with these data: as high as there are rows in them, legends of what is in them. */
function filled(spec, datasets, columns) {
  const found = structuredClone({ ...spec, datasets });
  const holds = ({ layer }) => layer.some(({ data }) => datasets[data?.name]?.length);
  for (const group of (found.vconcat ?? []).filter(({ concat }) => concat)) {
    Object.assign(group, { columns, concat: group.concat.filter(holds) });
  }
  if (found.vconcat) found.vconcat = found.vconcat.filter(({ concat }) => concat?.length !== 0);
  const rows = Object.values(datasets).flat();
  if (found.height?.step) found.height = found.height.step * new Set(rows.flatMap(({ row }) => row ?? [])).size;
  for (const { legend, scale, field } of everything() ? [] : legends(found)) {
    const there = new Set(rows.map((row) => row[field]));
    legend.values = (legend.values ?? scale.domain).filter((value) => there.has(value));
  }
  return found;
}

/** All channels of a specification that have a legend of names. */
function legends(node) {
  if (node === null || typeof node !== "object") return [];
  const own = node.legend && node.type === "nominal" && node.scale?.domain ? [node] : [];
  const parts = Object.keys(node).filter((name) => name !== "datasets").map((name) => node[name]);
  return [...own, ...parts.flatMap(legends)];
}

/** Draw a figure anew. */
async function draw(figure) {
  if (!figure.chart) return;
  const { spec, rows } = parsed(figure);
  const datasets = Object.fromEntries(Object.entries(rows).map(([name, found]) => [name, passing(found)]));
  const count = Object.values(datasets).flat().length;
  const nothing = marks(datasets) === 0 && (marks(rows) > 0 || count === 0);
  figure.empty.hidden = !nothing;
  figure.chart.hidden = nothing;
  figure.view?.finalize();
  figure.view = null;
  if (nothing) return;
  const { columns, width } = fitted(figure);
  const theme = page.themes[dark() && !onPaper ? "dark" : "light"];
  const options = {
    mode: "vega-lite",
    ast: true, // expressions are interpreted: the page's policy forbids `eval`
    actions: false,
    defaultStyle: false,
    logLevel: 1, // errors
    renderer: count > MANY_MARKS ? "canvas" : "svg",
    config: { ...theme, view: { ...theme.view, continuousWidth: width } },
    tooltip: { disableDefaultStyle: true },
  };
  try {
    figure.view = (await vegaEmbed(figure.chart, filled(spec, datasets, columns), options)).view;
  } catch (error) {
    figure.chart.textContent = `This chart could not be drawn: ${error.message}`;
    console.error(error);
  }
}

/** Bring a chart up to date. */
function update(figure) {
  figure.stale = false;
  figure.work = figure.work.then(() => draw(figure));
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
function refresh() {
  for (const figure of figures) {
    countRows(figure);
    if (figure.details.open) showTable(parsed(figure));
    if (!figure.chart) continue;
    figure.stale = true;
    if (visible.has(figure)) update(figure);
  }
  updateIdly();
}

/** Whether a figure stands in what is folded: there it has no width, and is drawn when that is opened. */
const folded = ({ node }) => node.closest("details:not([open])") !== null;

/** Every chart that is not folded: before printing. */
async function drawAll() {
  for (const figure of figures) if (!folded(figure)) await update(figure);
}

/** One after another while the reader reads, so that all are there for the browser's own print command. */
let idle = null;
function updateIdly() {
  const wait = window.requestIdleCallback ?? ((task) => setTimeout(task, 200));
  idle ??= wait(async () => {
    const next = figures.find((figure) => figure.chart && figure.stale && !folded(figure));
    if (next) await update(next);
    idle = null;
    if (next) updateIdly();
  }, { timeout: 500 });
}
