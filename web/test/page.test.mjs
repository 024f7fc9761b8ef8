/*
 * The page in a browser, on an API that is made up (fake.mjs): what it shows, what it is to the
 * keyboard and to a screen reader, and that hostile records stay text.
 *
 *   npm ci && node --test
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { launch } from "./browser.mjs";
import { Fake, hostile } from "./fake.mjs";
import { views } from "./views.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/* Runs body with a page on a fake of its own; whatever the browser complains of is a failure. */
async function on({ scenario, letters, path = "/", theme = "light", width = 1280, height = 800, complaints = true, context: more = {} }, body) {
  const fake = await new Fake({ scenario, letters }).listen();
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, timezoneId: "Europe/Berlin", ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(20000);
  const said = [];
  page.on("pageerror", (error) => said.push(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && said.push(message.text()));
  page.on("request", (request) => {
    if (!request.url().startsWith(fake.url + "/")) said.push("asked elsewhere: " + request.url());
  });
  try {
    await page.goto(fake.url + (typeof path === "function" ? path(fake) : path));
    await body(page, fake, said);
    if (complaints) assert.deepEqual(said, []);
  } finally {
    await context.close();
    await fake.close();
  }
}

async function violations(page) {
  await page.evaluate(axe);
  const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return result.violations.map((one) => one.id + ": " + one.nodes.map((node) => node.target.join(" ") + " " + (node.any[0]?.message ?? "")).slice(0, 4).join(" | "));
}

/* axe comes in by the debugger, but what it makes must be let in by the policy: so without trusted types. */
const forAxe = { bypassCSP: true };

describe("a screen reader", () => {
  for (const view of views) {
    for (const theme of ["light", "dark"]) {
      test(`${view.name}, ${theme}: no violation`, () =>
        on({ scenario: view.scenario, path: view.path, theme, complaints: view.scenario !== "error", context: forAxe }, async (page) => {
          await view.ready(page);
          assert.deepEqual(await violations(page), []);
        }));
    }
    test(`${view.name}, narrow: no violation, and nothing beyond the edge`, () =>
      on({ scenario: view.scenario, path: view.path, width: 320, height: 640, complaints: view.scenario !== "error", context: forAxe }, async (page) => {
        await view.ready(page);
        assert.deepEqual(await violations(page), []);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 320, "the page is " + wide + " px wide");
      }));
  }

  test("the title of a page that is opened has the focus and names the window", () =>
    on({}, async (page) => {
      await page.getByRole("link", { name: "Failures" }).click();
      await page.waitForFunction(() => document.activeElement?.id === "title");
      assert.equal(await page.title(), "Failures · oncegate");
    }));
});

async function tabTo(page, condition, what) {
  for (let i = 0; i < 60; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(condition)) return;
  }
  assert.fail("Tab does not reach " + what);
}

