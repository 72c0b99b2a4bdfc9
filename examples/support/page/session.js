// Requests that refresh the session when they have to. Tokens are in cookies that no script sees.

const CHANNEL = "portcullis-session";
const REFRESHING = "portcullis-refresh";
/** How long another tab's answer may be on its way, in milliseconds. */
const SOON = 1_000;
/** For how long a second refusal stands, in milliseconds. */
const HOPELESS = 10_000;
let hopelessUntil = 0;

/** What the server answered, where that was no success. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
    this.status = status;
    this.code = problem.code;
    this.fields = problem.errors ?? [];
  }
}

const channel = new BroadcastChannel(CHANNEL);

/** Tells the other tabs that somebody signed in or out. */
export const tellOtherTabs = () => channel.postMessage("changed");

/** Calls back when another tab did. */
export const onChangeElsewhere = (callback) => channel.addEventListener("message", callback);

/**
 * Sends a request; one that a newer access token may let pass is sent again after a refresh.
 * @throws {Refused} where the server answers anything but success; {TypeError} where there is no answer.
 */
export async function call(method, path, body) {
  let response = await send(method, path, body);
  if (await wantsRefresh(response)) {
    response = await exclusively(async () => {
      const refreshed = await refreshFor(method, path, body);
      if ((await codeOf(refreshed)) !== "refresh_invalid" || Date.now() < hopelessUntil) return refreshed;
      // Another tab may have changed the password just now: the server keeps the cookies, and that tab gets good ones.
      await new Promise((resolve) => setTimeout(resolve, SOON));
      const last = await refreshFor(method, path, body);
      // The session is over, then: those who wait in line need not find out one by one.
      if ((await codeOf(last)) === "refresh_invalid") hopelessUntil = Date.now() + HOPELESS;
      return last;
    });
  }
  return read(response);
}

/** The answer after one refresh, or that of the refresh where it failed. */
async function refreshFor(method, path, body) {
  // Whoever waited finds a new token: one refresh does for all tabs.
  const again = await send(method, path, body);
  if (!(await wantsRefresh(again))) return again;
  const refreshed = await send("POST", "/auth/refresh");
  return refreshed.ok ? send(method, path, body) : refreshed;
}

/** The same without a refresh: for what brings its own proof. */
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
  // All tabs may wait for this one: not for ever.
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

// An expired cookie is gone from the browser, so that its token is missing; one of a key that leaked and was dropped is not
// valid any more.
const STALE = ["token_expired", "token_missing", "token_invalid"];

async function wantsRefresh(response) {
  return response.status === 401 && STALE.includes(await codeOf(response));
}

let queue = Promise.resolve();

function exclusively(work) {
  // Locks span all tabs, but not every browser has them for plain HTTP; the server's grace then bridges two tabs.
  if (navigator.locks) return navigator.locks.request(REFRESHING, work);
  const turn = queue.then(work);
  queue = turn.catch(() => {});
  return turn;
}
