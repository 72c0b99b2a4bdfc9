// The example app, on a port of its own, and the browser that visits it.

const { spawn } = require("node:child_process");
const { createServer } = require("node:http");
const path = require("node:path");
const { once } = require("node:events");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const root = path.join(__dirname, "..", "..");
const BINARY = process.env.EXAMPLE ?? path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, "target"), "debug", "examples", "axum_memory");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Where screenshots are put, to be looked at. */
const SCREENSHOTS = process.env.SCREENSHOTS ?? path.join(root, "target", "browser");

/** Starts the example, or another that is built beside it; answers its origin and how to stop it. */
async function startExample(environment = {}, example = path.basename(BINARY)) {
  const process_ = spawn(path.join(path.dirname(BINARY), example), [], {
    env: { PATH: process.env.PATH, ADDR: "127.0.0.1:0", ...environment },
    stdio: ["ignore", "pipe", "ignore"],
  });
  process_.on("error", (error) => console.error(`${BINARY} cannot be started: ${error.message}`));
  const lines = readline.createInterface({ input: process_.stdout });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(process_, "exit").then(() => {
      throw new Error(`${BINARY} ended before it listened`);
    }),
  ]);
  const { port } = new URL(line.replace("listening on ", ""));
  return {
    // Not every browser takes a `Secure` cookie over plain HTTP from 127.0.0.1, too.
    origin: `http://localhost:${port}`,
    async stop() {
      process_.kill("SIGKILL");
      if (process_.exitCode === null && process_.signalCode === null) await once(process_, "exit");
    },
  };
}

/** A site that is not the example's: `127.0.0.1` is none of `localhost`'s. */
async function startOtherSite(html) {
  const server = createServer((_, response) => {
    response.setHeader("content-type", "text/html");
    response.end(html);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { origin: `http://127.0.0.1:${server.address().port}`, stop: () => server.close() };
}

function startBrowser() {
  return chromium.launch({
    executablePath: CHROMIUM,
    // Within a container there is no user to lose privileges to, and little shared memory.
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}

module.exports = { startExample, startOtherSite, startBrowser, SCREENSHOTS };