describe("the keyboard", () => {
  test("a redrive from the overview on, without a mouse", () =>
    on({}, async (page, fake) => {
      await page.waitForSelector(".group");
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
      await tabTo(page, () => document.activeElement.closest(".group") !== null, "a failure");
      await page.keyboard.press("Enter");
      await page.waitForSelector(".rows .row");
      await tabTo(page, () => document.activeElement.matches(".rows .row"), "the list");
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press(" ");
      await page.keyboard.press("j");
      await page.keyboard.press("x");
      await page.getByText("2 records chosen").waitFor();
      await page.keyboard.press("r");
      await page.waitForSelector("dialog[open] .facts");
      await tabTo(page, () => /^Redrive 2 records$/.test(document.activeElement.textContent), "the button");
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/redrives\//);
      await page.waitForSelector(".tag-finished");
      assert.equal(fake.jobs[0].filter.id.length, 2);
    }));

  test("a dialog keeps the focus, closes on Escape and gives the focus back", () =>
    on({ path: (fake) => "/groups/" + fake.signatureOf(0) }, async (page) => {
      await page.waitForSelector(".rows .row");
      await page.getByRole("button", { name: "Redrive…" }).focus();
      await page.keyboard.press("Enter");
      await page.waitForSelector("dialog .facts");
      for (let i = 0; i < 30; i++) {
        await page.keyboard.press("Tab");
        assert.ok(await page.evaluate(() => document.activeElement === document.body || document.querySelector("dialog").contains(document.activeElement)));
      }
      await page.keyboard.press("Escape");
      await page.waitForSelector("dialog", { state: "detached" });
      assert.equal(await page.evaluate(() => document.activeElement.textContent), "Redrive…");
    }));

  test("letters lead to every page, help lists them, and they can be switched off", () =>
    on({}, async (page) => {
      await page.waitForSelector(".group");
      for (const [key, path] of [["f", "/groups"], ["l", "/letters"], ["r", "/redrives"], ["k", "/keys"], ["a", "/audit"], ["c", "/config"], ["o", "/"]]) {
        await page.keyboard.press("g");
        await page.keyboard.press(key);
        await page.waitForFunction((to) => location.pathname === to, path);
      }
      await page.keyboard.press("?");
      await page.getByLabel("Single-key shortcuts").uncheck();
      await page.keyboard.press("Escape");
      await page.keyboard.press("g");
      await page.keyboard.press("f");
      assert.equal(new URL(page.url()).pathname, "/");
    }));

  test("Home, End, pages and Enter in the list", () =>
    on({ path: "/letters", letters: 900 }, async (page) => {
      await page.waitForSelector(".rows .row");
      await page.locator(".rows .row").first().focus();
      const index = () => page.evaluate(() => Number(document.activeElement.dataset.index));
      await page.keyboard.press("PageDown");
      await page.waitForFunction(() => Number(document.activeElement.dataset.index) > 5);
      await page.keyboard.press("Home");
      await page.waitForFunction(() => document.activeElement.dataset.index === "0");
      await page.keyboard.press("End");
      await page.waitForFunction(() => Number(document.activeElement.dataset.index) > 90);
      assert.ok((await index()) >= 99);
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/letters\/.+/);
    }));

  test("the menu of a narrow window", () =>
    on({ width: 320, height: 640 }, async (page) => {
      const menu = page.getByRole("button", { name: "Menu" });
      await menu.focus();
      await page.keyboard.press("Enter");
      assert.equal(await menu.getAttribute("aria-expanded"), "true");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await page.waitForURL(/\/groups$/);
      assert.equal(await menu.getAttribute("aria-expanded"), "false");
    }));
});

