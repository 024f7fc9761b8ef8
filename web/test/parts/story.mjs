/*
 * The whole story: nothing fails; a handler fails, and the failure appears by itself; its records are taken along in
 * a file; dry run, redrive, progress, resolved; the file is imported, and the ledger absorbs it; a record that no
 * handler takes goes on as an edited copy; all of it stands in the audit log.
 */
import assert from "node:assert/strict";
import { downloaded } from "../acts.mjs";
import { violations } from "../axe.mjs";

async function nothingYet(open, say) {
  const page = await open("/", { bypassCSP: true });
  for (const [path, text] of [["/", "Nothing fails."], ["/groups", "Nothing fails."], ["/letters", "No dead letter fits."], ["/redrives", "Nothing was redriven."], ["/audit", "Nothing"]]) {
    await page.goto(new URL(path, page.url()).href);
    await page.locator(".empty").getByText(text).first().waitFor();
    assert.deepEqual(await violations(page), [], path);
  }
  await page.context().close();
  say("nothing yet");
}

async function redrive(page, button, reason) {
  await page.getByRole("button", { name: "Redrive…" }).click();
  const start = page.getByRole("button", { name: button });
  await start.waitFor();
  const plan = await page.locator("dialog .facts").innerText();
  await page.getByLabel("Reason, for the audit log").fill(reason);
  await start.click();
  await page.waitForURL(/\/redrives\/[^/]+/);
  await page.locator(".tag-finished").waitFor();
  return { plan, ends: await page.locator(".panel .facts").first().innerText() };
}

async function takenAlong(page) {
  const all = (await downloaded(page, () => page.getByRole("link", { name: "Export all that fit the filter" }).click())).map((line) => JSON.parse(line));
  assert.deepEqual(all.pop(), { end: { letters: 5, complete: true, why: null } });
  assert.equal(new Set(all.map((line) => line.key)).size, 5);
  await page.locator(".rows input[type=checkbox]").first().check();
  await page.getByText("1 record chosen").waitFor();
  const one = await downloaded(page, () => page.getByRole("link", { name: "Export the chosen records" }).click());
  assert.equal(one.length, 2);
  await page.locator(".rows .row a").first().click();
  await page.locator("[data-view=json]").waitFor();
  await page.getByText("The delivery again, by hand").waitFor();
  await page.locator(".words, .notice").first().waitFor();
  assert.deepEqual(await downloaded(page, () => page.getByRole("link", { name: "Export this record" }).click()), one);
  await page.goBack();
  await page.locator(".rows .row").nth(4).waitFor();
  return one;
}

async function imported(page, lines) {
  await page.getByRole("link", { name: "Records" }).click();
  await page.getByText("No dead letter fits.").waitFor();
  await page.getByRole("button", { name: "Import…" }).click();
  const give = (text) => page.getByLabel("File of JSON lines").setInputFiles({ name: "letters.jsonl", mimeType: "", buffer: Buffer.from(text) });
  await give(lines[0] + "\nno\n");
  await page.getByText(/^line 2, column \d+: /).waitFor();
  const button = page.getByRole("button", { name: "Import 1 dead letter", exact: true });
  assert.ok(await button.isDisabled());
  await page.getByLabel("Leave the bad lines out").check();
  assert.ok(await button.isEnabled());
  await give(lines.join("\n") + "\n");
  await page.getByRole("region", { name: "Dry run" }).or(page.locator("[aria-label='Dry run']")).getByText("1 dead letter", { exact: true }).waitFor();
  assert.equal(await page.locator(".bad-lines").count(), 0);
  assert.equal(await page.locator(".rows .row").count(), 0, "a dry run imports nothing");
  await page.getByLabel("Reason, for the audit log").fill("back from the file");
  await button.click();
  await page.getByText("1 dead letter imported.").waitFor();
  await page.keyboard.press("Escape");
  await page.locator(".rows .row").first().waitFor();
  assert.equal(await page.locator(".rows .row").count(), 1);
}

