import { Refused, call, callOnce, onChangeElsewhere, tellOtherTabs } from "/page/session.js";

const byId = (id) => document.getElementById(id);

function say(text) {
  byId("status").textContent = text;
}

// ---- Rendering.

let shown = 0;
let latest;

/** Shows the user who is logged in, or the forms to log in. */
function show() {
  latest = draw();
  return latest;
}

async function draw() {
  const turn = ++shown;
  let user, sessions;
  try {
    ({ user } = await call("GET", "/auth/me"));
    ({ sessions } = await call("GET", "/auth/sessions"));
  } catch (error) {
    if (turn !== shown) return;
    if (error instanceof Refused && error.status === 401) showSignedOut();
    else say(failure(error));
    return;
  }
  // Another call has shown something newer.
  if (turn === shown) showSignedIn(user, sessions);
}

function showSignedOut() {
  // Removes everything of the last user from the page.
  byId("profile").replaceChildren();
  byId("sessions").replaceChildren();
  byId("password").reset();
  byId("password-username").value = "";
  byId("signed-in").hidden = true;
  byId("signed-out").hidden = false;
}

function showSignedIn(user, sessions) {
  byId("signed-out").hidden = true;
  byId("signed-in").hidden = false;
  byId("password-username").value = user.email;
  const facts = {
    "E-mail": user.email,
    Username: user.username,
    Name: user.name,
    Roles: user.roles.join(", "),
    "Since": when(user.created_at),
  };
  const known = Object.entries(facts).filter(([, value]) => value);
  byId("profile").replaceChildren(...known.flatMap(([name, value]) => [element("dt", name), element("dd", value)]));
  byId("sessions").replaceChildren(...sessions.map(sessionItem));
}

function sessionItem(session) {
  const device = session.user_agent ?? "An unknown device";
  const where = [session.ip, `last used ${when(session.last_used_at)}`].filter(Boolean).join(", ");
  const text = document.createElement("div");
  text.append(element("p", session.current ? `${device} (this one)` : device), element("p", where, "hint"));
  const item = document.createElement("li");
  item.append(text);
  if (!session.current) {
    const button = element("button", "Sign out", "plain");
    button.type = "button";
    button.setAttribute("aria-label", `Sign out ${device}, ${where}`);
    whenPressed(button, async () => {
      await call("DELETE", `/auth/sessions/${encodeURIComponent(session.id)}`).catch(unless("session_not_found"));
      say("That session has ended.");
      await show();
      byId("sessions-title").focus();
    });
    item.append(button);
  }
  return item;
}

function element(name, text, className) {
  const made = document.createElement(name);
  // Writes text only, so that no text of a user becomes markup.
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

const when = (time) => new Date(time).toLocaleString();

const unless = (code) => (error) => {
  if (error.code !== code) throw error;
};

function failure(error) {
  if (!(error instanceof Refused)) return "The server cannot be reached. Try again.";
  if (error.status === 429 || error.status === 503) return `${error.message} Try again in a moment.`;
  return error.message;
}

// ---- Actions.

function whenPressed(button, work) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      await work();
    } catch (error) {
      if (error instanceof Refused && error.status === 401) await signedOut("You have been signed out.");
      else say(failure(error));
    } finally {
      button.disabled = false;
    }
  });
}

function whenSubmitted(form, work) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearErrors(form);
    const button = form.querySelector("button");
    button.disabled = true;
    const entries = [...new FormData(form)].filter(([, value]) => value !== "");
    try {
      await work(Object.fromEntries(entries));
      form.reset();
    } catch (error) {
      showErrors(form, error);
    } finally {
      button.disabled = false;
    }
  });
}

function clearErrors(form) {
  form.querySelector(".form-error").textContent = "";
  form.querySelectorAll(".field-error").forEach((error) => error.remove());
  for (const input of form.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    describe(input, (ids) => ids.filter((id) => id !== `${input.id}-error`));
  }
}

function showErrors(form, error) {
  const fields = error instanceof Refused ? error.fields : [];
  const inputs = fields.map((field) => showFieldError(form, field)).filter(Boolean);
  if (inputs.length < fields.length || fields.length === 0) {
    form.querySelector(".form-error").textContent = failure(error);
  }
  (inputs[0] ?? form.querySelector("input:not([hidden])")).focus();
}

function showFieldError(form, { field, message }) {
  const input = form.elements.namedItem(field);
  if (!(input instanceof HTMLInputElement)) return null;
  const error = element("p", message, "field-error");
  error.id = `${input.id}-error`;
  input.after(error);
  input.setAttribute("aria-invalid", "true");
  describe(input, (ids) => [...ids, error.id]);
  return input;
}

function describe(input, change) {
  const ids = change((input.getAttribute("aria-describedby") ?? "").split(" ").filter(Boolean));
  if (ids.length > 0) input.setAttribute("aria-describedby", ids.join(" "));
  else input.removeAttribute("aria-describedby");
}

async function signedIn(text) {
  tellOtherTabs();
  show();
  // Another tab may have made this one render again.
  for (let drawing; drawing !== latest; ) await (drawing = latest);
  if (byId("signed-in").hidden) {
    const instead = "start the example with INSECURE_COOKIES=1 and TOKEN_DELIVERY=cookie";
    say(`Signed in, but the browser keeps no cookie: open this page at localhost, or ${instead}.`);
    return;
  }
  say(text);
  byId("profile-title").focus();
}

async function signedOut(text) {
  shown += 1;
  showSignedOut();
  tellOtherTabs();
  say(text);
  byId("sign-in-title").focus();
}

whenSubmitted(byId("sign-in"), async (fields) => {
  await callOnce("POST", "/auth/login", fields);
  await signedIn("You are signed in.");
});

whenSubmitted(byId("register"), async (fields) => {
  await callOnce("POST", "/auth/register", fields);
  await signedIn("Welcome: you are registered and signed in.");
});

whenSubmitted(byId("password"), async ({ current_password, new_password }) => {
  try {
    await call("PUT", "/auth/password", { current_password, new_password });
  } catch (error) {
    if (error.status === 401) return signedOut("You have been signed out.");
    throw error;
  }
  await show();
  say("The password is changed; every other session has ended.");
});

whenPressed(byId("sign-out"), async () => {
  await callOnce("POST", "/auth/logout");
  await signedOut("You are signed out.");
});

whenPressed(byId("sign-out-everywhere"), async () => {
  await call("POST", "/auth/logout-all");
  await signedOut("You are signed out everywhere.");
});

// A page from the history may show a user who has logged out since.
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  showSignedOut();
  show();
});
onChangeElsewhere(show);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden) show();
});

show();
