// The data of the page: packed columns back to rows, which runs are shown, and that choice in the address.

const FIELDS = ["variant", "outcome", "seed"];
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const page = read("data");

/** A column's values; a cell that was infinite is the text "inf" or "-inf". */
const unpackColumn = (column) =>
  Array.isArray(column) ? column : column.at.map((at) => (at < 0 ? null : column.of[at]));

/** Packed columns as a list of rows. */
function unpack(packed) {
  const names = Object.keys(packed.columns);
  const columns = names.map((name) => unpackColumn(packed.columns[name]));
  return Array.from({ length: packed.rows }, (_, row) =>
    Object.fromEntries(names.map((name, at) => [name, columns[at][row]])));
}

/** field -> the set of values that are shown. */
const shown = Object.fromEntries(FIELDS.map((field) => [field, new Set(page.filters[field])]));
const all = (field) => shown[field].size === page.filters[field].length;
const everything = () => FIELDS.every(all);

/** Whether a row passes: only fields that it has count; `other` is the second variant of a comparison. */
function passes(row) {
  return FIELDS.every((field) => row[field] == null || all(field) || shown[field].has(row[field])) &&
    (row.other == null || all("variant") || shown.variant.has(row.other));
}

/** The choice as text for the address: of each field that is not whole, the positions of what is shown. */
function choiceText() {
  const parts = new URLSearchParams();
  for (const field of FIELDS.filter((name) => !all(name))) {
    const at = page.filters[field].flatMap((value, index) => (shown[field].has(value) ? [index] : []));
    parts.set(field, at.join("."));
  }
  return parts.toString();
}

/** Take over the choice of an address such as "#failures?variant=0.2". What it does not name is whole. */
function chooseFromAddress() {
  const parts = new URLSearchParams(location.hash.split("?")[1] ?? "");
  for (const field of FIELDS) {
    const values = page.filters[field];
    const at = parts.get(field)?.split(".").filter((text) => text !== "").map(Number);
    shown[field] = new Set(at ? at.filter((index) => index in values).map((index) => values[index]) : values);
  }
}

/** Keep the choice in the address, beside the section that the reader is at. */
function writeAddress(section = location.hash.slice(1).split("?")[0]) {
  const choice = choiceText();
  history.replaceState(null, "", `#${section}${choice ? `?${choice}` : ""}`);
}

/** Have the browser save a text as a file. */
function save(text, name, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
