// Search the examples with DataTables, which the module before this one defines. All text is escaped.
{
const unpack = async (id) => {
  const signs = atob(document.getElementById(id).textContent);
  const content = new Uint8Array(signs.length);
  for (let at = 0; at < signs.length; at += 1) content[at] = signs.charCodeAt(at); // Uint8Array.from takes a second
  const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
};
const rows = JSON.parse(new TextDecoder().decode(await unpack("rows")));
// What the table shows of each row, but not the length of the answer.
const shown = rows.map((row) => row.slice(1, 7).join(" ").toLowerCase());

// The words of all texts, and where the rows of each begin: see word_index.py.
const read = async () => {
  const content = await unpack("words");
  const end = 4 + new DataView(content.buffer).getUint32(0, true);
  const words = new TextDecoder().decode(content.subarray(4, end)).split("\n");
  const starts = new Uint32Array(words.length);
  for (let word = 0, at = end; word < words.length; word += 1) {
    starts[word] = at;
    at = content.indexOf(0, at) + 1;
  }
  return { content, words, starts };
};
let reading;
const rowsWith = ({ content, words, starts }, part) => {
  const found = new Uint8Array(rows.length);
  words.forEach((word, number) => {
    if (!word.includes(part)) return;
    for (let at = starts[number], row = -1; content[at] !== 0; at += 1) {
      let difference = 0;
      for (let shift = 0; ; shift += 7, at += 1) {
        difference |= (content[at] & 127) << shift;
        if (content[at] < 128) break;
      }
      row += difference;
      found[row] = 1;
    }
  });
  return found;
};
// A term such as tag:numpy looks at one column only. score:5 wants a score of at least 5.
const columns = {
  tag: (row, value) => row[3].toLowerCase().split(" ").includes(value),
  split: (row, value) => row[4] === value,
  score: (row, value) => row[5] >= Number(value),
  year: (row, value) => row[6] === value,
};
// A row is found if each term is in what is shown, or if all words of the term are in the texts. A "quoted phrase" must
// be in what is shown, because the index knows no order.
const find = async (asked) => {
  const terms = [...asked.toLowerCase().matchAll(/"([^"]+)"?|[^\s"]+/g)];
  if (!terms.length) return null;
  const index = await (reading ??= read());
  const found = terms.map(([term, phrase]) => {
    const [, name, value] = /^(tag|split|score|year):(.+)/.exec(term) ?? [];
    if (name) return (row) => columns[name](rows[row], value);
    if (phrase) return (row) => shown[row].includes(phrase);
    const parts = [...term.matchAll(/[\p{L}\p{N}_]{1,40}/gu)].map((match) => rowsWith(index, match[0]));
    return (row) => shown[row].includes(term) || (parts.length > 0 && parts.every((part) => part[row]));
  });
  return (row) => found.every((has) => has(row));
};

const box = document.createElement("label");
const input = document.createElement("input");
input.type = "search";
box.className = "dt-search";
box.append("Search ", input);
let matches = null;
const text = DataTable.render.text();
const table = new DataTable("#examples", {
  data: rows,
  deferRender: true,
  autoWidth: false,
  pageLength: 25,
  order: [],
  columnDefs: [{ targets: "_all", searchable: false }], // DataTables itself searches nothing
  layout: { topStart: () => box, topEnd: "pageLength", bottomStart: "info", bottomEnd: "paging" },
  language: { lengthMenu: "_MENU_ rows a page", zeroRecords: "No example has all of these words." },
  columns: [
    {
      title: "title",
      data: 1,
      render: text,
      createdCell: (cell, value, row) => {
        const link = document.createElement("a");
        link.textContent = value;
        link.href = `examples-${row[0]}.html#${row[4]}-${row[8]}`;
        cell.replaceChildren(link);
      },
    },
    ...[["id", 2], ["tags", 3], ["split", 4], ["score", 5], ["year", 6], ["characters in the answer", 7]].map(([title, data]) => ({ title, data, render: text })),
  ],
});
table.search.fixed("words", (_, row, number) => !matches || matches(number));
input.addEventListener("focus", () => (reading ??= read()), { once: true });
const search = async () => {
  const asked = input.value;
  const found = await find(asked);
  if (asked !== input.value) return; // more was typed meanwhile
  matches = found;
  table.draw();
};
input.addEventListener("input", () => {
  search();
  try {
    history.replaceState(null, "", input.value ? `#${new URLSearchParams({ find: input.value })}` : "#find");
  } catch {} // browsers refuse too many changes of the address
});
input.value = new URLSearchParams(location.hash.slice(1)).get("find") ?? ""; // so a link can hold a search
if (input.value) search();
}
