// The list of runs: a row is chosen by keys as by the pointer; new runs wait to be asked for.

import {byId} from "./elements.js";
import {onKey} from "./page.js";

const rows = [...document.querySelectorAll("table.runs tbody tr[data-trace]")];
const link = (row) => row.querySelector(".what a");
const move = (by) => () => {
  const at = rows.indexOf(document.activeElement?.closest("tr"));
  const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)];
  if (next) link(next).focus();
};
onKey(["ArrowDown", "j"], move(1));
onKey(["ArrowUp", "k"], move(-1));
onKey(["$"], () => {
  const cost = (row) => Number(row.querySelector("td.strong").title.replace(/^\$|,| and.*$/g, "")) || 0;
  const dearest = rows.reduce((best, row) => (!best || cost(row) > cost(best) ? row : best), null);
  if (dearest) location.assign(link(dearest).href);
});
for (const row of rows) row.addEventListener("click", (event) => {
  if (!event.target.closest("a") && !String(getSelection())) link(row).click();
});

const button = byId("new-runs");
const newest = new URLSearchParams(location.search);
const listsNewest = rows.length && !newest.has("after") && (newest.get("sort") || "start") === "start" && newest.get("order") !== "asc" && !newest.has("until");
async function look() {
  const asked = new URLSearchParams([...newest].filter(([name]) => !["q", "last", "tz", "sort", "order"].includes(name)));
  if (newest.get("q")) asked.set("text", newest.get("q"));
  asked.set("limit", "50");
  try {
    const answer = await fetch(`/api/v1/runs?${asked}`);
    if (answer.ok) {
      const known = new Set(rows.map((row) => row.dataset.trace));
      const first = (await answer.json()).runs;
      const at = first.findIndex((run) => known.has(run.trace_id));
      const fresh = at < 0 ? first.length : at;
      button.hidden = !fresh;
      button.textContent = fresh === 1 ? "1 new run" : `${fresh === 50 ? "50 or more" : fresh} new runs`;
    }
  } catch { /* asked again below */ }
  setTimeout(look, document.hidden ? 30000 : 5000);
}
if (listsNewest) {
  button.addEventListener("click", () => location.reload());
  setTimeout(look, 5000);
}
document.body.dataset.ready = "true";
