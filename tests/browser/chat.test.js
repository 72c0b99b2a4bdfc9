// The chat of the example `websocket` in Chromium: its policy lets the socket through, and it ends
// with the session.

const { test, before, after } = require("node:test");
const assert = require("node:assert/strict");
const { startExample, startBrowser } = require("./example.js");

let browser, app;

before(async () => {
  browser = await startBrowser();
  // An access token is as old as that before the page has said much: it has to refresh and come
  // back.
  app = await startExample({ THROTTLE: "off", ACCESS_TOKEN_EXPIRY: "2s" }, "websocket");
});

after(async () => {
  await browser?.close();
  await app?.stop();
});

test("a chat goes on over refreshes and ends with its session", async () => {
  const context = await browser.newContext();
  context.setDefaultTimeout(20_000);
  const complaints = [];
  context.on("weberror", (error) => complaints.push(String(error.error())));
  const home = await context.newPage();
  await home.goto(app.origin);
  const form = home.getByRole("region", { name: "Register" });
  await form.getByLabel("E-mail").fill("ada@example.com");
  await form.getByLabel("Password").fill("correct horse battery staple");
  await form.getByRole("button", { name: "Register" }).click();
  await home.getByRole("heading", { name: "Profile" }).waitFor();

  const chat = await context.newPage();
  const sockets = [];
  let open = 0, mostOpen = 0;
  chat.on("websocket", (socket) => {
    sockets.push(socket.url());
    mostOpen = Math.max(mostOpen, ++open);
    socket.on("close", () => (open -= 1));
  });
  await chat.goto(`${app.origin}/chat`);
  await chat.getByText("You are in.").waitFor();
  await chat.getByLabel("Message").fill("<b>hello</b>");
  await chat.getByRole("button", { name: "Send" }).click();
  await chat.getByText(": <b>hello</b>").waitFor();

  // The token expires, the page refreshes, and the next socket is another one.
  const opened = sockets.length;
  await chat.waitForEvent("websocket");
  assert.ok(sockets.length > opened);
  await chat.getByText("You are in.").waitFor();

  await home.bringToFront();
  await home.getByRole("button", { name: "Sign out", exact: true }).click();
  await chat.getByText("You are not signed in.").waitFor();
  assert.equal(await chat.getByRole("log").isVisible(), false);

  // The user logs in again in another tab. This page notices when it becomes visible, however
  // often.
  const again = home.getByRole("region", { name: "Sign in" });
  await again.getByLabel("E-mail or username").fill("ada@example.com");
  await again.getByLabel("Password").fill("correct horse battery staple");
  await again.getByRole("button", { name: "Sign in" }).click();
  await home.getByRole("heading", { name: "Profile" }).waitFor();
  await chat.evaluate(() => {
    for (let n = 0; n < 3; n += 1) document.dispatchEvent(new Event("visibilitychange"));
  });
  await chat.getByText("You are in.").waitFor();
  await chat.waitForEvent("websocket");
  assert.equal(mostOpen, 1, "never two at once");
  assert.deepEqual(complaints, []);
  await context.close();
});
