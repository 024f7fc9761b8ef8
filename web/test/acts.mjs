/* What several tests do with a page, and ask of it. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

export async function tabTo(page, condition, what, told) {
  for (let i = 0; i < 80; i++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(condition, told)) return;
  }
  assert.fail("Tab does not reach " + what);
}

/* The lines of the file that act makes the browser save. */
export async function downloaded(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  return (await readFile(await download.path(), "utf8")).trimEnd().split("\n");
}

/* Nothing of a record was taken for markup, a link of its own, or letters that turn what stands around them. */
export async function harmless(page) {
  const found = await page.evaluate(() => ({
    owned: window.owned,
    made: document.querySelectorAll("main img, main script, main iframe, main style, main svg:not(.spark), main b, main marquee").length,
    links: [...document.querySelectorAll("a")].filter((a) => !["http:", "https:"].includes(a.protocol) || a.origin !== location.origin).length,
    /* eslint-disable-next-line no-control-regex */
    raw: (document.body.textContent + document.title).match(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u200b\u3164]|\udb40[\udc00-\udc7f]/)?.[0] ?? null,
    wide: document.documentElement.scrollWidth - innerWidth,
  }));
  assert.deepEqual(found, { owned: undefined, made: 0, links: 0, raw: null, wide: 0 });
}
