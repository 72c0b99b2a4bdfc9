import { Refused, call } from "/page/session.js";

/** The server closes with it when the session or the token has ended. */
const UNAUTHORIZED = 4401;
const LONGEST_WAIT = 30_000;

const byId = (id) => document.getElementById(id);

let socket;
let wait = 0;
/** From the question who is signed in until the socket has closed. */
let connecting = false;
let timer;

async function connect() {
  if (connecting) return;
  connecting = true;
  clearTimeout(timer);
  try {
    // A handshake cannot refresh: this does, where the access token has expired.
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
    // Another password, another session in its place: asking tells whether this browser is still signed in.
    else if (code === UNAUTHORIZED) connectLater("Your session has ended.");
    else connectLater("The connection is lost.");
  });
}

/** Not all at once when a server comes back. */
function connectLater(text) {
  say(text);
  clearTimeout(timer);
  timer = setTimeout(connect, wait + Math.random() * 500);
  wait = Math.min(LONGEST_WAIT, wait * 2 || 500);
}

function signedOut() {
  // Nothing of what was said stays in the page.
  byId("said").replaceChildren();
  byId("room").hidden = true;
  say("You are not signed in.");
}

function show({ from, text }) {
  const item = document.createElement("li");
  // Text alone: nothing that anybody says becomes markup.
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

// Signed in again in another tab.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && byId("room").hidden) connect();
});

connect();
