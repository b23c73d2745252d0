// Requests to the API. What changes something carries the session's CSRF token and a key that makes it count once.
import { by } from "./dom.js";
import { present } from "./presence.js";
import { t } from "./words.js";

let token = null;

export class Refused extends Error {
  constructor(status, code, detail, errors) {
    super(detail);
    this.status = status;
    this.code = code;
    this.errors = errors; // [{where, what}]
  }
}

export async function get(path) {
  return read(await fetch(path, { headers: asked() }));
}

// What a page asks while nobody is there is no use of the session.
const asked = () => ({ accept: "application/json", ...(present() ? {} : { "x-unattended": "1" }) });

export async function session() {
  const told = await get("/api/v1/session");
  token = told.csrf_token ?? token;
  return told;
}

// `key` makes a repetition harmless: give the same one when asking again.
export async function post(path, body = {}, { key = crypto.randomUUID(), method = "POST" } = {}) {
  try {
    return await send(path, body, key, method);
  } catch (err) {
    if (err.code === "csrf") {
      await session();
      return send(path, body, key, method);
    }
    if (err.code === "step_up_required" && (await stepUp())) return send(path, body, key, method);
    throw err;
  }
}

// `type` other than JSON sends the body as it is: a file.
export async function send(path, body, key, method, type = "application/json") {
  if (token === null) await session().catch(() => {});
  const headers = { ...asked(), "content-type": type, "idempotency-key": key };
  if (token) headers["x-csrf-token"] = token;
  return read(await fetch(path, { method, headers, body: type === "application/json" ? JSON.stringify(body) : body }));
}

async function read(reply) {
  const text = await reply.text();
  let told = {};
  try {
    told = text ? JSON.parse(text) : {};
  } catch {
    told = { detail: text.slice(0, 200) };
  }
  if (reply.ok) return told;
  if (reply.status === 401 && told.code !== "sign_in_refused") document.dispatchEvent(new CustomEvent("kp:signed-out"));
  throw new Refused(reply.status, told.code ?? "", told.detail ?? t("ask.failed", { status: reply.status }), told.errors ?? []);
}

// What became of a command; null when nothing has been heard of it for ten seconds.
export async function outcome(id) {
  for (let look = 0; look < 40; look += 1) {
    const told = await get(`/api/v1/commands/${encodeURIComponent(id)}`).catch((err) => (err.status === 404 ? null : Promise.reject(err)));
    if (told && told.state !== "said") return told;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return null;
}

// Asks for a fresh one-time code; true once it was taken, false when the reader thought better of it.
export function stepUp() {
  const [dialog, form, code, said] = ["step-up", "step-up-form", "step-up-code", "step-up-said"].map(by);
  code.value = said.textContent = "";
  dialog.showModal();
  code.focus();
  return new Promise((resolve) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      try {
        const told = await send("/api/v1/session/step-up", { totp: code.value }, crypto.randomUUID(), "POST");
        token = told.csrf_token ?? null;
        resolve(true);
        dialog.close();
      } catch (err) {
        said.textContent = err.message;
        code.select();
      }
    };
    by("step-up-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(false);
  });
}
