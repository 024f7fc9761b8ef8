/*
 * The page in a browser, on an API that is made up (fake.mjs): states that a real console is hardly brought
 * into, and what wants many records at once. What it is on a real console tests/e2e/test_console_page.py,
 * test_console_browser.py and test_console_scroll.py try.
 *
 *   npm ci && node --test
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { downloaded } from "./acts.mjs";
import { violations } from "./axe.mjs";
import { launch } from "./browser.mjs";
import { Fake } from "./fake.mjs";
import { views } from "./views.mjs";

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

/* axe comes in by the debugger, but what it makes must be let in by the policy: so without trusted types. */
const forAxe = { bypassCSP: true };

describe("a screen reader", () => {
  for (const view of views.filter((one) => one.rare)) {
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

describe("the keyboard", () => {
  test("what is drawn between two letters does not lose the first", () =>
    on({}, async (page) => {
      await page.waitForSelector(".group");
      await page.evaluate(async () => {
        const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
        const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
        press("g");
        document.querySelector("button[aria-pressed]").click();
        for (let i = 0; i < 5; i++) await frame();
        press("f");
      });
      await page.waitForURL(/\/groups$/);
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

describe("a long list", () => {
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
      assert.equal(await page.locator(".rows .row[tabindex='0']").getAttribute("data-index"), before[1]);
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
