// Shows the page anew when something has arrived.

import {byId} from "./elements.js";

const {ask, again, seen} = byId("listening").dataset;
async function look() {
  try {
    const answer = await fetch(ask);
    const {services, refused} = answer.ok ? await answer.json() : {};
    const count = (sum, one) => sum + one.spans + one.log_records + one.metric_points + one.calls;
    if (services && services.reduce(count, refused.length) !== +seen) return location.replace(again);
  } catch { /* the daemon may be starting again */ }
  setTimeout(look, 1500);
}
look();
document.body.dataset.ready = "true";
