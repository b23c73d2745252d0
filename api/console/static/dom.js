// Small hands for the document. Text is always set as text, never as markup.
export const by = (id) => document.getElementById(id);

export function el(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((each) => each !== null && each !== undefined));
  return made;
}

// Sets text only when it changed: a screen reader and the layout are left in peace.
export function put(node, text, className) {
  if (!node) return;
  if (node.textContent !== text) node.textContent = text;
  if (className !== undefined && node.dataset.tone !== className) node.dataset.tone = className;
}

export function rows(body, made, empty, columns) {
  if (made.length === 0) {
    const cell = el("td", "none", empty);
    if (columns) cell.colSpan = columns;
    made = [columns ? el("tr", "", cell) : el("li", "none", empty)];
  }
  redraw(body, made);
}

// Drawn anew under a reader's hand: what he was on is found again by its row's heading, else he is left nearby.
export function redraw(body, made) {
  const at = document.activeElement;
  const row = [...body.children].find((each) => each.contains(at));
  const [name, place] = row ? [heading(row), used(row).indexOf(at)] : [];
  body.replaceChildren(...made);
  if (!row) return;
  const again = made.find((each) => heading(each) === name);
  const same = again ? used(again)[place] : null;
  (same ?? body.closest("[tabindex]") ?? by("main")).focus({ preventScroll: true });
}

const heading = (row) => (row.querySelector("th, b") ?? row).textContent;
const used = (row) => [...row.querySelectorAll("a[href], button, input")];

// A button that was switched off while it worked takes the focus back, if nothing else has it.
export function again(button) {
  button.disabled = false;
  if (document.activeElement === document.body) button.focus({ preventScroll: true });
}

export function cookie(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=/; SameSite=Strict; Max-Age=31536000${secure}`;
}
