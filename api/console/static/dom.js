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
  body.replaceChildren(...made);
}

export function cookie(name, value) {
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `${name}=${value}; Path=/; SameSite=Strict; Max-Age=31536000${secure}`;
}
