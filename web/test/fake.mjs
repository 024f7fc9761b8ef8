/*
 * A console that is none: the page's files, and an API with the shapes of /api/openapi.json whose
 * records are made up from their numbers. For looking at the page and for tests of it alone; what the
 * real console does is tried in tests/e2e/test_console_page.py.
 *
 *   node fake.mjs [--port N] [--scenario NAME] [--letters N]
 *
 * scenario: busy (the default), edits, empty, partial, error, slow, readonly, hostile
 */
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const dist = join(dirname(fileURLToPath(import.meta.url)), "../dist");
const types = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml" };
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; " +
  "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

const MINUTE = 60000;
const HOUR = 60 * MINUTE;

export const hostile = {
  markup: "<script>window.owned=1</script><img src=x onerror=\"window.owned=2\"><svg onload=window.owned=3>",
  escapes: "\u001b]0;owned\u0007\u001b[2J \u202egnp.exe\u202c zero\u200bwidth \u0000 \ud800 end",
  link: "javascript:window.owned=4",
  long: "k".repeat(1 << 20),
  deep: "[".repeat(50000) + "]".repeat(50000),
};

const kinds = [
  { route: "orders", code: "http-503", status: 503, title: "price service unavailable: upstream connect error for <n> items", detail: "price service unavailable: upstream connect error for 3 items", share: 50, keys: 0.6 },
  { route: "orders", code: "no-such-article", status: 422, title: "article … is not in the catalogue of …", detail: "article 'A-20931' is not in the catalogue of 'DE'", share: 22, keys: 0.9 },
  { route: "payments", code: "timeout", status: 0, title: "no answer within … of the handler's time", detail: "no answer within 15 s", share: 12, keys: 1 },
  { route: "payments", code: "http-409", status: 409, title: "java.lang.IllegalStateException: account … is being closed", detail: "java.lang.IllegalStateException: account DE02120300000000202051 is being closed\n\tat com.acme.payments.Ledger.post(Ledger.java:118)", share: 8, keys: 0.8 },
  { route: "mails", code: "http-400", status: 400, title: "ValueError: invalid literal for int() with base 10: …", detail: "ValueError: invalid literal for int() with base 10: 'twelve'", share: 5, keys: 1 },
  { route: "mails", code: "connect", status: 0, title: "connection refused by …", detail: "connection refused by 10.0.3.17:8080", share: 2, keys: 0.5 },
  { route: "mails", code: "http-500", status: 500, title: "TypeError: Cannot read properties of undefined (reading …)", detail: "TypeError: Cannot read properties of undefined (reading 'address')", share: 1, keys: 1 },
];
kinds.forEach((kind, i) => (kind.signature = (0x3f0c9a6d1e5b7788n + BigInt(i) * 0x1111n).toString(16)));

const groupsOf = { orders: "orders-app", payments: "payments-app", mails: "mails-app" };
const stateNames = ["open", "open", "open", "open", "open", "open", "open", "redriving", "resolved", "archived"];

function bytes(text, encoding = "text") {
  return { encoding, size: Buffer.byteLength(text), cut: false, text };
}

