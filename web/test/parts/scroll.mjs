/*
 * A list of so many records that no document could hold them: scrolled to its end, each row that is seen is the
 * right one, the document does not grow, and who comes back from a record is where they were.
 *
 * told: {ids: a file with all ids as they stand in the list}; a record's detail begins with "order OFFSET "
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

const LOOKS = 151; /* odd: there and back between both ends */
const ROWS_MAX = 100; /* what an 800 px window shows of them is 25 */
const HEAP_MAX = 200 << 20;

const addressOf = (id) => "/letters/" + id.split("/").map(encodeURIComponent).join("/");

async function weigh(page) {
  page.cdp ??= await page.context().newCDPSession(page);
  await page.cdp.send("Performance.enable");
  await page.cdp.send("HeapProfiler.collectGarbage");
  const { metrics } = await page.cdp.send("Performance.getMetrics");
  const value = (name) => metrics.find((one) => one.name === name).value;
  return { nodes: await page.evaluate(() => document.querySelectorAll("*").length), heap: value("JSHeapUsedSize") };
}

/* The largest number of rows that were in the document on the way. */
function toTheEnd(page, all) {
  return page.evaluate(async (last) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    let most = 0;
    while (document.querySelector(".list-foot").textContent !== last) {
      if (document.querySelector("[role=alert]")) throw new Error(document.querySelector("[role=alert]").textContent);
      scrollTo(0, document.documentElement.scrollHeight);
      await frame();
      most = Math.max(most, document.querySelectorAll(".rows .row").length);
    }
    return most;
  }, `All ${all.toLocaleString("en")} dead letters.`);
}

/* What is seen at each of these shares of the way: [index, address, text, whether it stands where its index says]... */
function lookAround(page, shares) {
  return page.evaluate(async (wanted) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    const looks = [];
    for (const share of wanted) {
      scrollTo(0, share * (document.documentElement.scrollHeight - innerHeight));
      await frame();
      await frame();
      const rows = [...document.querySelectorAll(".rows .row")];
      const top = document.querySelector(".rows").getBoundingClientRect().top;
      const height = rows[0].getBoundingClientRect().height;
      const seen = rows.filter((row) => row.getBoundingClientRect().bottom > 0 && row.getBoundingClientRect().top < innerHeight);
      looks.push(seen.map((row) => {
        const index = Number(row.dataset.index);
        const off = row.getBoundingClientRect().top - top - index * height;
        return [index, row.querySelector(".c-detail a").getAttribute("href"), row.querySelector(".c-detail").textContent, Math.abs(off) < 2];
      }));
    }
    return looks;
  }, shares);
}

function isRight(ids, [index, address, text, isThere]) {
  const offset = ids[index].split("/")[2];
  assert.deepEqual([address, text.startsWith("order " + offset + " "), isThere], [addressOf(ids[index]), true, true], "row " + index);
}

async function byKey(page, last) {
  const at = (index) => page.waitForFunction((wanted) => document.activeElement?.dataset.index === String(wanted), index);
  await page.evaluate(() => scrollTo(0, 0));
  await page.locator(".rows .row[data-index='0']").focus();
  await page.keyboard.press("End");
  await at(last);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-rowindex")), String(last + 2));
  await page.keyboard.press("ArrowUp");
  await at(last - 1);
  await page.keyboard.press("PageUp");
  await page.waitForFunction((end) => Number(document.activeElement.dataset.index) < end - 10, last);
  await page.keyboard.press("Home");
  await at(0);
}

/* Opens a record deep in the list and comes back, twice; its address is the same record in a window of its own. */
async function thereAndBack(page, open, ids) {
  await lookAround(page, [0.61234]);
  const before = await page.evaluate(() => scrollY);
  const row = page.locator(".rows .row").nth(20);
  const index = Number(await row.getAttribute("data-index"));
  await row.focus();
  await page.keyboard.press("Enter");
  const shows = async (one) => {
    await one.locator("[data-view]").waitFor();
    assert.equal(new URL(one.url()).pathname, addressOf(ids[index]));
    await one.getByText("order " + ids[index].split("/")[2] + " ").first().waitFor();
  };
  await shows(page);
  const other = await open(new URL(page.url()).pathname);
  await shows(other);
  await other.context().close();
  for (let i = 0; i < 2; i++) {
    await page.goBack();
    await page.waitForFunction((y) => Math.abs(scrollY - y) < 40, before);
    await page.locator(`.rows .row[data-index='${index}'][tabindex='0'] a[href='${addressOf(ids[index])}']`).waitFor();
    if (i === 0) await page.goForward();
    if (i === 0) await shows(page);
  }
}

export default async function play({ open, told, say }) {
  const ids = JSON.parse(await readFile(told.ids, "utf8"));
  const page = await open("/letters");
  await page.locator(".rows .row").first().waitFor();
  await page.locator(".live-live").waitFor();
  const light = await weigh(page);
  const most = await toTheEnd(page, ids.length);
  assert.ok(most < ROWS_MAX, most + " rows in the document");
  say("to the end");
  const shares = Array.from({ length: LOOKS }, (_, i) => (i % 2 ? i : LOOKS - 1 - i) / (LOOKS - 1));
  const looks = await lookAround(page, shares);
  for (const rows of looks) {
    assert.ok(rows.length >= 10, "the window is filled");
    rows.forEach((row) => isRight(ids, row));
  }
  const indexes = looks.flat().map(([index]) => index);
  assert.deepEqual([Math.min(...indexes), Math.max(...indexes)], [0, ids.length - 1]);
  say("rows are right");
  const heavy = await weigh(page);
  assert.ok(heavy.nodes < light.nodes * 2, `${light.nodes} elements have become ${heavy.nodes}`);
  assert.ok(heavy.heap < HEAP_MAX, heavy.heap + " bytes");
  say("no larger");
  await byKey(page, ids.length - 1);
  say("by key");
  await thereAndBack(page, open, ids);
  say("there and back");
}
