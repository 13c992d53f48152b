// Search the examples with DataTables, which the module before this one defines. All text is escaped.
{
const rows = JSON.parse(document.getElementById("rows").textContent);
const text = DataTable.render.text();
new DataTable("#examples", {
  data: rows,
  deferRender: true,
  autoWidth: false,
  pageLength: 25,
  order: [],
  layout: { topStart: "search", topEnd: "pageLength", bottomStart: "info", bottomEnd: "paging" },
  language: { search: "Search", lengthMenu: "_MENU_ rows a page" },
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
}
