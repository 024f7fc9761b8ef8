/*
 * Pictures of every page at 320, 1280 and 3840 px.
 *
 *   node web/build.mjs web/dist && node web/test/shots.mjs DIR [--png] [--only NAME]...
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { launch } from "./browser.mjs";
import { Fake } from "./fake.mjs";
import { views } from "./views.mjs";

const dir = process.argv[2];
if (!dir) {
  console.error("usage: node shots.mjs DIR [--png] [--only NAME]...");
  process.exit(64);
}
const only = process.argv.slice(3).filter((_, i, all) => i > 0 && all[i - 1] === "--only");
const png = process.argv.includes("--png");
await mkdir(dir, { recursive: true });
const browser = await launch();
/* Which theme at which width: each page is seen in both; at 1280 px some of them are dark, too. */
const darkToo = ["overview", "group", "letter", "redrive-dialog"];
const sizes = [
  { width: 3840, height: 2160, theme: "dark" },
  { width: 320, height: 640, theme: "light" },
  { width: 1280, height: 800, theme: "light" },
  { width: 1280, height: 800, theme: "dark" },
];
for (const size of sizes) {
  for (const view of views) {
    if (only.length && !only.includes(view.name)) continue;
    if (size.width > 2000 && view.state) continue; /* it looks no different there */
    if (size.width === 1280 && size.theme === "dark" && !darkToo.includes(view.name)) continue;
    const fake = await new Fake({ scenario: view.scenario ?? "busy" }).listen();
    const context = await browser.newContext({ viewport: { width: size.width, height: size.height }, colorScheme: size.theme, timezoneId: "Europe/Berlin", locale: "en-GB" });
    const page = await context.newPage();
    await page.goto(fake.url + view.path(fake));
    await view.ready(page);
    const path = join(dir, `${view.name}-${size.width}-${size.theme}.${png ? "png" : "jpg"}`);
    await page.screenshot(png ? { path } : { path, type: "jpeg", quality: size.width > 2000 ? 20 : 55 });
    await context.close();
    await fake.close();
  }
}
await browser.close();
