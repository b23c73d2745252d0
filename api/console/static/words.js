// The page's catalogue: t(key, {name: value}). A key that is none shows itself, and a test finds it.
const texts = JSON.parse(document.getElementById("words").textContent);

export const language = document.documentElement.lang;

export function t(key, values) {
  const text = texts[key];
  if (text === undefined) return key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}

// For words that come from the system: the catalogue's, else the word itself, readable.
export function word(family, name) {
  return texts[`${family}.${name}`] ?? String(name).replaceAll("_", " ");
}