describe("hostile records", () => {
  async function harmless(page) {
    const found = await page.evaluate(() => ({
      owned: window.owned,
      made: document.querySelectorAll("main img, main script, main iframe, main svg:not(.spark), main b").length,
      links: [...document.querySelectorAll("a")].filter((a) => !["http:", "https:"].includes(a.protocol)).length,
      /* eslint-disable-next-line no-control-regex */
      raw: (document.body.textContent + document.title).match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b]/)?.[0] ?? null,
      wide: document.documentElement.scrollWidth - innerWidth,
    }));
    assert.deepEqual(found, { owned: undefined, made: 0, links: 0, raw: null, wide: 0 });
  }

  for (const path of ["/", "/groups", "/letters"]) {
    test(path, () =>
      on({ scenario: "hostile", path }, async (page) => {
        await page.waitForSelector(path === "/letters" ? ".rows .row" : ".group");
        await harmless(page);
      }));
  }

  test("a failure", () =>
    on({ scenario: "hostile", path: (fake) => "/groups/" + fake.signatureOf(0) }, async (page) => {
      await page.waitForSelector(".rows .row");
      await harmless(page);
    }));

  for (const [number, what] of [[0, "markup and escapes"], [1, "markup in JSON"], [2, "JSON 50,000 deep, a key of 1 MiB"]]) {
    test("a record: " + what, () =>
      on({ scenario: "hostile", path: (fake) => "/letters/" + fake.idOf(number + 3000) }, async (page) => {
        await page.waitForSelector("[data-view]");
        await harmless(page);
        for (const view of ["Text", "Hex"]) {
          await page.getByRole("button", { name: view, exact: true }).click();
          await page.waitForSelector(`[data-view=${view.toLowerCase()}]`);
          await harmless(page);
        }
        const all = page.getByRole("button", { name: /^Show all/ });
        if (await all.count()) {
          await all.click();
          await harmless(page);
        }
      }));
  }

  test("what cannot be seen is written out", () =>
    on({ scenario: "hostile", path: (fake) => "/letters/" + fake.idOf(3000) }, async (page) => {
      await page.waitForSelector("[data-view=text]");
      const text = await page.locator("[data-view=text]").textContent();
      assert.ok(text.includes(hostile.markup), "markup is text");
      for (const escape of ["\\x1b]0;owned\\x07\\x1b[2J", "\\u{202e}gnp.exe\\u{202c}", "zero\\u{200b}width", "\\x00"]) {
        assert.ok(text.includes(escape), escape + " in " + text);
      }
    }));

  test("JSON is laid out without another number", () =>
    on({ path: (fake) => "/letters/" + fake.idOf(4500) }, async (page) => {
      await page.waitForSelector("[data-view=json]");
      const text = await page.locator("[data-view=json]").textContent();
      assert.match(text, /"total": 1\.10,\n/);
      assert.match(text, /"exact": 123456789012345678901234567890,/);
    }));
});

describe("a long list", () => {
  test("100,000 rows are scrolled to the end, a screenful of them in the document", () =>
    on({ path: "/letters?state=any", letters: 100000 }, async (page) => {
      await page.waitForSelector(".rows .row");
      const most = await page.evaluate(async () => {
        let rows = 0;
        const done = () => /^All 100,000 /.test(document.querySelector(".list-foot").textContent);
        const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
        while (!done()) {
          scrollTo(0, document.documentElement.scrollHeight);
          await frame();
          rows = Math.max(rows, document.querySelectorAll(".rows .row").length);
        }
        for (let at = document.documentElement.scrollHeight; at > 0; at -= 31337) {
          scrollTo(0, at);
          await frame();
          await frame();
          const shown = [...document.querySelectorAll(".rows .row")];
          rows = Math.max(rows, shown.length);
          const seen = shown.some((row) => {
            const box = row.getBoundingClientRect();
            return box.top < innerHeight / 2 && box.bottom > innerHeight / 2;
          });
          if (!seen && at > 2000 && at < document.documentElement.scrollHeight - 2000) throw new Error("nothing is shown at " + at);
        }
        return rows;
      });
      assert.ok(most < 120, most + " rows in the document");
      await page.locator(".rows .row").first().focus();
      await page.keyboard.press("End");
      await page.waitForFunction(() => document.activeElement.dataset.index === "99999");
      assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-rowindex")), "100001");
    }));

  test("going back from a record is where one was", () =>
    on({ path: "/letters", letters: 5000 }, async (page) => {
      await page.waitForSelector(".rows .row");
      await page.locator(".rows .row").first().focus();
      for (let i = 0; i < 6; i++) await page.keyboard.press("PageDown");
      const before = await page.evaluate(() => [scrollY, document.activeElement.dataset.index]);
      assert.ok(before[0] > 500);
      await page.keyboard.press("Enter");
      await page.waitForSelector("[data-view]");
      await page.goBack();
      await page.waitForFunction((y) => Math.abs(scrollY - y) < 200, before[0]);
    }));
});

