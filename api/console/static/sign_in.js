// The door: password and one-time code, or a recovery code in its place.
import { post } from "./ask.js";
import { by, put } from "./dom.js";
import { t } from "./words.js";

let recovering = false;

by("other-way").onclick = () => {
  recovering = !recovering;
  by("code-field").hidden = by("code").disabled = recovering;
  by("recovery-field").hidden = by("recovery").disabled = !recovering;
  by("code").required = !recovering;
  by("recovery").required = recovering;
  by("other-way").setAttribute("aria-pressed", String(recovering));
  put(by("other-way"), t(recovering ? "sign_in.use_code" : "sign_in.use_recovery"));
  by(recovering ? "recovery" : "code").focus();
};

by("sign-in").onsubmit = async (event) => {
  event.preventDefault();
  put(by("said"), "");
  const button = event.submitter ?? by("sign-in").querySelector(".main");
  button.disabled = true;
  const body = { email: by("email").value.trim(), password: by("password").value };
  if (recovering) body.recovery_code = by("recovery").value.trim();
  else body.totp = by("code").value;
  try {
    await post("/api/v1/session", body);
    location.assign(next());
  } catch (err) {
    put(by("said"), err.code === "sign_in_refused" ? t("sign_in.wrong") : err.message);
    by(recovering ? "recovery" : "code").value = "";
    by("password").focus();
  } finally {
    button.disabled = false;
  }
};

// Only an address of this console: whoever sends a link must not choose where it ends. It is handed on whole:
// of /.//elsewhere the path alone would be //elsewhere, which is another host.
function next() {
  const asked = new URLSearchParams(location.search).get("next") ?? "/";
  const wanted = URL.canParse(asked, location.origin) ? new URL(asked, location.origin) : undefined;
  return wanted?.origin === location.origin ? wanted.href : "/";
}
