// The span beside the rows: the page of the span, of which only its article is taken.

import {isElsewhere} from "./elements.js";
import {part} from "./page.js";
import {readTexts} from "./text.js";

export class Drawer {
  /** `actions`: closed(), open(spanId). */
  constructor(element, panes, base, actions) {
    Object.assign(this, {element, panes, base, actions, shown: "", tab: "input"});
    element.addEventListener("click", (event) => {
      const link = event.target.closest("[data-close], [data-open]");
      if (!link || isElsewhere(event)) return;
      event.preventDefault();
      if (link.dataset.open) actions.open(link.dataset.open);
      else this.close();
    });
  }

  get isOpen() {
    return !this.element.hidden;
  }

  get peer() {
    return this.element.querySelector("#span")?.dataset.peer || "";
  }

  async open(spanId) {
    this.shown = spanId;
    this.element.hidden = false;
    this.panes.classList.add("open");
    const waiting = setTimeout(() => { if (this.shown === spanId) this.element.textContent = "Loading…"; }, 300);
    try {
      const article = await part(`${this.base}/spans/${spanId}?part=drawer`, "span");
      if (this.shown !== spanId) return;
      this.element.replaceChildren(article);
      this.element.scrollTop = 0;
      tabs(article, this);
      readTexts(article);
    } catch (error) {
      if (this.shown === spanId) this.element.textContent = error.message;
    } finally {
      clearTimeout(waiting);
    }
  }

  close() {
    this.shown = "";
    this.element.hidden = true;
    this.element.replaceChildren();
    this.panes.classList.remove("open");
    this.actions.closed();
  }
}

/** The parts of a span one at a time; which one is kept. */
export function tabs(article, keeper = {tab: "input"}) {
  const links = [...article.querySelectorAll("nav.tabs a")];
  const show = (name) => {
    keeper.tab = name;
    for (const link of links) {
      const chosen = link.hash === `#${name}`;
      link.ariaCurrent = chosen || null;
      article.querySelector(link.hash).hidden = !chosen;
    }
  };
  article.classList.add("tabbed");
  for (const link of links) link.addEventListener("click", (event) => { event.preventDefault(); show(link.hash.slice(1)); });
  show(links.some((link) => link.hash === `#${keeper.tab}`) ? keeper.tab : "input");
}
