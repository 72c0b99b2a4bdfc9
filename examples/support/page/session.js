// Requests that refresh the session when they have to. Tokens are in cookies that no script sees.

const CHANNEL = "portcullis-session";
const REFRESHING = "portcullis-refresh";
/** Longest time that the answer to another tab takes to arrive, in milliseconds. */
const SOON = 1_000;
/** Time during which a second refusal is final, in milliseconds. */
const HOPELESS = 10_000;
let hopelessUntil = 0;

/** An answer of the server that is no success. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code;
    this.fields = problem.errors ?? [];
  }
}

const channel = new BroadcastChannel(CHANNEL);

/** Notifies the other tabs that a user has logged in or out. */
export const tellOtherTabs = () => channel.postMessage("changed");

/** Calls back when a user has logged in or out in another tab. */
export const onChangeElsewhere = (callback) => channel.addEventListener("message", callback);

/**
 * Sends a request. Sends it again after a refresh if a new access token may let it pass. @throws
 * {Refused} where the server answers anything but success; {TypeError} where there is no answer.
 */
export async function call(method, path, body) {
  let response = await send(method, path, body);
  if (await wantsRefresh(response)) {
    response = await exclusively(async () => {
      const refreshed = await refreshFor(method, path, body);
      if ((await codeOf(refreshed)) !== "refresh_invalid" || Date.now() < hopelessUntil) return refreshed;
      // Another tab may have just changed the password. The server keeps the cookies, and that tab
      // gets new ones.
      await new Promise((resolve) => setTimeout(resolve, SOON));
      const last = await refreshFor(method, path, body);
      // The session has ended. Waiting requests need not ask one by one.
      if ((await codeOf(last)) === "refresh_invalid") hopelessUntil = Date.now() + HOPELESS;
      return last;
    });
  }
  return read(response);
}

/** Returns the answer after one refresh, or the answer of the refresh if it failed. */
async function refreshFor(method, path, body) {
  // A request that has waited finds a new token: one refresh is enough for all tabs.
  const again = await send(method, path, body);
  if (!(await wantsRefresh(again))) return again;
  const refreshed = await send("POST", "/auth/refresh");
  return refreshed.ok ? send(method, path, body) : refreshed;
}

/** Sends a request without a refresh, for requests that need no access token. */
export async function callOnce(method, path, body) {
  return read(await send(method, path, body));
}

async function read(response) {
  if (!response.ok) throw new Refused(response.status, await problemOf(response));
  return response.status === 204 ? undefined : response.json();
}

function send(method, path, body) {
  const headers = { accept: "application/json" };
  if (body !== undefined) headers["content-type"] = "application/json";
  // All tabs may wait for this one, so it times out.
  const signal = AbortSignal.timeout(15_000);
  return fetch(path, { method, headers, body: body && JSON.stringify(body), credentials: "same-origin", cache: "no-store", signal });
}

async function problemOf(response) {
  try {
    return await response.json();
  } catch {
    return {};
  }
}

async function codeOf(response) {
  return response.ok ? undefined : (await problemOf(response.clone())).code;
}

// The browser drops an expired cookie, so its token is missing. A token of a key that was dropped
// after a leak is not valid any more.
const STALE = ["token_expired", "token_missing", "token_invalid"];

async function wantsRefresh(response) {
  return response.status === 401 && STALE.includes(await codeOf(response));
}

let queue = Promise.resolve();

function exclusively(work) {
  // Locks span all tabs, but not every browser has them over plain HTTP. There the grace of the
  // server covers two tabs.
  if (navigator.locks) return navigator.locks.request(REFRESHING, work);
  const turn = queue.then(work);
  queue = turn.catch(() => {});
  return turn;
}
