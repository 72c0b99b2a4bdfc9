// The page of the examples in Chromium, against the real binary.

const { test, before, after, beforeEach, afterEach } = require("node:test");
const assert = require("node:assert/strict");
const { createHmac } = require("node:crypto");
const path = require("node:path");
const { startExample, startOtherSite, startBrowser, SCREENSHOTS } = require("./example.js");

const PASSWORD = "correct horse battery staple";
const ACCESS = "__Host-access_token";
const REFRESH = "__Host-refresh_token";

let browser, app, device, users = 0;

before(async () => {
  browser = await startBrowser();
  app = await startExample({ THROTTLE: "off" });
});

after(async () => {
  await browser?.close();
  await app?.stop();
});

beforeEach(async () => {
  device = await newDevice();
});

afterEach(async () => {
  const { complaints } = device;
  await device.context.close();
  assert.deepEqual(complaints, [], "the browser complained");
});

/** Another browser with nothing in it; what its pages complain of is kept. */
async function newDevice(options = {}) {
  const context = await browser.newContext({ locale: "en-GB", ...options });
  context.setDefaultTimeout(20_000);
  const complaints = [];
  context.on("weberror", (error) => complaints.push(String(error.error())));
  context.on("console", (message) => {
    // What the server refuses is logged by the browser as well; what it does not have is a mistake
    // of the page.
    const refused = message.text().includes("Failed to load resource") && !message.text().includes("404");
    if (message.type() === "error" && !refused) complaints.push(`${message.text()} ${message.location().url}`);
  });
  return { context, complaints };
}

async function open({ context }) {
  const page = await context.newPage();
  await page.goto(app.origin);
  return page;
}

function someone() {
  users += 1;
  return { email: `user${users}@example.com`, username: `user${users}`, name: `User ${users}` };
}

async function register(page, user, password = PASSWORD) {
  const form = page.getByRole("region", { name: "Register" });
  await form.getByLabel("E-mail").fill(user.email);
  await form.getByLabel("Username").fill(user.username ?? "");
  await form.getByLabel("Name (optional)", { exact: true }).fill(user.name ?? "");
  await form.getByLabel("Password", { exact: true }).fill(password);
  await form.getByRole("button", { name: "Register" }).click();
}

async function signIn(page, login, password = PASSWORD) {
  const form = page.getByRole("region", { name: "Sign in" });
  await form.getByLabel("E-mail or username").fill(login);
  await form.getByLabel("Password").fill(password);
  await form.getByRole("button", { name: "Sign in" }).click();
}

const profile = (page) => page.getByRole("region", { name: "Profile" });
const signInForm = (page) => page.getByRole("region", { name: "Sign in" });
const sessions = (page) => page.getByRole("region", { name: "Where you are signed in" });

async function cookie({ context }, name) {
  return (await context.cookies()).find((cookie) => cookie.name === name);
}

async function screenshot(page, name) {
  await page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`), fullPage: true });
}

test("somebody registers, sees their profile, signs out and in again", async () => {
  const page = await open(device);
  const user = someone();
  await signInForm(page).waitFor();
  await screenshot(page, "signed-out");
  await register(page, user);
  await profile(page).getByText(user.email).waitFor();
  await profile(page).getByText(user.name).waitFor();
  await sessions(page).getByText("(this one)").waitFor();
  await screenshot(page, "signed-in");
  await page.reload();
  await profile(page).getByText(user.email).waitFor();
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await signInForm(page).waitFor();
  assert.deepEqual(await device.context.cookies(), []);
  await signIn(page, user.username.toUpperCase());
  await profile(page).getByText(user.email).waitFor();
});

test("cookies are HttpOnly, Secure and Strict, and no script sees them", async () => {
  const page = await open(device);
  await register(page, someone());
  await profile(page).waitFor();
  for (const name of [ACCESS, REFRESH]) {
    const { httpOnly, secure, sameSite, path } = await cookie(device, name);
    assert.deepEqual({ httpOnly, secure, sameSite, path }, { httpOnly: true, secure: true, sameSite: "Strict", path: "/" });
  }
  assert.equal(await page.evaluate(() => document.cookie), "");
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
  assert.doesNotMatch(stored, /eyJ/);
});

test("each mistake is told beside its field, which gets the focus", async () => {
  const page = await open(device);
  await register(page, { email: "nobody", username: "", name: "" }, "short");
  const form = page.getByRole("region", { name: "Register" });
  const email = form.getByLabel("E-mail");
  await form.locator(".field-error").first().waitFor();
  assert.equal(await email.getAttribute("aria-invalid"), "true");
  assert.equal(await email.evaluate((input) => input === document.activeElement), true);
  const described = await email.getAttribute("aria-describedby");
  assert.match(await page.locator(`#${described}`).innerText(), /address/i);
  const password = form.getByLabel("Password", { exact: true });
  assert.equal(await password.getAttribute("aria-invalid"), "true");
  assert.match(await password.getAttribute("aria-describedby"), /hint .*error/);
  await screenshot(page, "mistakes");
  await register(page, someone());
  await profile(page).waitFor();
});

