/*
 * A failure of the route "mails" is redriven, what is left of it by force, and purged: by keys alone.
 *
 * told: {letters: how many there are}
 */
import assert from "node:assert/strict";
import { tabTo } from "../acts.mjs";

const focused = (page) => page.evaluate(() => document.activeElement.textContent);
const toButton = (page, name) => tabTo(page, (text) => document.activeElement.tagName === "BUTTON" && document.activeElement.textContent === text && !document.activeElement.disabled, name, name);
const toField = (page, label) => tabTo(page, (text) => document.activeElement.matches("input, select, textarea") && document.activeElement.closest("label")?.textContent.includes(text), label, label);

async function toFailure(page) {
  await page.locator(".group", { hasText: "route mails" }).waitFor();
  await tabTo(page, () => document.activeElement.closest(".group")?.textContent.includes("route mails"), "the failure");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/groups\/[^/]+/);
  await page.locator(".rows .row").first().waitFor();
}

async function staysInside(page) {
  for (let i = 0; i < 25; i++) {
    await page.keyboard.press("Tab");
    assert.ok(await page.evaluate(() => document.activeElement === document.body || document.querySelector("dialog").contains(document.activeElement)));
  }
  const row = () => page.evaluate(() => document.activeElement.matches(".rows .row"));
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.ok(await row(), "the focus is back where it was");
}

async function finished(page, resolved) {
  await page.waitForURL(/\/redrives\/[^/]+/);
  await page.locator(".tag-finished").waitFor();
  await page.waitForFunction((text) => document.querySelector(".panel .facts")?.innerText.replace(/\s+/g, " ").includes(text), "resolved " + resolved);
}

export default async function play({ open, want, told, say }) {
  const page = await open("/");
  const press = (key) => page.keyboard.press(key);
  await page.locator(".group").first().waitFor();
  await press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await toFailure(page);
  say("a failure, from the overview on");

  await page.locator(".rows .row").nth(told.letters - 1).waitFor();
  await tabTo(page, () => document.activeElement.matches(".rows .row"), "the list");
  for (const key of ["ArrowDown", " ", "j", "x"]) await press(key);
  await page.getByText("2 records chosen").waitFor();
  await press("r");
  await page.locator("dialog[open] .facts").waitFor();
  await staysInside(page);
  say("the dialog keeps the focus and gives it back");

  await want("mend");
  await press("r");
  await page.getByRole("button", { name: "Redrive 2 records" }).waitFor();
  assert.match(await page.locator("dialog .facts").innerText(), /Eligible\s+2/);
  await toField(page, "Reason");
  await page.keyboard.type("two of them first");
  await toButton(page, "Redrive 2 records");
  await press("Enter");
  await finished(page, 2);
  say("dry run, reason, redrive");

  await press("g");
  await press("f");
  await page.waitForFunction(() => document.activeElement?.id === "title" && document.title.startsWith("Failures"));
  await toFailure(page);
  const left = `Redrive ${told.letters - 2} records`;
  await press("r");
  await page.getByRole("button", { name: left }).waitFor();
  await tabTo(page, () => document.activeElement.type === "radio", "the mode");
  await press("ArrowDown");
  await page.getByLabel("Type force to confirm").waitFor();
  assert.ok(await page.getByRole("button", { name: left }).isDisabled());
  await toField(page, "force wants one");
  await page.keyboard.type("asked for");
  await toField(page, "Type force to confirm");
  await page.keyboard.type("forc");
  assert.ok(await page.getByRole("button", { name: left }).isDisabled(), "the word must be whole");
  await page.keyboard.type("e");
  await toButton(page, left);
  await press("Enter");
  await finished(page, told.letters - 2);
  assert.match(await page.locator("main").innerText(), /Mode\s+force/);
  say("force, by its word");

  await page.locator(".table tbody tr").first().waitFor();
  await tabTo(page, () => document.activeElement.matches(".table a[href^='/letters/']"), "a record of the job");
  await press("Enter");
  await page.locator("[data-view]").waitFor();
  await toButton(page, "Purge up to here…");
  await press("Enter");
  await page.locator("dialog .facts").waitFor();
  const button = page.getByRole("button", { name: "Delete for ever" });
  assert.ok(await button.isDisabled());
  await toField(page, "Reason");
  await page.keyboard.type("none of it is needed");
  await toField(page, "Type the topic's name");
  await page.keyboard.type(await page.locator("dialog .field code").innerText());
  await toButton(page, "Delete for ever");
  page.expected = /status of 404/; /* the record that is shown is among those that go */
  await press("Enter");
  await page.getByText("Deleted", { exact: true }).waitFor();
  await press("Escape");
  await page.waitForFunction(() => !document.querySelector("dialog"));
  assert.equal(await focused(page), "Purge up to here…");
  say("purge, by the topic's name");

  for (const [key, path] of [["l", "/letters"], ["r", "/redrives"], ["k", "/keys"], ["c", "/config"], ["o", "/"], ["a", "/audit"]]) {
    await press("g");
    await press(key);
    await page.waitForFunction((to) => location.pathname === to, path);
  }
  for (const text of ["two of them first", "asked for", "none of it is needed"]) await page.getByText(text).first().waitFor();
  say("every page, and the audit log");
  await press("?");
  await tabTo(page, () => document.activeElement.type === "checkbox", "the switch");
  await press(" ");
  await press("Escape");
  await press("g");
  await press("f");
  assert.equal(new URL(page.url()).pathname, "/audit");
  say("the keys are switched off");
}
