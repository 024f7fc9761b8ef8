/*
 * Bundles the page.
 *
 *   node build.mjs DIR         index.html and assets/, as they are served
 *   node build.mjs DIR FILE.c  the same, and as tables of a C source (see src/console/page.c)
 *
 * Script, style and icon are kept gzipped, under names that hold the hash of what they are.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const [out, source] = process.argv.slice(2);
if (!out) {
  console.error("usage: node build.mjs DIR [FILE.c]");
  process.exit(64);
}

const built = await build({
  absWorkingDir: here,
  entryPoints: { app: "src/main.tsx", style: "src/style.css" },
  outdir: "unused",
  write: false,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["chrome109", "firefox115", "safari16.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});

const hash = (data) => createHash("sha256").update(data).digest("hex").slice(0, 16);
const bundled = (end) => Buffer.from(built.outputFiles.find((file) => file.path.endsWith(end)).contents);
const files = [
  { mark: "@script@", stem: "app", end: ".js", type: "text/javascript; charset=utf-8", data: bundled(".js") },
  { mark: "@style@", stem: "style", end: ".css", type: "text/css; charset=utf-8", data: bundled(".css") },
  { mark: "@icon@", stem: "icon", end: ".svg", type: "image/svg+xml", data: await readFile(join(here, "src/icon.svg")) },
];
let index = await readFile(join(here, "src/index.html"), "utf8");
for (const file of files) {
  file.name = `${file.stem}-${hash(file.data)}${file.end}`;
  if (!index.includes(file.mark)) throw new Error("src/index.html does not name " + file.mark);
  index = index.replace(file.mark, file.name);
}

await rm(out, { recursive: true, force: true });
await mkdir(join(out, "assets"), { recursive: true });
await writeFile(join(out, "index.html"), index);
for (const file of files) await writeFile(join(out, "assets", file.name), file.data);

function bytes(name, data) {
  const lines = [];
  for (let at = 0; at < data.length; at += 24) lines.push("    " + [...data.subarray(at, at + 24)].join(",") + ",");
  return `static const unsigned char ${name}[] = {\n${lines.join("\n")}\n};\n`;
}

if (source) {
  /* No time and no name of a file within: the same sources make the same bytes. */
  const packed = files.map((file) => ({ ...file, data: gzipSync(file.data, { level: 9 }) }));
  const page = { path: "/", type: "text/html; charset=utf-8", gzip: false, data: Buffer.from(index), tag: hash(index) };
  const all = [page, ...packed.map((file) => ({ ...file, path: "/assets/" + file.name, gzip: true, tag: hash(file.data) }))];
  const text =
    "/* Made by web/build.mjs from web/src. */\n#include \"console/page_files.h\"\n\n" +
    all.map((file, i) => bytes("file_" + i, file.data)).join("\n") +
    "\nconst struct page_file page_files[] = {\n" +
    all.map((file, i) => `    {"${file.path}", "${file.type}", "\\"${file.tag}\\"", file_${i}, sizeof(file_${i}), ${file.gzip}},\n`).join("") +
    "    {0},\n};\n";
  await mkdir(dirname(source), { recursive: true });
  await writeFile(source, text);
}
for (const file of files) {
  console.log(`${file.name}: ${file.data.length} bytes, ${gzipSync(file.data, { level: 9 }).length} gzipped`);
}