test("a wrong password says neither that the account exists nor that it does not", async () => {
  const page = await open(device);
  const user = someone();
  await register(page, user);
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  const told = [];
  for (const login of [user.email, "nobody@example.com"]) {
    await signIn(page, login, "not the password of anyone");
    const error = signInForm(page).getByRole("alert").filter({ hasText: /./ });
    await error.waitFor();
    told.push(await error.innerText());
    await page.reload();
  }
  assert.equal(told[0], told[1]);
});

test("a session on another device can be ended", async () => {
  const user = someone();
  const page = await open(device);
  await register(page, user);
  await profile(page).waitFor();
  const phone = await newDevice({ userAgent: "Telephone/1.0" });
  const there = await open(phone);
  await signIn(there, user.email);
  await profile(there).waitFor();
  await page.reload();
  await sessions(page).getByRole("button", { name: /Sign out Telephone/ }).click();
  await page.getByText("That session has ended.").waitFor();
  await sessions(page).getByText("Telephone").waitFor({ state: "detached" });
  await there.reload();
  await signInForm(there).waitFor();
  await phone.context.close();
  await page.reload();
  await profile(page).getByText(user.email).waitFor();
});

test("a new password ends the sessions of the other devices and keeps this one", async () => {
  const user = someone();
  const page = await open(device);
  await register(page, user);
  const phone = await newDevice();
  const there = await open(phone);
  await signIn(there, user.email);
  await profile(there).waitFor();
  const form = page.getByRole("region", { name: "Change password" });
  await form.getByLabel("Current password").fill("not my password");
  await form.getByLabel("New password").fill("another horse, another staple");
  await form.getByRole("button").click();
  await form.locator(".field-error, .form-error:not(:empty)").first().waitFor();
  await form.getByLabel("Current password").fill(PASSWORD);
  await form.getByRole("button").click();
  await page.getByText("The password is changed").waitFor();
  await page.reload();
  await profile(page).getByText(user.email).waitFor();
  await there.reload();
  await signInForm(there).waitFor();
  await phone.context.close();
});

test("signing out everywhere reaches the other tabs and devices", async () => {
  const user = someone();
  const page = await open(device);
  await register(page, user);
  const tab = await open(device);
  await profile(tab).waitFor();
  const phone = await newDevice();
  const there = await open(phone);
  await signIn(there, user.email);
  await profile(there).waitFor();
  await page.getByRole("button", { name: "Sign out everywhere" }).click();
  await signInForm(page).waitFor();
  // This tab is not reloaded.
  await signInForm(tab).waitFor();
  await there.reload();
  await signInForm(there).waitFor();
  await phone.context.close();
});

for (const locks of [true, false]) {
  test(`tabs that refresh at once stay signed in, ${locks ? "one refresh for all" : "in a browser without locks too"}`, async () => {
    if (!locks) await device.context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { value: undefined }));
    const page = await open(device);
    const user = someone();
    await register(page, user);
    await profile(page).waitFor();
    const tabs = [page, await open(device), await open(device)];
    let refreshes = 0;
    device.context.on("request", (request) => (refreshes += request.url().endsWith("/auth/refresh") ? 1 : 0));
    for (let round = 1; round <= 4; round += 1) {
      const before = (await cookie(device, REFRESH)).value;
      // As if its time were up.
      await device.context.clearCookies({ name: ACCESS });
      // The count comes with the event, which may be later than the cookie.
      const counted = device.context.waitForEvent("request", (request) => request.url().endsWith("/auth/refresh"));
      await Promise.all(tabs.map((tab) => tab.reload()));
      await Promise.all(tabs.map((tab) => profile(tab).getByText(user.email).waitFor()));
      assert.notEqual((await cookie(device, REFRESH)).value, before);
      await counted;
      if (locks) assert.equal(refreshes, round);
    }
  });
}

test("a token of a key that was dropped is refreshed once, and the user stays", async () => {
  const page = await open(device);
  const user = someone();
  await register(page, user);
  await profile(page).waitFor();
  const { value, ...rest } = await cookie(device, ACCESS);
  const signed = value.slice(0, value.lastIndexOf("."));
  const forged = createHmac("sha256", "the secret that leaked, and was dropped").update(signed).digest("base64url");
  await device.context.addCookies([{ ...rest, value: `${signed}.${forged}` }]);
  let refreshes = 0;
  page.on("request", (request) => (refreshes += request.url().endsWith("/auth/refresh") ? 1 : 0));
  await page.reload();
  await profile(page).getByText(user.email).waitFor();
  assert.equal(refreshes, 1);
});

