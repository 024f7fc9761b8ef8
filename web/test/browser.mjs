/* The browser: Debian's Chromium, without anything of it that talks to the world. */
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export function browserPath() {
  return places.find((path) => path && existsSync(path)) ?? null;
}

export function launch() {
  const path = browserPath();
  if (!path) throw new Error("there is no Chromium (apt install chromium, or CHROMIUM=/path)");
  /* Root in a container has no sandbox to give. */
  const args = ["--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run", "--force-color-profile=srgb"];
  if (process.getuid?.() === 0) args.push("--no-sandbox");
  return chromium.launch({ executablePath: path, args });
}