/* The letter of a number: always the same one. Number 0 is the newest. */
function letterOf(number, world) {
  const turn = (number * 7919) % 100;
  let kind = kinds[0];
  let sum = 0;
  for (const one of kinds) {
    sum += one.share;
    kind = one;
    if (turn < sum) break;
  }
  const group = groupsOf[kind.route];
  const topic = `dlq.${group}.${kind.route}`;
  const written = world.start - number * 1100 - 20000;
  const offset = world.letters - number;
  const state = world.states.get(number) ?? stateNames[(number * 31 + 3) % 10];
  const redriven = state === "open" && number % 9 ? 0 : 1;
  return {
    id: `${topic}/${number % 3}/${offset}`,
    topic,
    partition: number % 3,
    offset,
    state,
    route: kind.route,
    group,
    code: kind.code,
    signature: kind.signature,
    detail: world.scenario === "hostile" ? [hostile.markup, hostile.escapes, hostile.link][number % 3] : kind.detail,
    writer: "oncegate",
    key: world.scenario === "hostile" && number % 3 === 0 ? bytes(hostile.markup) : bytes(`customer-${(number * 37) % 4096}`),
    key_size: world.scenario === "hostile" && number % 3 === 0 ? hostile.markup.length : `customer-${(number * 37) % 4096}`.length,
    http_status: kind.status,
    attempts: 3 + (number % 4),
    redrive_count: redriven,
    redrive_id: redriven ? "20260102-030405-678-1f2e3d4c" : "",
    value_size: 187 + (number % 40),
    written: new Date(written).toISOString(),
    first_failed: new Date(written - 24 * MINUTE).toISOString(),
    last_failed: new Date(written - 900).toISOString(),
    origin_topic: kind.route,
    origin_partition: number % 3,
    origin_offset: 100000 + offset * 3,
    epoch: number % 5 ? null : "2",
    sequence: String(900 + offset),
    edited_to: world.edited.get(number) ?? "",
    latest: `${topic}/${number % 3}/${offset}`,
  };
}

function numberOf(id, world) {
  const offset = Number(id.split("/")[2]);
  const number = world.letters - offset;
  return number >= 0 && number < world.letters && letterOf(number, world).id === id ? number : -1;
}

function coveredOf(world) {
  if (world.scenario === "partial") return { rows_read: 41200, rows_total: 300000, text_read: 12000, complete: false };
  return { rows_read: world.letters, rows_total: world.letters, text_read: world.letters, complete: true };
}

function sparkOf(i, world) {
  const out = [];
  for (let at = 0; at < 48; at++) {
    const wave = Math.max(0, Math.sin((at + i * 7) / 5) + 0.2 * Math.sin(at * 3 + i));
    out.push(at < 10 + i * 5 ? 0 : Math.round(wave * kinds[i].share * 4));
  }
  out[47] = Math.round(kinds[i].share * 2);
  return out.map((value) => (world.letters === 0 ? 0 : value));
}

function groupOf(i, world) {
  const kind = kinds[i];
  const live = Math.round((world.letters * kind.share) / 100);
  const redriving = i === 0 ? Math.min(live, 40) : 0;
  return {
    signature: kind.signature,
    route: kind.route,
    code: kind.code,
    title: world.scenario === "hostile" ? hostile.markup + hostile.escapes : `${kind.code}: ${kind.title}`,
    open: live - redriving,
    redriving,
    resolved: i * 13,
    archived: i % 2 ? 4 : 0,
    keys: Math.max(1, Math.round(live * kind.keys)),
    attempts: live * 4,
    first: new Date(world.start - (38 - i * 5) * HOUR).toISOString(),
    last: new Date(world.start - (i * 11 + 0.3) * MINUTE).toISOString(),
    http_status: kind.status,
    example: letterOf(0, world).id,
    example_detail: world.scenario === "hostile" ? hostile.escapes + hostile.markup : kind.detail,
    spark_unit_ms: HOUR,
    spark_end: new Date(Math.ceil(world.start / HOUR) * HOUR).toISOString(),
    spark: sparkOf(i, world),
  };
}

function gatewaysOf(world) {
  if (world.scenario === "empty") return [{ address: "127.0.0.1:9464", reached: true, why: null, asked: new Date().toISOString(), status: { ready: true, draining: false, routes: Object.keys(groupsOf).map((name) => routeStatus(name, {})) } }];
  return [
    {
      address: "127.0.0.1:9464",
      reached: true,
      why: null,
      asked: new Date().toISOString(),
      status: {
        ready: true,
        draining: false,
        routes: [
          routeStatus("orders", {
            state: "breaker-open",
            breaker: "open",
            why: "the handler fails for many keys: one probe at a time goes out, one success closes the breaker",
            lag: 18422,
            tiers: { "10s": 120, "1m": 2044, "10m": 911 },
          }),
          routeStatus("payments", { lag: 12, tiers: { "1m": 3 }, stuck: true }),
          routeStatus("mails", { lag: 0 }),
        ],
      },
    },
    { address: "10.0.3.4:9464", reached: false, why: "connection refused", asked: new Date().toISOString(), status: null },
  ];
}