describe("filters", () => {
  test("are in the address, combine, and come off", () =>
    on({ path: "/letters?route=orders&code=http-503" }, async (page) => {
      await page.waitForSelector(".rows .row");
      assert.deepEqual(await page.locator(".rows .c-code").allTextContents().then((all) => [...new Set(all)]), ["http-503"]);
      await page.getByLabel("State").selectOption("resolved");
      await page.waitForURL(/state=resolved/);
      await page.getByRole("button", { name: "Remove code" }).click();
      await page.waitForURL((url) => !url.search.includes("code="));
      await page.getByRole("searchbox").fill("catalogue");
      await page.waitForURL(/text=catalogue/);
      assert.match(new URL(page.url()).search, /^\?route=orders&text=catalogue&state=resolved$/);
      await page.reload();
      assert.equal(await page.getByRole("searchbox").inputValue(), "catalogue");
    }));

  test("a partial answer says so", () =>
    on({ scenario: "partial", path: "/letters?text=price" }, async (page) => {
      await page.getByText("Scanned 41,200 of 300,000 records").waitFor();
      await page.getByText("Words are indexed of 12,000 of 300,000").waitFor();
    }));
});

describe("states", () => {
  test("an error is told, and trying again helps", () =>
    on({ scenario: "error", path: "/groups", complaints: false }, async (page, fake) => {
      await page.getByText("connection refused at 127.0.0.1:9092").first().waitFor();
      fake.world.scenario = "busy";
      await page.getByRole("button", { name: "Try again" }).first().click();
      await page.waitForSelector(".group");
    }));

  test("a console that is gone is told, and found again by itself", () =>
    on({ complaints: false }, async (page, fake) => {
      await page.waitForSelector(".live-live");
      const port = Number(new URL(fake.url).port);
      await fake.close();
      await page.getByText("Not connected").waitFor();
      const again = await new Fake({ letters: 12001 }).listen(port);
      try {
        await page.waitForSelector(".live-live");
        await page.waitForFunction(() => document.querySelector(".group-count strong")?.textContent === "5,961");
      } finally {
        await again.close();
        fake.close = () => Promise.resolve();
      }
    }));

  test("nothing is shown as nothing, and loading as loading", async () => {
    await on({ scenario: "empty" }, async (page) => {
      await page.getByText("Nothing fails.").waitFor();
      await page.getByText("Nothing is stuck.").waitFor();
    });
    await on({ scenario: "slow", path: "/letters" }, (page) => page.getByText("Reading dead letters").waitFor());
  });

  test("what is new comes by itself, and does not move what is read", () =>
    on({ path: "/letters", letters: 3000 }, async (page, fake) => {
      await page.waitForSelector(".rows .row");
      await page.waitForSelector(".live-live");
      const first = () => page.locator(".rows .row .c-detail a").first().getAttribute("href");
      const old = await first();
      await page.locator(".rows .row").first().focus();
      fake.arrive(5);
      await page.getByText("Things have moved").waitFor();
      assert.equal(await first(), old);
      await page.getByRole("button", { name: "Show the newest" }).click();
      await page.waitForFunction((href) => document.querySelector(".rows .row .c-detail a").getAttribute("href") !== href, old);
    }));

  test("read-only is said, and offers nothing", () =>
    on({ scenario: "readonly", path: "/letters" }, async (page) => {
      await page.getByText("Read-only: console.allow_changes is false.").waitFor();
      assert.equal(await page.getByRole("button", { name: "Redrive…" }).count(), 0);
    }));
});

