/*
 * Hostile records stay text on every page that shows them, and each page goes on working.
 *
 * told: {lists: paths, letters: {name: path}, seen: {name: [text that must stand there]}}
 */
import assert from "node:assert/strict";
import { harmless } from "../acts.mjs";

/* Still there for its reader: help opens and closes, another page is a key away. */
async function isUsable(page) {
  await page.locator("h1").focus();
  await page.keyboard.press("?");
  await page.getByLabel("Single-key shortcuts").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
}

async function allOfIt(page) {
  const all = page.getByRole("button", { name: /^Show all/ });
  if ((await all.count()) === 0) return;
  await all.click();
  await all.waitFor({ state: "detached" });
  await harmless(page);
}

async function record(page, name, seen) {
  await page.locator("[data-view], .empty").first().waitFor();
  await page.getByText("Reading the ledger").waitFor({ state: "detached" });
  await harmless(page);
  for (const text of seen) assert.ok((await page.locator("main").textContent()).includes(text), name + " shows " + text);
  for (const view of ["JSON", "Text", "Hex"]) {
    const tab = page.getByRole("button", { name: view, exact: true });
    if ((await tab.count()) === 0) continue;
    await tab.click();
    await page.locator(`[data-view=${view.toLowerCase()}]`).waitFor();
    await harmless(page);
  }
  await allOfIt(page);
  await isUsable(page);
  const key = page.getByRole("link", { name: "All about this key" });
  if ((await key.count()) === 0) return;
  await key.click();
  await page.locator("#ledger").waitFor();
  await harmless(page);
}

export default async function play({ open, told, say }) {
  const page = await open("/");
  for (const path of told.lists) {
    await page.goto(new URL(path, page.url()).href);
    await page.locator(".group, .rows .row, .table").first().waitFor();
    await page.locator(".live-live").waitFor();
    await harmless(page);
    await isUsable(page);
    say(path.slice(0, 60).replace(/\s/g, " "));
  }
  for (const [name, path] of Object.entries(told.letters)) {
    await page.goto(new URL(path, page.url()).href);
    await record(page, name, told.seen[name] ?? []);
    say(name);
  }
}
