/* The shapes of /api/openapi.json that the page reads. Names and nullness as they stand there. */

export type State = "open" | "redriving" | "resolved" | "archived";
export type Role = "viewer" | "operator" | "admin";

export interface Bytes {
  encoding: "null" | "json" | "text" | "base64" | "hidden";
  size: number;
  cut: boolean;
  text: string;
  masked?: string[];
  why?: string;
}

export interface Header extends Bytes {
  name: string;
}

export interface Covered {
  rows_read: number;
  rows_total: number;
  text_read: number;
  complete: boolean;
}

export interface Group {
  signature: string;
  route: string;
  code: string;
  title: string;
  open: number;
  redriving: number;
  resolved: number;
  archived: number;
  keys: number;
  attempts: number;
  first: string | null;
  last: string | null;
  http_status: number;
  example: string;
  example_detail: string;
  spark_unit_ms: number;
  spark_end: string | null;
  spark: number[];
}

export interface Groups {
  groups: Group[];
  covered: Covered;
}

export interface Letter {
  id: string;
  topic: string;
  partition: number;
  offset: number;
  state: State;
  route: string;
  group: string;
  code: string;
  signature: string;
  detail: string;
  writer: string;
  key: Bytes;
  key_size: number;
  http_status: number;
  attempts: number;
  redrive_count: number;
  redrive_id: string;
  value_size: number;
  written: string | null;
  first_failed: string | null;
  last_failed: string | null;
  origin_topic: string;
  origin_partition: number;
  origin_offset: number;
  epoch: string | null;
  sequence: string | null;
  edited_to: string;
  latest: string;
}

export interface Letters {
  letters: Letter[];
  next: string;
  covered: Covered;
}

export interface SameKey {
  letters: Letter[];
  more: boolean;
  covered: Covered;
}

export interface RecordParts {
  key: Bytes;
  value: Bytes;
  headers: Header[];
  own_headers: Header[];
  curl?: string | null;
  curl_why?: string;
}

export interface WholeLetter {
  letter: Letter;
  record: RecordParts | null;
  record_why?: string;
  same_key: SameKey | null;
}

export interface RouteCount {
  name: string;
  group: string;
  open: number;
  redriving: number;
}

/* What a gateway says of itself is passed on as it is, so nothing of it is sure to be there. */
export interface StatusPart {
  topic?: string;
  partition?: number;
  kind?: string;
  retiring?: boolean;
  open?: number;
  lag?: number;
  stuck_ms?: number;
  why?: string;
}

export interface StatusStuck {
  topic?: string;
  partition?: number;
  offset?: number;
  ms?: number;
  key?: string;
  why?: string;
}

export interface StatusRoute {
  name?: string;
  group?: string;
  worker?: number;
  state?: string;
  why?: string;
  ready?: boolean;
  in_flight_records?: number;
  in_flight_bytes?: number;
  breaker?: string;
  stuck_keys?: number;
  stuck?: StatusStuck[];
  partitions?: StatusPart[];
}

export interface Gateway {
  address: string;
  reached: boolean;
  why: string | null;
  asked: string | null;
  status: { ready?: boolean; draining?: boolean; routes?: StatusRoute[] } | null;
}

export interface Overview {
  routes: RouteCount[];
  covered: Covered;
  allow_changes: boolean;
  allow_edits: boolean;
  role: Role;
  feed: { caught_up: boolean; trouble: string | null };
  gateways?: Gateway[];
}

export interface KeyWords {
  found: boolean;
  words: string;
  letters?: Letter[];
  more?: boolean;
  covered?: Covered;
}

export interface Filter {
  route?: string;
  topic?: string;
  code?: string;
  status?: string;
  signature?: string;
  key?: string;
  key_hex?: string;
  since?: string;
  until?: string;
  text?: string;
  state?: string[];
  id?: string[];
}

export interface Skipped {
  on_its_way: number;
  resolved: number;
  archived: number;
  gone: number;
  not_found: number;
  no_route: number;
  foreign: number;
  refused: number;
}

export interface Counts {
  total: number;
  eligible: number;
  sent: number;
  resolved: number;
  superseded: number;
  dropped: number;
  duplicate: number;
  failed: number;
  on_their_way: number;
  skipped: Skipped;
}

export type Mode = "if-newer" | "force";

export interface Job {
  id: string;
  group: string;
  status: "waiting" | "running" | "cancelling" | "cancelled" | "finished" | "failed";
  mode: Mode;
  rate: number;
  limit: number;
  reason: string | null;
  by: string | null;
  created: string | null;
  updated: string | null;
  owner: string | null;
  note: string | null;
  filter: Filter;
  filter_hidden: boolean;
  counts: Counts;
  skipped_listed: number;
}

export interface JobGroup {
  group: string;
  known: boolean;
  runs_here: boolean;
  trouble: string | null;
}

export type JobResult = "on_its_way" | "resolved" | "superseded" | "dropped" | "duplicate" | "failed" | "unknown" | "skipped";

export interface JobRecord {
  id: string;
  result: JobResult;
  skipped: keyof Skipped | null;
  code: string | null;
  at: string | null;
  redrive_count: number;
  since: string | null;
  letter: Letter | null;
}

export interface JobRecords {
  records: JobRecord[];
  next: string;
  covered: Covered;
}

export interface Jobs {
  jobs: Job[];
  next: string;
  groups: JobGroup[];
}

export interface JobOrder {
  group?: string;
  filter: Filter;
  mode?: Mode;
  rate?: number;
  limit?: number;
  reason?: string;
  confirm?: string;
}

export interface Plan {
  group: string;
  counts: Counts;
  sends: number;
  overtaken: number;
  overtaken_unknown: number;
  overtaken_why: string | null;
}

export interface Archived {
  matched: number;
  archived: number;
  more: boolean;
  dry_run: boolean;
  covered: Covered;
}

export interface Imported {
  letters: number;
  bad: number;
  produced: number;
  dry_run: boolean;
  problems: { line: number; column: number; text: string }[];
  topics: { topic: string; letters: number }[];
}

export interface EditedBytes {
  encoding: "text" | "base64" | "null";
  text?: string;
}

export interface EditedHeader extends EditedBytes {
  name: string;
}

export interface Edited {
  letter: string;
  copy: string | null;
  job: string | null;
  dry_run: boolean;
  changed: { value: boolean; value_size: { was: number; is: number }; headers: string[] };
}

export interface Purged {
  letters: number;
  open: number;
  deleted: boolean;
  begin: number | null;
  note: string;
  covered: Covered;
}

export interface AuditEntry {
  group: string;
  at: string | null;
  by: string;
  action: string;
  on: string;
  reason: string | null;
  result: string;
  details: unknown;
  details_hidden: boolean;
}

export interface Audit {
  entries: AuditEntry[];
  next: string;
}