describe("files", () => {
  async function downloaded(page, act) {
    const [download] = await Promise.all([page.waitForEvent("download"), act()]);
    return (await readFile(await download.path(), "utf8")).trimEnd().split("\n").map((line) => JSON.parse(line));
  }

  test("all that fit, what is chosen, and one record go into a file", () =>
    on({ path: "/letters?route=orders" }, async (page) => {
      await page.waitForSelector(".rows .row");
      const all = await downloaded(page, () => page.getByRole("link", { name: "Export all that fit the filter" }).click());
      assert.equal(all.pop().end.letters, all.length);
      assert.ok(all.length > 100 && all.every((line) => line.topic === "dlq.orders-app.orders"));
      await page.locator(".rows input[type=checkbox]").first().check();
      const one = await downloaded(page, () => page.getByRole("link", { name: "Export the chosen records" }).click());
      assert.equal(one.length, 2);
      await page.locator(".rows .c-detail a").first().click();
      await page.waitForSelector("[data-view]");
      const same = await downloaded(page, () => page.getByRole("link", { name: "Export this record" }).click());
      assert.deepEqual(same, one);
    }));

  test("a selection that is too long for an address goes too, and is said to be whole or not", () =>
    on({ path: "/letters?state=any" }, async (page, fake) => {
      await page.waitForSelector(".rows .row");
      await page.locator(".rows .row").first().focus();
      for (let i = 0; i < 25; i++) {
        await page.keyboard.press(" ");
        await page.keyboard.press("ArrowDown");
      }
      await page.getByText("25 records chosen").waitFor();
      const lines = await downloaded(page, () => page.getByRole("button", { name: "Export" }).click());
      assert.equal(lines.length, 26);
      await page.getByText("25 records exported").waitFor();
      assert.ok(fake.asked.includes("POST /api/v1/export"));
      fake.world.scenario = "partial";
      await downloaded(page, () => page.getByRole("button", { name: "Export" }).click());
      await page.getByText("Not whole: of the topics 41200 of 300000").waitFor();
    }));

  test("whoever may only look may export, and import nothing", () =>
    on({ scenario: "readonly", path: "/letters" }, async (page) => {
      await page.getByRole("link", { name: "Export all that fit the filter" }).waitFor();
      assert.equal(await page.getByRole("button", { name: "Import…" }).count(), 0);
    }));

  test("an import is looked at first, bad lines are told, and it is done by keyboard", () =>
    on({ path: "/letters" }, async (page, fake) => {
      await page.waitForSelector(".rows .row");
      await page.getByRole("button", { name: "Import…" }).focus();
      await page.keyboard.press("Enter");
      const file = page.getByLabel("File of JSON lines");
      const give = (text) => file.setInputFiles({ name: "letters.jsonl", mimeType: "", buffer: Buffer.from(text) });
      await give('{"topic":"a"}\nno\n{"topic":"b"}\n');
      await page.getByText("line 2, column 1: topic: is missing").waitFor();
      const button = page.getByRole("button", { name: /^Import 2 dead letters$/ });
      assert.ok(await button.isDisabled());
      await page.getByLabel("Leave the bad lines out").check();
      assert.ok(await button.isEnabled());
      await give('{"topic":"a"}\n');
      await page.getByText("1 dead letter", { exact: true }).waitFor();
      assert.equal(fake.imported, undefined);
      await page.getByLabel("Reason, for the audit log").fill("moved from the old cluster");
      await tabTo(page, () => /^Import 1 dead letter$/.test(document.activeElement.textContent), "the button");
      await page.keyboard.press("Enter");
      await page.getByText("1 dead letter imported.").waitFor();
      assert.deepEqual(fake.imported, { letters: 1, reason: "moved from the old cluster" });
      await page.keyboard.press("Escape");
      await page.waitForFunction(() => document.activeElement.textContent === "Import…");
    }));
});

