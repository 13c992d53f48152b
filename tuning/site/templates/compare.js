// Show two runs side by side. All text comes from the page's JSON and becomes text, never HTML.
const found = document.getElementById("runs");
if (found) {
  const runs = JSON.parse(found.textContent);
  const [first, second, only, table, counted] = ["first", "second", "only", "compared", "counted"].map((id) => document.getElementById(id));
  const cell = (row, text, kind = "td") => {
    const made = row.appendChild(document.createElement(kind));
    made.textContent = text;
    if (kind === "th") made.scope = row.parentNode === table.tHead ? "col" : "row";
    return made;
  };
  const compare = () => {
    const [one, other] = [runs[first.value], runs[second.value]];
    table.replaceChildren();
    const head = table.createTHead().insertRow();
    for (const text of ["", one.name, other.name]) cell(head, text, text ? "th" : "td");
    const body = table.createTBody();
    let differences = 0;
    for (const name of new Set([...Object.keys(one.facts), ...Object.keys(other.facts)])) {
      const values = [one, other].map((run) => run.facts[name] || "-");
      const differs = values[0] !== values[1];
      differences += differs;
      if (only.checked && !differs) continue;
      const row = body.insertRow();
      cell(row, name, "th");
      for (const value of values) cell(row, value).classList.toggle("differs", differs);
    }
    counted.textContent = `${differences} differences, which are marked.`;
  };
  const ended = [...runs.keys()].filter((number) => runs[number].facts.verdict); // the newest first
  for (const [list, at] of [[first, 1], [second, 0]]) {
    runs.forEach((run, number) => list.add(new Option(run.name, number)));
    list.value = ended.length > 1 ? ended[at] : at;
    list.addEventListener("change", compare);
  }
  only.addEventListener("change", compare);
  compare();
}