function routeStatus(name, { state = "running", breaker = "closed", why = "", lag = 0, tiers = {}, stuck = false }) {
  const group = groupsOf[name];
  const part = (topic, kind, records, more = {}) => ({ topic, partition: 0, kind, retiring: false, watermark: 41200, committed: 41190, open: 4, lag: records, why: "", ...more });
  const partitions = [part(name, "source", lag, stuck ? { stuck_ms: 724000, why: "record 41190 waits until the lease of an attempt with an unknown end lapses" } : {})];
  for (const [tier, records] of Object.entries(tiers)) partitions.push(part(`retry.${group}.${name}.${tier}`, "tier", records));
  partitions.push(part(`retry.${group}.${name}.redrive`, "redrive", 0));
  const held = stuck ? [{ topic: name, partition: 0, offset: 41190, ms: 724000, key: "account-77", why: "waits until the lease of an attempt with an unknown end lapses" }] : [];
  return { name, group, worker: 0, state, why, ready: true, in_flight_records: state === "running" ? 14 : 1, in_flight_bytes: 9000, breaker, stuck_keys: held.length, stuck: held, partitions };
}

const yaml = `version: 1
kafka:
  bootstrap.servers: 127.0.0.1:9092
  sasl.password: ***
redis:
  url: redis://127.0.0.1:6379/0
  namespace: og
  shards: 64
  timeout: 2s
console:
  listen: 127.0.0.1:9465
  allow_changes: true
  mask:
    pointers: [/card/number, /customer/*/email]
    headers: [authorization]
routes:
  - name: orders
    topics: [orders]
    group: orders-app
    ordering: key
    dedup:
      mode: enforce
      identity: sequence
    handler:
      url: http://127.0.0.1:9000/orders
      timeout: 15s
      request_headers:
        Authorization: ***
    retry:
      tiers: [10s, 1m, 10m]
      give_up_after: 24h
`;

function headerOf(name, text, encoding) {
  return { name, ...bytes(text, encoding) };
}

