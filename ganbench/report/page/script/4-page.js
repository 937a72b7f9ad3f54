// What the reader does: filters, theme, printing, sections, downloads.

const root = document.documentElement;
const shownNote = document.getElementById("shown");
const runs = unpack(page.runs);

/** What is outside figures and belongs to runs: rows of the summary, pictures. */
const marked = [...document.querySelectorAll("main [data-variant]")].map((node) => ({
  node,
  row: Object.fromEntries(FIELDS.filter((field) => field in node.dataset)
    .map((field) => [field, page.filters[field][Number(node.dataset[field])]])),
}));

function applyChoice() {
  for (const { node, row } of marked) node.hidden = !passes(row);
  for (const box of document.querySelectorAll(".choices input")) {
    const field = box.closest("fieldset").dataset.field;
    box.checked = shown[field].has(page.filters[field][Number(box.value)]);
  }
  for (const field of FIELDS) {
    const count = document.querySelector(`[data-field=${field}] legend span`);
    count.textContent = all(field) ? "" : `${shown[field].size} of ${page.filters[field].length}`;
  }
  const count = runs.filter(passes).length;
  shownNote.hidden = everything();
  shownNote.textContent = `${count} of ${runs.length} runs shown. ` +
    "Charts, tables, CSV and SVG hold these; rates, intervals, tests and sentences are over all runs: they do " +
    "not change with the filters.";
  refresh();
}

function choose(field, values) {
  shown[field] = new Set(values);
  writeAddress();
  applyChoice();
}

for (const fieldset of document.querySelectorAll(".filters fieldset")) {
  const { field } = fieldset.dataset;
  const labels = [...fieldset.querySelectorAll(".choices label")];
  const valueOf = (label) => page.filters[field][Number(label.querySelector("input").value)];
  const checked = () => labels.filter((label) => label.querySelector("input").checked).map(valueOf);
  fieldset.addEventListener("change", (event) => event.target.type === "checkbox" && choose(field, checked()));
  for (const button of fieldset.querySelectorAll("[data-all]")) {
    button.onclick = () => { // of what the search has left
      const found = labels.filter((label) => !label.hidden).map(valueOf);
      const rest = checked().filter((value) => !found.includes(value));
      choose(field, button.dataset.all === "yes" ? [...rest, ...found] : rest);
    };
  }
  fieldset.querySelector("[type=search]")?.addEventListener("input", (event) => {
    const text = event.target.value.toLowerCase();
    for (const label of labels) label.hidden = !label.textContent.toLowerCase().includes(text);
  });
}
for (const { node, row } of marked) {
  node.querySelector("[data-only]")?.addEventListener("click", () => {
    for (const field of FIELDS) shown[field] = new Set([row[field]]);
    writeAddress();
    applyChoice();
  });
}
document.getElementById("reset").onclick = () => {
  for (const field of FIELDS) shown[field] = new Set(page.filters[field]);
  writeAddress();
  applyChoice();
};

function setTheme(name) {
  root.dataset.theme = name;
  const button = document.getElementById("theme");
  button.textContent = name === "dark" ? "Light" : "Dark";
  button.setAttribute("aria-pressed", String(name === "dark"));
}
document.getElementById("theme").onclick = () => {
  setTheme(dark() ? "light" : "dark");
  refresh();
};

async function print() {
  onPaper = true;
  await drawAll();
  addEventListener("afterprint", () => {
    onPaper = false;
    if (dark()) refresh();
  }, { once: true });
  window.print();
}
document.getElementById("print").onclick = print;
document.getElementById("unfold").onclick = () => {
  for (const part of document.querySelectorAll("details.fold, details.metric")) part.open = true;
};
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "p") {
    event.preventDefault();
    print();
  }
});

/** Links within the page keep the choice in the address. */
document.addEventListener("click", (event) => {
  const target = event.target.closest("a[href^='#']")?.getAttribute("href").slice(1);
  const node = target && document.getElementById(target);
  if (!node) return;
  event.preventDefault();
  writeAddress(target);
  goTo(node);
});
function goTo(node) {
  for (let at = node; at; at = at.parentElement) if (at.matches("details")) at.open = true;
  node.querySelector(":scope > details.fold")?.setAttribute("open", "");
  node.scrollIntoView();
  node.tabIndex = -1;
  node.focus({ preventScroll: true });
}
addEventListener("hashchange", () => { chooseFromAddress(); applyChoice(); });

const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
const sections = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) links.get(target.id).setAttribute("aria-current", "true");
    else links.get(target.id).removeAttribute("aria-current");
  }
}, { rootMargin: "-45% 0px -50% 0px" });
for (const id of links.keys()) sections.observe(document.getElementById(id));

for (const figure of figures) {
  figure.details.addEventListener("toggle", () => figure.details.open && showTable(parsed(figure)));
  const named = (suffix) => `${figure.name}${everything() ? "" : "-filtered"}.${suffix}`;
  figure.node.querySelector("[data-save=csv]").onclick = () =>
    save(csv(parsed(figure)), named("csv"), "text/csv");
  figure.node.querySelector("[data-save=svg]")?.addEventListener("click", async () => {
    if (figure.stale) await update(figure);
    await figure.work;
    if (figure.view) save(await figure.view.toSVG(), named("svg"), "image/svg+xml");
  });
}
document.getElementById("lock")?.addEventListener("click", () =>
  save(document.getElementById("suite-lock").textContent, "suite.lock.json", "application/json"));

globalThis.report = { page, figures }; // for whoever opens the console

setTheme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
for (const id of ["menu", "filters"]) document.getElementById(id).open = innerWidth >= 900;
chooseFromAddress();
for (const { chart } of figures) if (chart) watcher.observe(chart);
applyChoice();
const start = document.getElementById(location.hash.slice(1).split("?")[0]);
if (start) goTo(start);
