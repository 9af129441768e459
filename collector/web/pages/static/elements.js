// Elements: found, made, and drawn when the browser is about to draw.

export const byId = (id) => document.getElementById(id);

/** An element with its properties, among them `className` and `textContent`. */
export const make = (tag, properties) => Object.assign(document.createElement(tag), properties);

/** An element of SVG with its attributes. */
export function svg(name, attributes, text = "") {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

/** Asks for `draw` before the next picture, once however often it is called. */
export function onNextFrame(draw) {
  let waiting = 0;
  return () => { waiting ||= requestAnimationFrame(() => { waiting = 0; draw(); }); };
}

/** Whether a click asks for another tab or window, which the browser gives. */
export const isElsewhere = (event) => event.ctrlKey || event.metaKey || event.shiftKey;
