// Tables of figures, on the page (a few hundred rows at a time) and as CSV: always of what passes the filters.

const ROWS = 100;
const INFINITE = { inf: "∞", "-inf": "-∞" };

/** A cell as a reader sees it: three digits, whole numbers in full. */
function cellText(value) {
  if (value === null || value === undefined) return "–";
  if (value in INFINITE) return INFINITE[value];
  if (typeof value !== "number") return typeof value === "object" ? JSON.stringify(value) : String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  const size = Math.abs(value);
  return size >= 999.5 && size < 1e6 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

/** How a column is set: numbers to the right, short texts on one line, longer ones wrapped. */
function columnClass(column) {
  if (column.of) return column.of.every((text) => text.length <= 22) ? "short" : "long";
  return column.some((value) => typeof value === "number") ? "number" : "short";
}

function element(tag, text = "", attributes = {}) {
  const made = Object.assign(document.createElement(tag), attributes);
  made.textContent = text;
  return made;
}

/** The table of a figure with those of its rows that pass the filters, up to `limit`. */
function showTable(figure, limit = ROWS) {
  const { columns } = figure.table;
  const names = Object.keys(columns);
  const classes = names.map((name) => columnClass(columns[name]));
  const rows = figure.tableRows.filter(passes);
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  names.forEach((name, at) =>
    head.append(element("th", name.replaceAll("_", " "), { scope: "col", className: classes[at] })));
  const body = table.createTBody();
  for (const row of rows.slice(0, limit)) {
    const line = body.insertRow();
    names.forEach((name, at) =>
      line.append(element("td", cellText(row[name]), { className: classes[at], dir: "auto" })));
  }
  figure.scroll.replaceChildren(table);
  if (rows.length > limit) {
    const more = element("button", `Show more: ${limit} of ${rows.length} rows are here`, { type: "button" });
    more.onclick = () => showTable(figure, limit + 5 * ROWS);
    figure.scroll.append(more);
  }
}

/** Say beside a table how many of its rows pass: "(11 rows)" becomes "(5 of 11 rows)". */
function countRows(figure) {
  const passed = everything() ? "(" : `(${parsed(figure).tableRows.filter(passes).length} of `;
  figure.count.textContent = figure.rowsInAll.replace("(", passed);
}

/** The rows that pass as CSV, as pandas writes it. */
function csv(figure) {
  const names = Object.keys(figure.table.columns);
  const quote = (value) => {
    const text = value === null || value === undefined ? "" :
      typeof value === "object" ? JSON.stringify(value) : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = figure.tableRows.filter(passes).map((row) => names.map((name) => quote(row[name])).join(","));
  return [names.map(quote).join(","), ...lines, ""].join("\n");
}
