// Waits for the first run, and opens it.

import {byId} from "./elements.js";

byId("opens").hidden = false;

async function look() {
  try {
    const answer = await fetch("/api/v1/runs?limit=1");
    const found = answer.ok ? (await answer.json()).runs[0] : null;
    if (found) return location.assign(`/runs/${found.trace_id}`);
  } catch { /* the daemon may be starting again */ }
  setTimeout(look, 1500);
}
look();
document.body.dataset.ready = "true";