test("a tab that refreshes while another one changes the password stays signed in", async () => {
  const page = await open(device);
  const user = someone();
  await register(page, user);
  await profile(page).waitFor();
  const before = (await cookie(device, REFRESH)).value;
  const form = page.getByRole("region", { name: "Change password" });
  await form.getByLabel("Current password").fill(PASSWORD);
  await form.getByLabel("New password").fill("another horse, another staple");
  await form.getByRole("button").click();
  await page.getByText("The password is changed").waitFor();

  // As if this one had sent its refresh before the other tab's answer came.
  await device.context.clearCookies({ name: ACCESS });
  const tab = await device.context.newPage();
  const told = [];
  await tab.route("**/auth/refresh", async (route) => {
    const headers = { cookie: `${REFRESH}=${before}`, "sec-fetch-site": "same-origin" };
    const answer = await fetch(`${app.origin}/auth/refresh`, { method: "POST", headers });
    const body = await answer.text();
    told.push(JSON.parse(body).code);
    assert.equal(answer.headers.get("set-cookie"), null);
    await route.fulfill({ status: answer.status, contentType: "application/problem+json", body });
  }, { times: 1 });
  await tab.goto(app.origin);
  await profile(tab).getByText(user.email).waitFor();
  assert.deepEqual(told, ["refresh_invalid"]);
});

test("after signing out the back button shows nothing", async () => {
  const page = await open(device);
  const user = someone();
  await register(page, user);
  await profile(page).getByText(user.email).waitFor();
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await signInForm(page).waitFor();
  await page.goto(`${app.origin}/ping`);
  await page.goBack();
  await signInForm(page).waitFor();
  assert.equal(await page.getByText(user.email).count(), 0);
  assert.doesNotMatch(await page.content(), new RegExp(user.email));
});

test("a form that another site posts is refused and changes nothing", async () => {
  const page = await open(device);
  const user = someone();
  await register(page, user);
  await profile(page).waitFor();
  for (const [action, field] of [
    ["/auth/logout", ""],
    ["/auth/logout-all", ""],
    ["/auth/login", '<input name="login" value="mallory"><input name="password" value="correct horse battery staple">'],
    ["/notes", ""],
  ]) {
    const site = await startOtherSite(
      `<form method="post" action="${app.origin}${action}">${field}</form><script>document.forms[0].submit()</script>`,
    );
    const tab = await device.context.newPage();
    const answered = tab.waitForResponse((response) => response.url() === `${app.origin}${action}`);
    await tab.goto(site.origin);
    const response = await answered;
    // Strict cookies are not sent, so a guarded route sees no user.
    assert.ok([401, 403].includes(response.status()), `${action}: ${response.status()}`);
    if (action.startsWith("/auth/log") && action !== "/auth/logout-all") assert.equal(response.status(), 403, action);
    await tab.close();
    site.stop();
  }
  await page.reload();
  await profile(page).getByText(user.email).waitFor();
});

test("the page loads nothing from elsewhere and nobody may frame it", async () => {
  const page = await device.context.newPage();
  const requested = [];
  page.on("request", (request) => requested.push(new URL(request.url()).origin));
  const response = await page.goto(app.origin);
  await signInForm(page).waitFor();
  assert.deepEqual([...new Set(requested)], [app.origin]);
  const policy = response.headers()["content-security-policy"];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe/);
});

test("the page has an icon", async () => {
  // A browser without a window asks for none by itself.
  const page = await open(device);
  const answer = await page.evaluate(async () => {
    const response = await fetch("/favicon.ico");
    const bitmap = await createImageBitmap(await response.blob());
    return [response.status, response.headers.get("content-type"), bitmap.width, bitmap.height];
  });
  assert.deepEqual(answer.slice(0, 2), [200, "image/x-icon"]);
  assert.ok([16, 32].includes(answer[2]) && answer[2] === answer[3], String(answer));
});

test("what a user calls themselves never becomes markup", async () => {
  const page = await open(device);
  const user = { ...someone(), name: '<img src=x onerror="document.title=1"><b>bold</b>' };
  await register(page, user);
  await profile(page).getByText(user.name).waitFor();
  assert.equal(await page.locator("#profile b, #profile img").count(), 0);
});

test("the page can be used by keyboard alone", async () => {
  const page = await open(device);
  const user = someone();
  await page.getByRole("region", { name: "Register" }).getByLabel("E-mail").focus();
  for (const text of [user.email, user.username, user.name, PASSWORD]) {
    await page.keyboard.type(text);
    await page.keyboard.press("Tab");
  }
  await page.keyboard.press("Enter");
  await profile(page).getByText(user.email).waitFor();
  // Where the form was, a heading is: it says to those who cannot see it what has come.
  assert.equal(await page.evaluate(() => document.activeElement.id), "profile-title");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await signInForm(page).waitFor();
});

test("a phone's width is enough", async () => {
  const phone = await newDevice({ viewport: { width: 360, height: 740 }, colorScheme: "dark" });
  const page = await open(phone);
  await register(page, someone());
  await profile(page).waitFor();
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(overflow, 0);
  await screenshot(page, "phone-dark");
  await phone.context.close();
});