function wholeOf(number, world) {
  const letter = letterOf(number, world);
  const order = `{"order":{"id":"${letter.origin_offset}","total":1.10,"exact":123456789012345678901234567890,"lines":[{"article":"A-20931","count":2},{"article":"B-7","count":1,"note":"gift \\"wrapped\\""}],"paid":true,"coupon":null},"customer":{"name":"Zoë Łukasz","email":"***"}}`;
  let value = bytes(order, "json");
  let key = letter.key;
  let headers = [headerOf("content-type", "application/json"), headerOf("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), headerOf("authorization", "", "hidden")];
  headers[2].size = 64;
  if (world.edits) headers.pop(); /* an edit wants all of it */
  if (world.scenario === "hostile") {
    value = [bytes(hostile.markup + hostile.escapes), bytes(`{"a":"${hostile.markup.replace(/"/g, '\\"')}","b":"${hostile.link}"}`, "json"), bytes(hostile.deep, "json")][number % 3];
    key = number % 3 === 2 ? { ...bytes(hostile.long) } : { encoding: "base64", size: 6, cut: false, text: Buffer.from([0xff, 0xfe, 0, 0x3c, 0x62, 0x3e]).toString("base64") };
    headers = [headerOf(hostile.markup, hostile.escapes), headerOf("__proto__", hostile.link), headerOf("bytes", Buffer.from([0xff, 0, 1]).toString("base64"), "base64")];
  } else if (number % 11 === 5) {
    value = { encoding: "base64", size: 300, cut: false, text: Buffer.from(Array.from({ length: 300 }, (_, i) => (i * 37) & 255)).toString("base64") };
  }
  const own = [
    ["oncegate-version", "1"], ["oncegate-group", letter.group], ["oncegate-route", letter.route], ["oncegate-attempt", String(letter.attempts)],
    ["oncegate-origin-topic", letter.origin_topic], ["oncegate-origin-partition", String(letter.origin_partition)], ["oncegate-origin-offset", String(letter.origin_offset)],
    ["oncegate-first-failed-at", String(Date.parse(letter.first_failed))], ["oncegate-last-failed-at", String(Date.parse(letter.last_failed))],
    ["oncegate-error-code", letter.code], ["oncegate-error-detail", letter.detail], ["oncegate-sequence", letter.sequence], ["oncegate-signature", letter.signature],
  ].map(([name, text]) => headerOf(name, text));
  const same = [-3000, 0, 4096, 8192].map((step) => number + step).filter((n) => n >= 0 && n < world.letters).map((n) => (n === number ? letter : { ...letterOf(n, world), key: letter.key }));
  return {
    letter,
    record: {
      key,
      value,
      headers,
      own_headers: own,
      curl: `curl -sS -X POST 'http://127.0.0.1:9000/${letter.route}' \\\n  -H 'Content-Type: application/json' \\\n  -H 'Kafka-Topic: ${letter.origin_topic}' -H 'Kafka-Partition: ${letter.origin_partition}' \\\n  -H 'Kafka-Offset: ${letter.origin_offset}' -H 'Authorization: ***' \\\n  --data-binary @- <<'EOF'\n${value.text.slice(0, 400)}\nEOF`,
    },
    same_key: { letters: same, more: false, covered: coveredOf(world) },
  };
}

/* As the ledger tells them (src/ledger/state.c). */
const words = `identity: sequence
current epoch: 2
  seen without a gap up to: 1004
  unknown at or below: 0
highest that succeeded: the last seen without a gap
finished up to: source partition 0 offset 122499 leader epoch 3
parked: 1
first parked: source partition 1 offset 103388, sequence 1007 of epoch 2, in the tier of 60000 ms at offset 411, hop 2, until 1795353413148 ms`;

function countsOf(total, sent) {
  const failed = Math.floor(sent / 25);
  const superseded = Math.floor(sent / 12);
  const on = Math.min(sent, 12);
  return {
    total, eligible: total - 19, sent,
    resolved: Math.max(0, sent - failed - superseded - on), superseded, dropped: 0, duplicate: 0, failed, on_their_way: sent ? on : 0,
    skipped: { on_its_way: 9, resolved: 4, archived: 0, gone: 6, not_found: 0, no_route: 0, foreign: 0, refused: 0 },
  };
}

function jobOf(id, change) {
  return {
    id, group: "orders-app", status: "finished", mode: "if-newer", rate: 50, limit: 0, reason: "the price service is back", by: "ada@ops-1",
    created: new Date(Date.now() - 3 * HOUR).toISOString(), updated: new Date(Date.now() - 2.9 * HOUR).toISOString(), owner: "ops-1/4711", note: null,
    filter: { route: "orders", code: "http-503", since: "2026-01-02T03:04:05Z" }, filter_hidden: false, counts: countsOf(640, 621), skipped_listed: 17, ...change,
  };
}

function jobsAtFirst() {
  return [
    jobOf("20260102-030405-678-1f2e3d4c", { counts: { ...countsOf(640, 621), on_their_way: 0 } }),
    jobOf("20260101-221500-001-0badcafe", { status: "failed", mode: "force", reason: "vendor asked for a replay", note: "retry.orders-app.orders.redrive: this user may not write to it", counts: countsOf(80, 0), group: "payments-app", filter: { route: "payments" } }),
    jobOf("20260101-101500-001-00c0ffee", { status: "cancelled", reason: null, counts: countsOf(2200, 310), created: new Date(Date.now() - 30 * HOUR).toISOString() }),
  ];
}

function auditAtFirst() {
  const entry = (hours, change) => ({ group: "orders-app", at: new Date(Date.now() - hours * HOUR).toISOString(), by: "ada@ops-1", action: "redrive.start", on: "20260102-030405-678-1f2e3d4c", reason: "the price service is back", result: "ok", details: { filter: { route: "orders", code: "http-503" }, mode: "if-newer" }, details_hidden: false, ...change });
  return [
    entry(3, {}),
    entry(20, { action: "dlq.archive", on: "dlq.orders-app.orders/0/17", by: "grace@ops-2", reason: "sold out, the customer was told", details: { count: 12 } }),
    entry(28, { action: "redrive.cancel", on: "20260101-101500-001-00c0ffee", reason: null, details: null }),
    entry(60, { action: "dlq.purge", on: "dlq.mails-app.mails", by: "root", reason: "test data", result: "denied by the brokers", details: { partition: 0, before: 1200 } }),
  ];
}

export class Fake {
  constructor({ scenario = "busy", letters = 12000 } = {}) {
    this.world = { scenario, letters, start: Date.now(), states: new Map(), edited: new Map(), edits: scenario === "edits" };
    this.jobs = scenario === "empty" ? [] : jobsAtFirst();
    this.audit = scenario === "empty" ? [] : auditAtFirst();
    if (scenario === "empty") this.world.letters = 0;
    this.streams = new Set();
    this.asked = [];
    this.timers = new Set();
    this.server = createServer((req, res) => {
      this.serve(req, res).catch((error) => {
        console.error(error);
        res.destroy();
      });
    });
  }

  async listen(port = 0) {
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
    this.url = "http://127.0.0.1:" + this.server.address().port;
    return this;
  }

  close() {
    this.timers.forEach(clearTimeout);
    this.streams.forEach((stream) => stream.end());
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(resolve));
  }

  tell(name, data) {
    for (const stream of this.streams) stream.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  /* Newer ones come. */
  arrive(count) {
    this.world.letters += count;
    this.world.start += count * 1100;
    this.tell("groups", {});
  }

  idOf(number) {
    return letterOf(number, this.world).id;
  }

  signatureOf(kind) {
    return kinds[kind].signature;
  }

  json(res, status, body) {
    res.writeHead(status, { "Content-Type": status < 400 ? "application/json" : "application/problem+json", "Cache-Control": "no-store" });
    res.end(JSON.stringify(body));
  }

  problem(res, status, detail) {
    this.json(res, status, { type: "about:blank", title: "", status, detail });
  }

  async serve(req, res) {
    const url = new URL(req.url, "http://x");
    this.asked.push(req.method + " " + url.pathname);
    if (url.pathname.startsWith("/api/v1/")) {
      if (url.pathname === "/api/v1/events") return this.events(req, res);
      if (this.world.scenario === "error") return this.problem(res, 503, "the brokers have not answered for 15 s: connection refused at 127.0.0.1:9092");
      if (this.world.scenario === "slow") return; /* never */
      let body = "";
      for await (const chunk of req) body += chunk;
      const json = req.headers["content-type"] === "application/json";
      return this.api(req.method, url, body && json ? JSON.parse(body) : body, res);
    }
    const asset = url.pathname.startsWith("/assets/");
    const path = asset ? url.pathname : "/index.html";
    try {
      const data = await readFile(join(dist, path));
      res.writeHead(200, { "Content-Type": types[extname(path)] ?? "application/octet-stream", "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff" });
      res.end(data);
    } catch {
      this.problem(res, 404, "no such file");
    }
  }

  events(req, res) {
    res.writeHead(200, { "Content-Type": "text/event-stream" });
    res.write("retry: 200\n\n");
    this.streams.add(res);
    req.on("close", () => this.streams.delete(res));
  }

  api(method, url, body, res) {
    const world = this.world;
    const at = url.pathname.slice("/api/v1/".length).split("/").map((segment) => decodeURIComponent(segment.replace(/%(?![0-7])/g, "%25")));
    const changes = world.scenario !== "readonly";
    if (method === "POST" && !changes && at[0] !== "export") return this.problem(res, 403, "console.allow_changes is false");
    switch (method + " " + at[0]) {
      case "GET overview":
        return this.json(res, 200, {
          routes: Object.entries(groupsOf).map(([name, group]) => {
            const own = world.letters ? kinds.map((kind, i) => (kind.route === name ? groupOf(i, world) : null)).filter(Boolean) : [];
            return { name, group, open: own.reduce((n, one) => n + one.open, 0), redriving: own.reduce((n, one) => n + one.redriving, 0) };
          }),
          covered: coveredOf(world), allow_changes: changes, allow_edits: changes && world.edits === true, role: "admin", feed: { caught_up: world.scenario !== "partial", trouble: null }, gateways: gatewaysOf(world),
        });
      case "GET groups":
        return this.groups(at[1], url.searchParams, res);
      case "GET letters":
        if (at.length === 1) return this.letters(url.searchParams, res);
        return numberOf(at.slice(1).join("/"), world) < 0 ? this.problem(res, 404, "no dead letter is known there: it may not be read yet, or retention has taken it") : this.json(res, 200, wholeOf(numberOf(at.slice(1).join("/"), world), world));
      case "GET keys":
        return at[1] in groupsOf ? this.json(res, 200, { found: at[3] !== "nobody", words: at[3] === "nobody" ? "nothing is known of this key" : words, letters: at[3] === "nobody" ? [] : wholeOf(4500, world).same_key.letters, more: false, covered: coveredOf(world) }) : this.problem(res, 404, "there is no such route");
      case "GET jobs":
        if (at[1]) {
          const job = this.jobs.find((one) => one.id === at[1]);
          if (job && at[2] === "records") return this.jobRecords(job, url.searchParams, res);
          return job ? this.json(res, 200, job) : this.problem(res, 404, "there is no such job");
        }
        return this.page(res, url.searchParams, "jobs", this.jobs, { groups: Object.values(groupsOf).map((group) => ({ group, known: true, runs_here: true, trouble: null })) });
      case "POST jobs":
        return this.postJobs(at, body, res);
      case "POST letters":
        return this.edit(at, body, res);
      case "GET export":
        return this.export({ id: url.searchParams.getAll("id"), route: url.searchParams.get("route") }, res);
      case "POST export":
        return this.export(body.filter, res);
      case "POST import":
        return this.import(url.searchParams, body, res);
      case "POST archive":
        return this.json(res, 200, { matched: 17, archived: body.dry_run ? 0 : 17, more: false, dry_run: !!body.dry_run, covered: coveredOf(world) });
      case "POST purge":
        if (!body.dry_run && body.confirm !== body.topic) return this.problem(res, 400, "confirm must be the topic's name");
        return this.json(res, 200, { letters: 1204, open: 900, deleted: !body.dry_run, begin: body.dry_run ? null : body.before, note: body.dry_run ? "900 of these are open: nobody has dealt with them" : "the partition begins at " + body.before + " now", covered: coveredOf(world) });
      case "GET audit":
        return this.page(res, url.searchParams, "entries", this.audit, {});
      case "GET config":
        return this.json(res, 200, { yaml });
      default:
        return this.problem(res, 404, "there is no such page");
    }
  }

  groups(signature, query, res) {
    const all = this.world.letters ? kinds.map((_, i) => groupOf(i, this.world)) : [];
    const route = query.get("route");
    const text = query.get("text")?.toLowerCase();
    const code = query.get("code");
    const groups = all.filter((one) => (!signature || one.signature === signature) && (!route || one.route === route) && (!code || one.code === code) && (!text || one.title.toLowerCase().includes(text)));
    if (signature && groups.length === 0) return this.problem(res, 404, "there is no such group");
    return this.json(res, 200, { groups, covered: coveredOf(this.world) });
  }

  letters(query, res) {
    const limit = Number(query.get("limit") ?? 50);
    const states = query.getAll("state");
    const wanted = states.length === 0 ? ["open", "redriving"] : states.includes("any") ? ["open", "redriving", "resolved", "archived"] : states;
    const letters = [];
    let number = Number(query.get("cursor") ?? 0);
    for (; number < this.world.letters && letters.length < limit; number++) {
      const letter = letterOf(number, this.world);
      if (!wanted.includes(letter.state)) continue;
      if (query.get("signature") && query.get("signature") !== letter.signature) continue;
      if (query.get("route") && query.get("route") !== letter.route) continue;
      if (query.get("code") && query.get("code") !== letter.code) continue;
      if (query.get("key") && query.get("key") !== letter.key.text) continue;
      if (query.get("until") && !(letter.written < query.get("until"))) continue;
      if (query.get("text") && !letter.detail.toLowerCase().includes(query.get("text").toLowerCase())) continue;
      if (query.getAll("id").length && !query.getAll("id").includes(letter.id)) continue;
      letters.push(letter);
    }
    return this.json(res, 200, { letters, next: number < this.world.letters ? String(number) : "", covered: coveredOf(this.world) });
  }

  edit(at, body, res) {
    const number = numberOf(at.slice(1, 4).join("/"), this.world);
    const whole = wholeOf(number, this.world);
    if (!this.world.edits) return this.problem(res, 403, "no record is edited here: console.allow_edits is false");
    if (body.headers?.some((one) => one.name.startsWith("oncegate-"))) return this.problem(res, 400, "headers: one is one of oncegate's own, which an edit cannot set");
    if (!body.value && !body.headers) return this.problem(res, 400, "nothing is changed: a redrive sends it as it is");
    const changed = { value: !!body.value, value_size: { was: whole.record.value.size, is: body.value ? Buffer.byteLength(body.value.text) : whole.record.value.size }, headers: (body.headers ?? []).map((one) => one.name).filter((name) => !whole.record.headers.some((one) => one.name === name)) };
    if (body.dry_run) return this.json(res, 200, { letter: whole.letter.id, copy: null, job: null, dry_run: true, changed });
    this.edited = body;
    this.world.states.set(number, "archived");
    this.world.edited.set(number, letterOf(number - 1, this.world).id);
    return this.json(res, 200, { letter: whole.letter.id, copy: letterOf(number - 1, this.world).id, job: this.jobs[0].id, dry_run: false, changed });
  }

  export(filter, res) {
    const world = this.world;
    const all = Array.from({ length: Math.min(world.letters, 300) }, (_, number) => letterOf(number, world));
    const taken = filter.id?.length ? filter.id.map((id) => letterOf(numberOf(id, world), world)) : all.filter((one) => !filter.route || one.route === filter.route);
    const lines = taken.map((one) => ({ topic: one.topic, partition: one.partition, offset: one.offset, tstype: "create", ts: Date.parse(one.written), headers: [], key: one.key.text, payload: "{}" }));
    res.writeHead(200, { "Content-Type": "application/x-ndjson", "Content-Disposition": 'attachment; filename="dead-letters.jsonl"' });
    const end = { end: { letters: lines.length, complete: world.scenario !== "partial", why: world.scenario === "partial" ? "of the topics 41200 of 300000 records were read when it began" : null } };
    res.end([...lines, end].map((line) => JSON.stringify(line) + "\n").join(""));
  }

  import(query, text, res) {
    const lines = text.split("\n").map((line, i) => [line, i + 1]).filter(([line]) => line);
    const problems = lines.filter(([line]) => !line.startsWith('{"topic"') && !line.startsWith('{"end"')).map(([, line]) => ({ line, column: 1, text: "topic: is missing" }));
    const letters = lines.filter(([line]) => line.startsWith('{"topic"')).length;
    const dry = query.get("dry_run") === "true";
    if (!dry && problems.length && query.get("skip_bad") !== "true") return this.problem(res, 400, problems.length + " lines are bad, and nothing was produced");
    if (!dry) this.imported = { letters, reason: query.get("reason") };
    return this.json(res, 200, { letters, bad: problems.length, produced: dry ? 0 : letters, dry_run: dry, problems: problems.slice(0, 100), topics: letters ? [{ topic: "dlq.orders-app.orders", letters }] : [] });
  }

  page(res, query, name, all, more) {
    const from = Number(query.get("cursor") || 0);
    const to = from + Number(query.get("limit") ?? 50);
    return this.json(res, 200, { [name]: all.slice(from, to), next: to < all.length ? String(to) : "", ...more });
  }

  jobRecords(job, query, res) {
    const { counts } = job;
    const ends = ["resolved", "superseded", "dropped", "duplicate", "failed"].flatMap((result) => Array(counts[result]).fill(result));
    while (ends.length < counts.sent) ends.push("on_its_way");
    const wanted = query.getAll("result");
    const records = ends.map((result, i) => {
      const state = { failed: "open", on_its_way: "redriving" }[result] ?? "resolved";
      const letter = i % 97 === 96 ? null : { ...letterOf(2 * i + 1, this.world), state };
      return { id: letter?.id ?? "dlq.orders-app.orders/0/" + i, result, skipped: null, code: result === "failed" ? "http-503" : null, at: job.updated, redrive_count: 1, since: result === "failed" && i % 2 ? "20260103-010203-004-5eed5eed" : null, letter };
    });
    const whys = Object.entries(counts.skipped).flatMap(([why, n]) => Array(n).fill(why)).slice(0, job.skipped_listed);
    for (const [i, why] of whys.entries()) {
      const letter = why === "gone" || why === "not_found" ? null : { ...letterOf(2 * i, this.world), state: { resolved: "resolved", archived: "archived", on_its_way: "redriving" }[why] ?? "open" };
      records.push({ id: letter?.id ?? "dlq.orders-app.orders/1/" + i, result: "skipped", skipped: why, code: null, at: null, redrive_count: 0, since: null, letter });
    }
    return this.page(res, query, "records", records.filter((one) => !wanted.length || wanted.includes(one.result)), { covered: coveredOf(this.world) });
  }

  postJobs(at, body, res) {
    const ids = body.filter?.id;
    const total = ids ? ids.length + 19 : 640;
    if (at[1] === "dry-run") {
      const counts = countsOf(total, 0);
      return this.json(res, 200, { group: "orders-app", counts, sends: body.limit ? Math.min(body.limit, counts.eligible) : counts.eligible, overtaken: ids ? 0 : 51, overtaken_unknown: ids ? 0 : 8, overtaken_why: ids ? null : "8 have no sequence number" });
    }
    if (at[2] === "cancel") {
      const job = this.jobs.find((one) => one.id === at[1]);
      job.status = "cancelled";
      this.tell("job", { id: job.id });
      return this.json(res, 200, job);
    }
    if (body.mode === "force" && (body.confirm !== "force" || !body.reason)) return this.problem(res, 400, "force wants a reason and the word force");
    const job = jobOf("20260102-04" + String(this.jobs.length).padStart(4, "0") + "-000-deadbeef", { status: "running", counts: countsOf(total, 0), filter: body.filter, reason: body.reason ?? null, rate: body.rate ?? 0, limit: body.limit ?? 0, mode: body.mode ?? "if-newer", created: new Date().toISOString(), updated: new Date().toISOString() });
    this.jobs.unshift(job);
    this.audit.unshift({ group: job.group, at: job.created, by: "you", action: "redrive.start", on: job.id, reason: job.reason, result: "ok", details: { filter: job.filter }, details_hidden: false });
    this.advance(job);
    return this.json(res, 200, job);
  }

  advance(job) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      if (job.status !== "running") return;
      const all = job.limit ? Math.min(job.limit, job.counts.eligible) : job.counts.eligible;
      job.counts = countsOf(job.counts.total, Math.min(all, job.counts.sent + Math.ceil(all / 5)));
      if (job.counts.sent === all) {
        job.status = "finished";
        job.counts.resolved += job.counts.on_their_way;
        job.counts.on_their_way = 0;
      } else {
        this.advance(job);
      }
      job.updated = new Date().toISOString();
      this.tell("job", { id: job.id });
    }, 300);
    this.timers.add(timer);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, otherwise) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : otherwise);
  const fake = await new Fake({ scenario: option("--scenario", "busy"), letters: Number(option("--letters", 12000)) }).listen(Number(option("--port", 9475)));
  console.log(fake.url);
}
