/* Every page, and every state of one that looks different. rare: what real servers are hardly brought into. */
const seen = (selector) => (page) => page.waitForSelector(selector);


export const views = [
  { name: "overview", rare: true, path: () => "/", ready: async (page) => { await page.waitForSelector(".group"); await page.waitForSelector(".table"); } },
  { name: "groups", path: () => "/groups", ready: seen(".group") },
  { name: "group", path: (fake) => "/groups/" + fake.signatureOf(0), ready: async (page) => { await page.waitForSelector(".rows .row"); await page.waitForSelector(".group-over-time"); } },
  { name: "letters", path: () => "/letters", ready: seen(".rows .row") },
  { name: "letter", path: (fake) => "/letters/" + fake.idOf(4500), ready: async (page) => { await page.waitForSelector("[data-view]"); await page.waitForSelector(".words"); } },
  { name: "redrives", path: () => "/redrives", ready: seen(".table") },
  { name: "redrive", path: () => "/redrives/20260102-030405-678-1f2e3d4c", ready: seen(".table") },
  { name: "key", path: () => "/keys/orders/orders/customer-2692", ready: seen(".words") },
  { name: "audit", path: () => "/audit", ready: seen(".table") },
  { name: "config", path: () => "/config", ready: seen(".code") },
  {
    name: "redrive-dialog",
    state: true,
    path: (fake) => "/groups/" + fake.signatureOf(0),
    ready: async (page) => {
      await page.click("text=Redrive…");
      await page.waitForSelector("dialog .facts");
    },
  },
  {
    name: "import-dialog",
    state: true,
    path: () => "/letters",
    ready: async (page) => {
      await page.waitForSelector(".rows .row");
      await page.click("text=Import…");
      await page.getByLabel("File of JSON lines").setInputFiles({ name: "letters.jsonl", mimeType: "", buffer: Buffer.from('{"topic":"a"}\nno\n') });
      await page.waitForSelector(".bad-lines");
    },
  },
  {
    name: "edit-dialog",
    state: true,
    scenario: "edits",
    path: (fake) => "/letters/" + fake.idOf(4500),
    ready: async (page) => {
      await page.click("text=Edit a copy…");
      const value = page.getByRole("textbox", { name: /^Value, JSON/ });
      await value.fill((await value.inputValue()).replace("1.10", "2.20"));
    },
  },
  {
    name: "edit-review",
    state: true,
    scenario: "edits",
    path: (fake) => "/letters/" + fake.idOf(4500),
    ready: async (page) => {
      await page.click("text=Edit a copy…");
      const value = page.getByRole("textbox", { name: /^Value, JSON/ });
      await value.fill((await value.inputValue()).replace("1.10", "2.20"));
      await page.click("text=Show what changes");
      await page.waitForSelector(".diff-in");
    },
  },
  { name: "empty", state: true, scenario: "empty", path: () => "/", ready: seen(".empty") },
  { name: "partial", rare: true, state: true, scenario: "partial", path: () => "/groups", ready: seen("progress") },
  { name: "error", rare: true, state: true, scenario: "error", path: () => "/groups", ready: seen("[role=alert]") },
];