describe("an edited copy", () => {
  const open = async (page) => {
    await page.getByRole("button", { name: "Edit a copy…" }).click();
    return page.getByRole("textbox", { name: /^Value,/ });
  };

  test("is offered only where it is enabled, and of a record that is open and whole", async () => {
    const offered = (options, path) =>
      on({ ...options, path }, async (page) => {
        await page.waitForSelector("[data-view]");
        offered.count = await page.getByRole("button", { name: "Edit a copy…" }).count();
      }).then(() => offered.count);
    const record = (fake) => "/letters/" + fake.idOf(4500);
    assert.equal(await offered({}, record), 0);
    assert.equal(await offered({ scenario: "edits" }, record), 1);
    assert.equal(await offered({ scenario: "edits" }, (fake) => (fake.world.states.set(4500, "resolved"), record(fake))), 0);
  });

  test("is shown as a diff, wants a reason, is sent as it was typed, and is linked", () =>
    on({ scenario: "edits", path: (fake) => "/letters/" + fake.idOf(4500) }, async (page, fake) => {
      const value = await open(page);
      const text = (await value.inputValue()).replace("1.10", "2.200");
      await value.fill(text);
      await page.getByRole("button", { name: "Add a header" }).click();
      await page.getByLabel("Name of header 3").fill("mended-by");
      await page.getByLabel("Value of header 3").fill("ada");
      await page.getByRole("button", { name: "Show what changes" }).click();
      await page.waitForSelector(".diff-in");
      assert.match(await page.locator(".diff-out").textContent(), /"total": 1\.10,/);
      assert.match(await page.locator(".diff-in").textContent(), /"total": 2\.200,/);
      await page.locator("dialog").getByText("mended-by").waitFor();
      assert.equal(fake.edited, undefined);
      const send = page.getByRole("button", { name: "Send the edited copy" });
      assert.ok(await send.isDisabled());
      await page.getByLabel(/^Reason/).fill("the total was wrong");
      await tabTo(page, () => document.activeElement.textContent === "Send the edited copy", "the button");
      await page.keyboard.press("Enter");
      await page.getByText("This one is archived and names it.").waitFor();
      assert.deepEqual(fake.edited.value, { encoding: "text", text });
      assert.equal(fake.edited.headers.length, 3);
      assert.equal(fake.edited.reason, "the total was wrong");
      await page.keyboard.press("Escape");
      await page.getByText("Went on as").waitFor();
      assert.equal(await page.getByRole("button", { name: "Edit a copy…" }).count(), 0);
    }));

  test("JSON is checked, an edit that changes nothing is refused in the server's words", () =>
    on({ scenario: "edits", path: (fake) => "/letters/" + fake.idOf(4500), complaints: false }, async (page) => {
      const value = await open(page);
      const text = await value.inputValue();
      await value.fill("{");
      await page.getByText("This is no JSON.").waitFor();
      const look = page.getByRole("button", { name: "Show what changes" });
      assert.ok(await look.isDisabled());
      await page.getByLabel("Send it all the same").check();
      assert.ok(await look.isEnabled());
      await value.fill(text);
      await look.click();
      await page.getByText("nothing is changed").waitFor();
    }));

  test("bytes that are no UTF-8 are edited in base64", () =>
    on({ scenario: "edits", path: (fake) => "/letters/" + fake.idOf(4427) }, async (page, fake) => {
      const value = await open(page);
      await page.getByText("in base64: as text its bytes would not be kept").waitFor();
      await value.fill("/w==");
      await page.getByRole("button", { name: "Show what changes" }).click();
      await page.getByLabel(/^Reason/).fill("r");
      await page.getByRole("button", { name: "Send the edited copy" }).click();
      await page.getByText("This one is archived and names it.").waitFor();
      assert.deepEqual(fake.edited.value, { encoding: "base64", text: "/w==" });
    }));
});

