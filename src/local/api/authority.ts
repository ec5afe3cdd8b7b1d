// The server's own certificate authority, kept in the data folder: made once, and the server certificate made anew when
// it is about to end, is for other hosts, or is not of this authority. Keys never leave the folder (mode 0600).
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { createAuthority, createServerCertificate, type SignedCertificate } from './certificate.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
const SERVER_DAYS = 365;
/** What has less left than this at a start is renewed. */
const RENEW_DAYS = 30;
/** Clocks of two programs may differ by this much. */
const SKEW_MS = 300_000;
const AUTHORITY_NAME = 'stoker local authority';

export interface ServerIdentity {
  readonly caPem: string;
  readonly certificatePem: string;
  readonly keyPem: string;
}

export function loadServerIdentity(folder: string, hosts: readonly string[], wallMs: number): ServerIdentity {
  const authority = keptAuthority(folder, wallMs);
  const kept = readPair(folder, 'server');
  const server =
    kept !== undefined && isServerUsable(kept, hosts, { authority, wallMs })
      ? kept
      : writePair(
          folder,
          'server',
          createServerCertificate(hosts, validity(wallMs, SERVER_DAYS), { ...authority, name: AUTHORITY_NAME }),
        );
  return { caPem: authority.certificatePem, certificatePem: server.certificatePem, keyPem: server.keyPem };
}

function keptAuthority(folder: string, wallMs: number): SignedCertificate {
  const kept = readPair(folder, 'authority');
  if (kept !== undefined && isCurrent(kept, wallMs)) return kept;
  return writePair(folder, 'authority', createAuthority(AUTHORITY_NAME, validity(wallMs, AUTHORITY_DAYS)));
}

function isCurrent({ certificatePem, keyPem }: SignedCertificate, wallMs: number): boolean {
  const certificate = parseCertificate(certificatePem);
  if (certificate === undefined) return false;
  const startsMs = Date.parse(certificate.validFrom);
  const endsMs = Date.parse(certificate.validTo);
  if (startsMs > wallMs || endsMs - wallMs < RENEW_DAYS * DAY_MS) return false;
  const key = parseKey(keyPem);
  return key !== undefined && certificate.checkPrivateKey(key);
}

function isServerUsable(
  server: SignedCertificate,
  hosts: readonly string[],
  { authority, wallMs }: { authority: SignedCertificate; wallMs: number },
): boolean {
  if (!isCurrent(server, wallMs)) return false;
  const certificate = new X509Certificate(server.certificatePem);
  const isOurs = certificate.verify(new X509Certificate(authority.certificatePem).publicKey);
  const covers = (host: string) => (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host));
  return isOurs && hosts.every((host) => covers(host) !== undefined);
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function parseKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

function validity(wallMs: number, days: number): { fromMs: number; untilMs: number } {
  return { fromMs: wallMs - SKEW_MS, untilMs: wallMs + days * DAY_MS };
}

function readPair(folder: string, name: string): SignedCertificate | undefined {
  const certificatePem = readPrivateFile(join(folder, `${name}.crt`));
  const keyPem = readPrivateFile(join(folder, `${name}.key`));
  return certificatePem === undefined || keyPem === undefined ? undefined : { certificatePem, keyPem };
}

function writePair(folder: string, name: string, pair: SignedCertificate): SignedCertificate {
  writePrivateFile(join(folder, `${name}.key`), pair.keyPem);
  writePrivateFile(join(folder, `${name}.crt`), pair.certificatePem);
  return pair;
}
