// A program as somebody writes it; what must not compile says so.
import type { Json, LogDocument, Operations, ProblemDocument, RunDocument, RunRequest, UsageHour } from "./api";

type Answers<Name extends keyof Operations> = Operations[Name]["answers"];
type Answer<Name extends keyof Operations> = Answers<Name>[keyof Answers<Name>];

declare function ask<Name extends keyof Operations>(
  name: Name,
  asked: Pick<Operations[Name], "path" | "query" | "header"> & { body: Operations[Name]["body"] },
): Promise<Answer<Name>>;

const request: RunRequest = {
  statement: "return INPUT_DATA",
  input_data: [{ a: 1, deep: [null, true, { b: "text" }] }],
  limits: { wall_seconds: 5 },
  grants: { http: ["GET https://api.example.com"] },
  secrets: { plain: "value", sent: { value: "value", hosts: ["api.example.com"] } },
};

async function main(): Promise<Json[]> {
  const run: RunDocument = await ask("POST /v1/runs", { path: {}, query: {}, header: { Prefer: "respond-async" }, body: request });
  const state: "queued" | "running" | "ended" = run.state;
  const why: string | undefined = run.waiting?.rule ?? run.error?.message;
  const status: number = run.status ?? 0;
  const log = await ask("GET /v1/runs/{id}/logs", { path: { id: run.id }, query: {}, header: {}, body: undefined });
  // It may also be server-sent events, or nothing more of them.
  const logs: LogDocument[] = Array.isArray(log) ? log : [];
  const usage = await ask("GET /v1/usage", { path: {}, query: { days: 7 }, header: {}, body: undefined });
  // It may also be CSV.
  const hours: UsageHour[] = typeof usage === "string" ? [] : usage.hours;
  const key = await ask("POST /v1/admin/tenants/{name}/keys", { path: { name: "acme" }, query: {}, header: {}, body: { scopes: ["read"] } });
  const secret: string = key.key;
  const problem: ProblemDocument = { type: "urn:x", title: "Bad Request", status: 400, rule: "body", detail: "text" };
  void [state, why, status, logs, hours, secret, problem.retry_after_seconds];
  return run.rows ?? [];
}

async function refused(): Promise<void> {
  // @ts-expect-error: there is no such operation.
  await ask("GET /v1/nothing", { path: {}, query: {}, header: {}, body: undefined });
  // @ts-expect-error: a statement is needed.
  const empty: RunRequest = {};
  // @ts-expect-error: it is a number.
  const wrong: RunRequest = { statement: "return []", limits: { wall_seconds: "5" } };
  // @ts-expect-error: the id is needed.
  await ask("GET /v1/runs/{id}", { path: {}, query: {}, header: {}, body: undefined });
  // @ts-expect-error: there is no such scope.
  await ask("POST /v1/admin/tenants/{name}/keys", { path: { name: "a" }, query: {}, header: {}, body: { scopes: ["everything"] } });
  void [empty, wrong];
}

void [main, refused];