describe("lists in pages", () => {
  const rows = (page) => page.locator(".table tbody tr");

  test("a job's records say how each ended, by result and in pages", () =>
    on({ path: "/redrives/20260102-030405-678-1f2e3d4c" }, async (page) => {
      await page.waitForSelector(".table");
      assert.equal(await rows(page).count(), 100);
      await page.getByRole("button", { name: "More records" }).click();
      await rows(page).nth(150).waitFor();
      assert.equal(await rows(page).count(), 200);
      await page.getByLabel("Result").selectOption("failed");
      await page.getByText("All 24 records.").waitFor();
      assert.match(page.url(), /\?result=failed$/);
      assert.equal(await rows(page).count(), 24);
      assert.equal(await page.getByText("failed again").locator("visible=true").count() >= 24, true);
      await page.getByText("sent again by").first().waitFor();
      await page.getByLabel("Result").selectOption("skipped");
      await page.getByText("All 17 records.").waitFor();
      assert.equal(await rows(page).filter({ hasText: "already redriven, on their way" }).count(), 9);
      assert.equal(await rows(page).filter({ hasText: "too old: retention has taken the record" }).count(), 4);
      await page.getByText("2 skipped records are counted above and not listed").waitFor();
      await page.getByLabel("Result").selectOption("dropped");
      await page.getByText("None of its records ended like this.").waitFor();
    }));

  test("jobs and the audit log go on behind the first page, and stay there when something moves", () =>
    on({ path: "/redrives" }, async (page, fake) => {
      const one = fake.jobs[0];
      fake.jobs = Array.from({ length: 120 }, (_, i) => ({ ...one, id: "20260102-030405-678-" + String(1000 - i) }));
      fake.audit = Array.from({ length: 230 }, (_, i) => ({ ...fake.audit[0], on: "job-" + i }));
      await page.reload();
      await rows(page).nth(49).waitFor();
      await page.getByRole("button", { name: "More redrives" }).click();
      await rows(page).nth(99).waitFor();
      fake.jobs.unshift({ ...one, id: "20260102-030405-999-new" });
      fake.tell("job", { id: fake.jobs[0].id });
      await page.getByText("20260102-030405-999-new").waitFor();
      assert.equal(await rows(page).count(), 100);
      await page.getByRole("button", { name: "More redrives" }).click();
      await rows(page).nth(120).waitFor();
      assert.equal(await page.getByRole("button", { name: "More redrives" }).count(), 0);
      await page.getByRole("link", { name: "Audit" }).click();
      await rows(page).nth(99).waitFor();
      for (const seen of [200, 230]) {
        await page.getByRole("button", { name: "More entries" }).click();
        await rows(page).nth(seen - 1).waitFor();
      }
      assert.equal(await page.getByRole("button", { name: "More entries" }).count(), 0);
    }));
});

describe("what cannot be taken back", () => {
  test("force wants a reason and its word", () =>
    on({ path: (fake) => "/groups/" + fake.signatureOf(0) }, async (page, fake) => {
      await page.getByRole("button", { name: "Redrive…" }).click();
      await page.waitForSelector("dialog .facts");
      await page.getByRole("radio", { name: /^force/ }).check();
      const start = page.getByRole("button", { name: /^Redrive \d+ records/ });
      assert.ok(await start.isDisabled());
      await page.getByLabel("Reason (force wants one)").fill("asked for");
      assert.ok(await start.isDisabled());
      await page.getByLabel("Type force to confirm").fill("force");
      await page.getByText("over newer work.").waitFor();
      await start.click();
      await page.waitForURL(/\/redrives\//);
      assert.equal(fake.jobs[0].mode, "force");
    }));

  test("purge wants the topic's name", () =>
    on({ path: (fake) => "/letters/" + fake.idOf(4500) }, async (page) => {
      await page.getByRole("button", { name: "Purge up to here…" }).click();
      const button = page.getByRole("button", { name: "Delete for ever" });
      await page.getByText("1,204 dead letters").waitFor();
      assert.ok(await button.isDisabled());
      await page.getByLabel(/^Type the topic's name/).fill("dlq.orders-app.orders");
      await button.click();
      await page.getByText("Deleted", { exact: true }).waitFor();
    }));
});

describe("times", () => {
  test("are in the reader's zone, with UTC on hover, and in UTC where asked for", () =>
    on({ path: (fake) => "/letters/" + fake.idOf(4500) }, async (page) => {
      const time = page.locator(".facts time").first();
      const at = await time.getAttribute("datetime");
      const local = new Intl.DateTimeFormat("sv-SE", { timeZone: "Europe/Berlin", dateStyle: "short", timeStyle: "medium" }).format(new Date(at));
      assert.ok((await time.textContent()).startsWith(local));
      assert.match(await time.getAttribute("title"), / UTC$/);
      await page.getByRole("button", { name: "UTC" }).click();
      assert.ok((await time.textContent()).startsWith(at.slice(0, 10) + " " + at.slice(11, 19)));
    }));
});
