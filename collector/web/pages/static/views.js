// Pages whose only need is copying.

import {copy} from "./page.js";

for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(document.getElementById(button.dataset.copy).textContent));
}
document.body.dataset.ready = "true";
