// A server of weights on loopback, as protocol-true as the stager needs: ranges, redirects, a hub's listing, a registry with
// tokens, an S3 store that checks who signs. Faults are told for the next requests. Counts what was asked.
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export type SourceFault =
  | { readonly type: 'none' }
  | { readonly type: 'cut'; readonly afterBytes: number }
  | { readonly type: 'status'; readonly status: number; readonly headers?: Record<string, string> }
  | { readonly type: 'wrongRange' }
  | { readonly type: 'noRanges' }
  | { readonly type: 'silent' };

export interface FakeSource {
  readonly url: string;
  /** By path: what is served there. */
  readonly contents: Map<string, Buffer>;
  /** By path: where it leads. */
  readonly redirects: Map<string, string>;
  /** Taken one by one by the next requests for contents. */
  readonly faults: SourceFault[];
  /** Every request for contents is answered so. */
  constant: SourceFault | undefined;
  /** The Authorization header that is wanted for contents. */
  wanted: ((header: string | undefined) => boolean) | undefined;
  /** What it asks for then; unset: a token of its own service. */
  challenge: string | undefined;
  readonly asked: {
    readonly path: string;
    readonly range: string | undefined;
    readonly authorization: string | undefined;
    readonly accept: string | undefined;
  }[];
  sentBytes(): number;
  close(): Promise<void>;
}

export function sha256Of(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Bytes that no two places of share. */
export function madeBytes(count: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(count);
  let state = seed;
  for (let at = 0; at < count; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}

export async function startFakeSource(): Promise<FakeSource> {
  const contents = new Map<string, Buffer>();
  const redirects = new Map<string, string>();
  const faults: SourceFault[] = [];
  const asked: FakeSource['asked'] = [];
  let sent = 0;
  const server = createServer((request, response) => answer(request, response));
  const source: FakeSource = {
    url: '',
    contents,
    redirects,
    faults,
    constant: undefined,
    wanted: undefined,
    challenge: undefined,
    asked,
    sentBytes: () => sent,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  function answer(request: IncomingMessage, response: ServerResponse): void {
    const path = new URL(request.url ?? '/', 'http://source').pathname;
    const { range, authorization, accept } = request.headers;
    asked.push({ path, range, authorization, accept });
    const redirect = redirects.get(path);
    if (redirect !== undefined) return void response.writeHead(302, { location: redirect }).end();
    if (source.wanted !== undefined && !source.wanted(authorization)) {
      const token = `Bearer realm="${source.url}/token",service="fake",scope="repository:x:pull"`;
      const challenge = source.challenge ?? token;
      return void response.writeHead(401, { 'www-authenticate': challenge }).end();
    }
    const bytes = contents.get(path);
    if (bytes === undefined) return void response.writeHead(404).end();
    send(response, { bytes, range, fault: faults.shift() ?? source.constant });
  }
  function send(
    response: ServerResponse,
    what: { bytes: Buffer; range: string | undefined; fault: SourceFault | undefined },
  ) {
    const { bytes, fault } = what;
    if (fault?.type === 'silent') return;
    if (fault?.type === 'status') return void response.writeHead(fault.status, fault.headers ?? {}).end();
    const { status, headers, body } = cutOut(bytes, what.range, fault);
    const cut = fault?.type === 'cut' ? body.subarray(0, fault.afterBytes) : body;
    sent += cut.length;
    response.writeHead(status, { 'content-length': body.length, ...headers });
    if (cut === body) return void response.end(body);
    response.write(cut, () => response.destroy());
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(source, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

function cutOut(bytes: Buffer, range: string | undefined, fault: SourceFault | undefined) {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  if (from === undefined || fault?.type === 'noRanges') return { status: 200, headers: {}, body: bytes };
  const [begin, end] = [Number(from), Math.min(Number(to) + 1, bytes.length)];
  const shift = fault?.type === 'wrongRange' ? 1 : 0;
  const headers = { 'content-range': `bytes ${begin + shift}-${end - 1 + shift}/${bytes.length}` };
  return { status: 206, headers, body: bytes.subarray(begin, end) };
}
