/*
 * Plays a part of the page's tests in a browser, on a console that is there already; tests/support/browser.py
 * drives it. Both speak by lines: what this one wants done goes out as "want WHAT", what was done comes in as
 * "done WHAT JSON"; what holds is told as "ok WHAT", what does not as "failed WHY". Whatever the browser
 * complains of, or asks elsewhere for, is a failure.
 *
 *   node play.mjs PART URL JSON      PART: a module of parts/, JSON: what it is told
 */
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import { launch } from "./browser.mjs";

const [part, url, told] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const write = (text) => process.stdout.write(text + "\n");
const WAIT_MS = 60000;

async function want(what) {
  write("want " + what);
  const { value = "" } = await lines.next();
  const said = "done " + what + " ";
  if (!value.startsWith(said)) throw new Error("wanted " + what + ", got " + value);
  return JSON.parse(value.slice(said.length));
}

const browser = await launch();
const complaints = [];
const pages = [];

/* A page of its own at a path of the console. Its member expected: complaints that are none there. */
async function open(path, { width = 1280, height = 800, ...more } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, locale: "en-GB", timezoneId: "Europe/Berlin", ...more });
  const page = await context.newPage();
  const complain = (text) => page.expected?.test(text) || complaints.push(text);
  pages.push(page);
  page.setDefaultTimeout(WAIT_MS);
  page.on("pageerror", (error) => complain(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complain(message.text()));
  page.on("dialog", (dialog) => {
    complain("a dialog: " + dialog.message());
    void dialog.dismiss();
  });
  context.on("page", (other) => complain("another window: " + other.url()));
  context.on("request", (request) => {
    if (!request.url().startsWith(url + "/") && !request.url().startsWith("blob:" + url + "/")) complain("asked elsewhere: " + request.url());
  });
  await page.goto(url + path);
  return page;
}

try {
  const { default: play } = await import(`./parts/${part}.mjs`);
  await play({ open, want, url, told: JSON.parse(told), say: (what) => write("ok " + what) });
  assert.deepEqual(complaints, [], "the browser complains");
  write("ok quiet");
} catch (error) {
  for (const page of pages.filter((one) => !one.isClosed())) console.error("%s\n%s", page.url(), (await page.locator("body").innerText()).slice(0, 3000));
  write("failed " + (String(error.stack ?? error) + (complaints.length ? "; the browser says: " + complaints.join("; ") : "")).replace(/\s+/g, " "));
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
