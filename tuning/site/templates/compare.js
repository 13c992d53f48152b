// Show two runs side by side. All text comes from the page's JSON and becomes text, never HTML.
const found = document.getElementById("runs");
if (found) {
  const {parts, ofBase, runs} = JSON.parse(found.textContent);
  const [first, second, only, table, counted, warning] = ["first", "second", "only", "compared", "counted", "unlike"].map((id) => document.getElementById(id));
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
    let differences = 0;
    for (const [part, names] of Object.entries(parts)) {
      const body = document.createElement("tbody");
      for (const name of names) {
        const values = [one, other].map((run) => run.facts[part][name] || ["-", false]);
        const differs = values[0][0] !== values[1][0];
        differences += differs;
        if ((only.checked && !differs) || values.every(([text]) => text === "-")) continue;
        const row = body.insertRow();
        cell(row, name, "th");
        for (const [text, isDefault] of values) cell(row, isDefault ? `${text} (default)` : text).classList.toggle("differs", differs);
      }
      if (!body.rows.length) continue;
      const title = cell(body.insertRow(0), part, "th");
      title.colSpan = 3;
      title.scope = "rowgroup";
      title.className = "part";
      table.append(body);
    }
    const unlike = one.base !== other.base ? [] : ofBase.filter((name) => {
      const [here, there] = [one, other].map((run) => run.facts.Results[name]);
      return here && there && here[0] !== there[0] && here[0] !== "-" && there[0] !== "-";
    });
    warning.hidden = !unlike.length;
    warning.textContent = `The base model is the same, but its results differ (${unlike.join("; ")}), because the runs did not measure it on the same rows, or not with the same options, such as --max-length. So do not compare the tuned values: compare the changes from the base.`;
    counted.textContent = `${differences} differences, which are marked.`;
  };
  const ended = [...runs.keys()].filter((number) => runs[number].facts.Results.verdict); // the newest first
  for (const [list, at] of [[first, 1], [second, 0]]) {
    runs.forEach((run, number) => list.add(new Option(run.name, number)));
    list.value = ended.length > 1 ? ended[at] : at;
    list.addEventListener("change", compare);
  }
  only.addEventListener("change", compare);
  compare();
}