async function editedCopy(page, want) {
  await page.getByRole("link", { name: "Records" }).click();
  const row = page.locator(".rows .row").filter({ hasText: "the total is a word" });
  await row.locator("a").click();
  await page.getByRole("button", { name: "Edit a copy…" }).click();
  const value = page.getByRole("textbox", { name: /^Value, JSON/ });
  const text = await value.inputValue();
  await value.fill(text.replace('"ten"', "10.50"));
  await page.getByRole("button", { name: "Add a header" }).click();
  await page.getByLabel("Name of header 2").fill("mended-by");
  await page.getByLabel("Value of header 2").fill("ada");
  await page.getByRole("button", { name: "Show what changes" }).click();
  await page.locator(".diff-in").waitFor();
  assert.match(await page.locator(".diff-out").textContent(), /"total": "ten"/);
  assert.match(await page.locator(".diff-in").textContent(), /"total": 10\.50/);
  await page.locator("dialog").getByText("mended-by").waitFor();
  const send = page.getByRole("button", { name: "Send the edited copy" });
  assert.ok(await send.isDisabled());
  await page.getByLabel(/^Reason/).fill("the total was a word");
  await want("accept");
  await send.click();
  await page.getByText("This one is archived and names it.").waitFor();
  const copy = await page.locator("dialog .facts a").first().textContent();
  await page.keyboard.press("Escape");
  await page.locator(".tag-archived").first().waitFor();
  assert.equal(await page.getByRole("button", { name: "Edit a copy…" }).count(), 0);
  await page.locator(".facts").getByRole("link", { name: copy }).last().click();
  await page.locator(".act .tag-resolved").waitFor();
  await page.getByText("Edited copy of").waitFor();
  assert.match(await page.locator("[data-view=json]").textContent(), /"total": 10\.50/);
}

export default async function play({ open, want, say }) {
  await nothingYet(open, say);
  const page = await open("/");
  await page.getByText("Nothing fails.").waitFor();
  await page.locator(".live-live").waitFor();
  say("empty");

  await want("fail");
  const group = page.locator(".group").first();
  await group.waitFor();
  await page.waitForFunction(() => document.querySelector(".group-count strong")?.textContent === "5");
  say("the group appears by itself");

  await group.locator(".group-title a").click();
  await page.waitForURL(/\/groups\/[^/]+/);
  await page.locator(".rows .row").nth(4).waitFor();
  const one = await takenAlong(page);
  say("its records, one of them, and both as files");

  await want("mend");
  await page.getByRole("button", { name: "Choose none" }).or(page.getByText("All that fit")).first().waitFor();
  const first = await redrive(page, "Redrive 5 records", "the handler is mended");
  assert.match(first.plan, /Eligible\s+5/);
  await page.getByText("5 of 5 sent").waitFor();
  assert.match(first.ends, /resolved\s+5/);
  say("dry run, redrive, progress");

  await page.getByRole("link", { name: "Failures" }).click();
  await page.getByText("Nothing fails.").waitFor();
  say("resolved");

  await imported(page, one);
  say("imported, after a look");
  const again = await redrive(page, "Redrive 1 record", "and round again");
  assert.match(again.plan, /Of these overtaken\s+1/);
  assert.match(again.ends, /superseded\s+1/);
  say("absorbed by the ledger");

  await want("spoil");
  await editedCopy(page, want);
  say("an edited copy");

  await page.getByRole("link", { name: "Audit" }).click();
  for (const text of ["the handler is mended", "back from the file", "and round again", "the total was a word", "redrive.start", "dlq.import", "dlq.edit"]) await page.getByText(text).first().waitFor();
  say("audit");
  await page.getByRole("link", { name: "Configuration" }).click();
  await page.getByText("bootstrap.servers").first().waitFor();
  say("configuration");
}
