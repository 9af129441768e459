// Texts of a span, byte for byte: fetched in pieces and set as text, never as markup.

import {make} from "./elements.js";
import {UNSEEN, code, size} from "./format.js";
import {announce, copy, part} from "./page.js";

const FIRST = 64 * 1024;
const READ = 4 * 1024 * 1024; // the store reads the whole text for each part that is asked for
const PIECE = 256 * 1024; // of one element, which is laid out when it comes into sight
const MARKS = 2000; // of a piece

/** Makes the texts within an element readable: views, wrapping, copying. */
export function readTexts(root) {
  for (const section of root.querySelectorAll("section.text[data-text]")) if (Number(section.dataset.bytes)) new Text(section);
}

class Text {
  constructor(section) {
    this.section = section;
    this.bytes = Number(section.dataset.bytes);
    this.pieces = section.querySelector("[data-pieces]");
    this.messages = section.querySelector("[data-messages]");
    for (const button of section.querySelectorAll("[data-view]")) button.addEventListener("click", () => this.show(button.dataset.view));
    section.querySelector("[data-do=wrap]").addEventListener("click", (event) => this.#wrap(event.currentTarget));
    section.querySelector("[data-do=copy]").addEventListener("click", async () => copy(await this.#whole()));
    this.show(this.messages ? "messages" : "exact");
  }

  async show(view) {
    for (const button of this.section.querySelectorAll("[data-view]")) button.ariaPressed = button.dataset.view === view;
    if (this.messages) this.messages.hidden = view !== "messages";
    this.pieces.hidden = view === "messages";
    if (view === "exact") await this.#exact();
    if (view === "json" || view === "markdown") {
      const address = `${this.section.dataset.text.replace("/api/v1", "")}?as=${view}`;
      this.pieces.replaceChildren(await part(address, view).catch((error) => error.message));
    }
  }

  #wrap(button) {
    const wrapped = this.pieces.classList.toggle("nowrap");
    button.ariaPressed = !wrapped;
  }

  async #fetch(first, last) {
    const answer = await fetch(this.section.dataset.text, {headers: {range: `bytes=${first}-${last}`}});
    if (!answer.ok) throw new Error(`The text could not be read: ${answer.status}.`);
    return new Uint8Array(await answer.arrayBuffer());
  }

  async #whole() {
    const answer = await fetch(this.section.dataset.text);
    return new TextDecoder("utf-8", {ignoreBOM: true}).decode(await answer.arrayBuffer());
  }

  /** The first 64 KiB, then the rest on demand. One decoder reads all: characters may lie across pieces. */
  async #exact() {
    const decoder = new TextDecoder("utf-8", {ignoreBOM: true});
    this.pieces.replaceChildren();
    this.pieces.classList.toggle("long", this.bytes > FIRST);
    const add = (bytes, more) => {
      const piece = make("pre", {className: "exact", tabIndex: -1});
      put(piece, decoder.decode(bytes, {stream: more}));
      this.pieces.append(piece);
    };
    try {
      const first = await this.#fetch(0, FIRST - 1);
      add(first, this.bytes > FIRST);
      if (this.bytes > FIRST) this.#offer(first.length, add);
    } catch (error) {
      this.pieces.textContent = error.message;
    }
  }

  #offer(shown, add) {
    const line = make("p", {className: "muted"});
    const button = make("button", {textContent: "Show all"});
    line.append(`${size(shown)} of ${size(this.bytes)} shown. `, button);
    this.pieces.append(line);
    button.addEventListener("click", async () => {
      button.disabled = true;
      for (let at = shown; at < this.bytes; at += READ) {
        const bytes = await this.#fetch(at, Math.min(at + READ, this.bytes) - 1);
        for (let from = 0; from < bytes.length; from += PIECE) add(bytes.subarray(from, from + PIECE), at + from + PIECE < this.bytes);
        this.pieces.append(line);
      }
      line.textContent = `All ${size(this.bytes)} shown.`;
      announce("All of the text is shown.");
    });
  }
}

/** The text, with a mark of the style sheet, which no copy has, at each character that is not seen. */
function put(piece, text) {
  let at = 0;
  for (const [number, found] of [...text.matchAll(UNSEEN)].slice(0, MARKS).entries()) {
    const mark = make("span", {className: "unseen", textContent: found[0]});
    mark.dataset.code = `${code(found[0])}${number === MARKS - 1 ? ", further ones are not marked" : ""}`;
    piece.append(text.slice(at, found.index), mark);
    at = found.index + found[0].length;
  }
  piece.append(text.slice(at));
}
