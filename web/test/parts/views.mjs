/*
 * axe on the views that it is told of: in the light theme at 1280 px, in the dark one at 320 px, where nothing stands
 * beyond the edge.
 *
 * told: [{name, path, ready, acts, expected}]: what is there before it looks (a selector), what is done first
 * ([what, argument]...), and what the browser may complain of.
 */
import assert from "node:assert/strict";
import { violations } from "../axe.mjs";

const acts = {
  click: (page, name) => page.getByRole("button", { name }).first().click(),
  see: (page, selector) => page.locator(selector).first().waitFor(),
  read: (page, text) => page.getByText(text).first().waitFor(),
  give: (page, text) => page.getByLabel("File of JSON lines").setInputFiles({ name: "letters.jsonl", mimeType: "", buffer: Buffer.from(text) }),
  tick: (page, name) => page.getByRole("radio", { name }).check(),
  type: (page, [label, text]) => page.getByLabel(label).fill(text),
};

/* Two looks tell of all: colours do not depend on the width, nor what a screen reader hears on the colours. */
async function look(page) {
  const found = [];
  const check = async (how) => found.push(...(await violations(page)).map((one) => how + ": " + one));
  const back = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await back();
  await check("light");
  await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
  await page.setViewportSize({ width: 320, height: 640 });
  await page.waitForFunction((old) => getComputedStyle(document.body).backgroundColor !== old, light);
  await check("dark, narrow");
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > 320) found.push("narrow: it is " + wide + " px wide");
  return found;
}

export default async function play({ open, told, say }) {
  const found = [];
  const page = await open("/", { bypassCSP: true });
  for (const view of told) {
    await page.emulateMedia({ colorScheme: "light", reducedMotion: "reduce" });
    await page.setViewportSize({ width: 1280, height: 800 });
    page.expected = new RegExp(view.expected ?? "^$");
    await page.goto(new URL(view.path, page.url()).href);
    await page.locator(view.ready).first().waitFor();
    for (const [what, argument] of view.acts ?? []) await acts[what](page, argument);
    for (const one of await look(page)) found.push(view.name + ", " + one);
    say(view.name);
  }
  assert.deepEqual(found, []);
}
