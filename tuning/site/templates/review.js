// Send each decision to the server at once. Keys: j, k, y, x, u.
const [decided, said] = ["decided", "said"].map((id) => document.getElementById(id));
const examples = [...document.querySelectorAll("article")];
const part = (article, name) => article.querySelector(`[name=${name}]`);
const chosen = (article) => ["keep", "reject"].find((name) => part(article, name).getAttribute("aria-pressed") === "true") || "";
const send = async (article, decision) => {
  const reason = decision ? part(article, "reason").value : "";
  const body = JSON.stringify({ example_id: article.querySelector(".review").dataset.example, decision, reason });
  try {
    const answer = await fetch("/decisions", { method: "POST", body, headers: { "Content-Type": "application/json" } });
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    for (const name of ["keep", "reject"]) part(article, name).setAttribute("aria-pressed", String(name === decision));
    if (!decision) part(article, "reason").value = "";
    decided.textContent = found.decided.toLocaleString("en");
    said.textContent = `Saved: ${decision || "taken back"}.`;
  } catch (error) {
    said.textContent = `Not saved: ${error.message}`;
  }
};
const current = () => Math.max(0, examples.findIndex((article) => article.contains(document.activeElement)));
const go = (number) => {
  const article = examples[Math.min(Math.max(number, 0), examples.length - 1)];
  part(article, "keep").focus({ preventScroll: true });
  article.scrollIntoView({ block: "start" });
};
for (const article of examples) {
  for (const name of ["keep", "reject"]) {
    part(article, name).addEventListener("click", () => send(article, chosen(article) === name ? "" : name));
  }
  part(article, "reason").addEventListener("change", () => send(article, chosen(article) || "reject"));
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !examples.length) return;
  if (event.target.name === "reason") {
    if (event.key === "Enter") {
      event.preventDefault(); // else the key would also press the button
      part(examples[current()], "keep").focus();
    }
    return;
  }
  const article = examples[current()];
  const isAtOne = article.contains(document.activeElement);
  const actions = {
    j: () => go(isAtOne ? current() + 1 : 0),
    k: () => go(current() - 1),
    y: () => send(article, "keep"),
    x: () => { send(article, "reject"); part(article, "reason").focus(); },
    u: () => send(article, ""),
  };
  if (!(event.key in actions) || (!isAtOne && event.key !== "j")) return;
  event.preventDefault();
  actions[event.key]();
});
