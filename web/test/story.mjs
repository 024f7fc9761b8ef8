/*
 * The whole story in a browser, on a console that is there already; tests/e2e/test_console_page.py
 * drives it. Both speak by lines: what this one wants done goes out as "want WHAT", what was done
 * comes in as "done WHAT"; what holds is told as "ok WHAT".
 *
 *   node story.mjs URL
 */
import { createInterface } from "node:readline";
import { launch } from "./browser.mjs";

const url = process.argv[2];
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const say = (text) => process.stdout.write(text + "\n");

async function want(what) {
  say("want " + what);
  const { value } = await lines.next();
  if (value !== "done " + what) throw new Error("wanted " + what + ", got " + value);
}

const browser = await launch();
const errors = [];
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(60000);
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(url)) errors.push("asked elsewhere: " + request.url());
  });

  await page.goto(url + "/");
  await page.getByText("Nothing fails.").waitFor();
  await page.locator(".live-live").waitFor();
  say("ok empty");

  await want("fail");
  const group = page.locator(".group").first();
  await group.waitFor();
  await page.waitForFunction(() => document.querySelector(".group-count strong")?.textContent === "5");
  say("ok the group appears by itself");

  await group.locator(".group-title a").click();
  await page.waitForURL(/\/groups\/[^/]+/);
  await page.locator(".rows .row").nth(4).waitFor();
  say("ok its records");

  await page.locator(".rows .row a").first().click();
  await page.locator("[data-view=json]").waitFor();
  await page.getByText("The delivery again, by hand").waitFor();
  await page.locator(".words, .notice").first().waitFor();
  say("ok a record");
  await page.goBack();
  await page.locator(".rows .row").nth(4).waitFor();

  await want("mend");
  await page.getByRole("button", { name: "Redrive…" }).click();
  const start = page.getByRole("button", { name: "Redrive 5 records" });
  await start.waitFor();
  const plan = await page.locator("dialog .facts").innerText();
  if (!/Eligible\s+5/.test(plan)) throw new Error("the dry run says " + plan);
  say("ok dry run");
  await page.getByLabel("Reason, for the audit log").fill("the handler is mended");
  await start.click();
  await page.waitForURL(/\/redrives\/[^/]+/);
  await page.locator(".tag-finished").waitFor();
  await page.getByText("5 of 5 sent").waitFor();
  const ends = await page.locator(".panel .facts").first().innerText();
  if (!/resolved\s+5/.test(ends)) throw new Error("the job ended with " + ends);
  say("ok redriven");

  await page.getByRole("link", { name: "Failures" }).click();
  await page.getByText("Nothing fails.").waitFor();
  say("ok resolved");
  await page.getByRole("link", { name: "Audit" }).click();
  await page.getByText("the handler is mended").first().waitFor();
  await page.getByText("redrive.start").first().waitFor();
  say("ok audit");
  await page.getByRole("link", { name: "Configuration" }).click();
  await page.getByText("bootstrap.servers").first().waitFor();
  say("ok configuration");
  if (errors.length) throw new Error("the browser says: " + errors.join("; "));
  say("ok quiet");
} catch (error) {
  say("failed " + String(error).replace(/\s+/g, " "));
  process.exitCode = 1;
} finally {
  await browser.close();
  process.stdin.destroy();
}
