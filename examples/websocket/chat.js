import { Refused, call } from "/page/session.js";

/** Close code of the server when the session has ended or the token has expired. */
const UNAUTHORIZED = 4401;
const LONGEST_WAIT = 30_000;

const byId = (id) => document.getElementById(id);

let socket;
let wait = 0;
/** Asks who is logged in, opens the socket, and waits until it closes. */
let connecting = false;
let timer;

async function connect() {
  if (connecting) return;
  connecting = true;
  clearTimeout(timer);
  try {
    // A handshake cannot refresh. This request does if the access token has expired.
    await call("GET", "/auth/me");
  } catch (error) {
    connecting = false;
    if (error instanceof Refused && error.status === 401) signedOut();
    else connectLater("The server cannot be reached.");
    return;
  }
  const url = new URL("/chat/socket", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(url);
  socket.addEventListener("open", () => {
    wait = 0;
    byId("room").hidden = false;
    say("You are in.");
  });
  socket.addEventListener("message", ({ data }) => show(JSON.parse(data)));
  socket.addEventListener("close", ({ code, reason }) => {
    connecting = false;
    if (code === UNAUTHORIZED && reason === "token_expired") connectLater("Refreshing.");
    // The session may have been replaced, for example by a password change. This request shows
    // whether the browser is still logged in.
    else if (code === UNAUTHORIZED) connectLater("Your session has ended.");
    else connectLater("The connection is lost.");
  });
}

/** Waits for a random time, so that not all clients reconnect at once. */
function connectLater(text) {
  say(text);
  clearTimeout(timer);
  timer = setTimeout(connect, wait + Math.random() * 500);
  wait = Math.min(LONGEST_WAIT, wait * 2 || 500);
}

function signedOut() {
  // Removes all messages from the page.
  byId("said").replaceChildren();
  byId("room").hidden = true;
  say("You are not signed in.");
}

function show({ from, text }) {
  const item = document.createElement("li");
  // Writes text only, so that no message becomes markup.
  item.textContent = `${from}: ${text}`;
  byId("said").append(item);
  item.scrollIntoView({ block: "nearest" });
}

function say(text) {
  byId("status").textContent = text;
}

byId("say").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return;
  socket.send(byId("text").value);
  event.target.reset();
});

// The user has logged in again in another tab.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && byId("room").hidden) connect();
});

connect();
