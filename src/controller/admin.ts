// The administration port: health, readiness, metrics, and the last scaling decision for whoever has the token. Reads only.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Starting } from './leader-start.ts';
import type { Decided } from './steering.ts';

interface AdminOptions {
  readonly token: string;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** What is still missing before it is ready, as a sentence. */
  missing(): string | undefined;
  decisionOf(model: string): Decided | undefined;
}

export type AdminHandler = (request: IncomingMessage, response: ServerResponse) => void;

const EXPLAIN = '/explain/scale/';

export function createAdminHandler(options: AdminOptions): AdminHandler {
  const digest = digestOf(options.token);
  const pages: Pages = {
    '/healthz': (response) => answer(response, 200, 'ok\n'),
    '/readyz': (response) => {
      const missing = options.missing();
      answer(response, missing === undefined ? 200 : 503, `${missing ?? 'ok'}\n`);
    },
    '/metrics': (response) => void answerMetrics(response, options.metrics),
  };
  return createPages(pages, (path, request, response) => {
    if (!path.startsWith(EXPLAIN)) return false;
    if (isAllowed(request.headers.authorization, digest)) explain(path.slice(EXPLAIN.length), response, options);
    else answer(response, 401, 'The administration token is needed.\n');
    return true;
  });
}

type Pages = Readonly<Record<string, (response: ServerResponse) => void>>;

/** Answers GET and HEAD by path; `other` returns false for a path that it does not know either. */
function createPages(
  pages: Pages,
  other: (path: string, request: IncomingMessage, response: ServerResponse) => boolean = () => false,
): AdminHandler {
  return (request, response) => {
    const path = (request.url ?? '').split('?')[0] ?? '';
    const page = Object.hasOwn(pages, path) ? pages[path] : undefined;
    if (request.method !== 'GET' && request.method !== 'HEAD') answer(response, 405, 'Only GET is answered here.\n');
    else if (page !== undefined) page(response);
    else if (!other(path, request, response)) answer(response, 404, 'There is nothing here.\n');
  };
}

export interface StandbyOptions {
  readonly metrics: Metrics;
  isSynced(): boolean;
  /** What it waits for when it has won the Lease; undefined while it stands by. */
  starting(): Starting | undefined;
  /** Who held the Lease when this replica looked last; undefined when nobody did, or it has not looked yet. */
  leader(): string | undefined;
}

/**
 * What a replica answers that does not lead: it is alive, and ready once it could take over. One that has won the Lease stays so
 * for as long as a start takes.
 */
export function createStandbyHandler({ metrics, isSynced, starting, leader }: StandbyOptions): AdminHandler {
  const pages: Pages = {
    '/healthz': (response) => answer(response, 200, 'ok\n'),
    '/readyz': (response) => {
      const { isLate, sentence } = starting() ?? {};
      if (isLate === true) answer(response, 503, `${sentence}\n`);
      else if (sentence !== undefined) answer(response, 200, 'ok: starting to lead\n');
      else if (isSynced()) answer(response, 200, 'ok: standing by, another replica leads\n');
      else answer(response, 503, 'The objects have not been read yet.\n');
    },
    '/metrics': (response) => void answerMetrics(response, metrics),
  };
  return createPages(pages, (path, _request, response) => {
    if (!path.startsWith(EXPLAIN)) return false;
    // Whatever token is shown: it says no more than the Lease does.
    answer(response, 503, `${starting()?.sentence ?? sayWhoLeads(leader())}\n`);
    return true;
  });
}

function sayWhoLeads(leader: string | undefined): string {
  if (leader === undefined) return 'No controller leads yet that this replica knows of. Ask again in a few seconds.';
  return `This replica stands by and decides nothing. ${leader} holds the Lease and leads: ask that one.`;
}

function answer(response: ServerResponse, status: number, text: string, type = 'text/plain; charset=utf-8'): void {
  const body = Buffer.from(text);
  response.writeHead(status, { 'content-type': type, 'content-length': body.length, 'cache-control': 'no-store' });
  response.end(body);
}

async function answerMetrics(response: ServerResponse, metrics: Metrics): Promise<void> {
  try {
    answer(response, 200, await metrics.render(), metrics.contentType);
  } catch {
    answer(response, 500, 'The metrics could not be rendered.\n');
  }
}

function isAllowed(authorization: string | undefined, digest: Buffer): boolean {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
  return token !== undefined && timingSafeEqual(digestOf(token), digest);
}

/** Digests have one length, whatever is presented. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function explain(encoded: string, response: ServerResponse, { clock, decisionOf }: AdminOptions): void {
  const model = decodeName(encoded);
  const decided = model === undefined ? undefined : decisionOf(model);
  if (decided === undefined) {
    answer(response, 404, 'There is no decision about a model of this name.\n');
    return;
  }
  const { decision, atMs } = decided;
  const body = {
    model: decision.model,
    sentence: decision.sentence,
    desired: decision.desired,
    ageMs: Math.max(0, clock.nowMs() - atMs),
    terms: decision.terms,
  };
  answer(response, 200, `${JSON.stringify(body)}\n`, 'application/json');
}

function decodeName(encoded: string): string | undefined {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
