// Certificates of the link: an authority of our own and what it signs, as PEM texts. Makes and reads them; never keeps or
// sends them anywhere. The only importer of the X.509 library.
import 'reflect-metadata';
import { createPrivateKey, X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

export interface KeyPair {
  /** PEM. */
  readonly cert: string;
  /** PEM, PKCS 8. */
  readonly key: string;
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
export const AUTHORITY_DAYS = 1095;
export const CERTIFICATE_DAYS = 30;
/** Clocks of nodes differ. */
const SKEW_MS = 3_600_000;
const SERIAL_BYTES = 16;

/** A new authority that signs for AUTHORITY_DAYS. */
export async function makeAuthority(nowMs: number): Promise<KeyPair> {
  const keys = await makeKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: makeSerial(),
    name: 'CN=Stoker link authority',
    ...validFrom(nowMs, AUTHORITY_DAYS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return renderPair(certificate, keys.privateKey);
}

/** A server certificate for these DNS names and addresses, valid for CERTIFICATE_DAYS or as long as its authority. */
export async function issueCertificate(authority: KeyPair, names: readonly string[], nowMs: number): Promise<KeyPair> {
  const keys = await makeKeys();
  const issuer = new X509Certificate(authority.cert);
  const { notBefore, notAfter } = validFrom(nowMs, CERTIFICATE_DAYS);
  const lastMs = Math.min(notAfter.getTime(), issuer.notAfter.getTime());
  const certificate = await X509CertificateGenerator.create({
    serialNumber: makeSerial(),
    subject: 'CN=stoker-link',
    issuer: issuer.subject,
    notBefore,
    notAfter: new Date(lastMs),
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return renderPair(certificate, keys.privateKey);
}

export interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** When a certificate is valid, in wall-clock milliseconds; undefined when the text is no certificate. */
export function readValidity(pem: string): Validity | undefined {
  try {
    const { notBefore, notAfter } = new X509Certificate(pem);
    return { fromMs: notBefore.getTime(), untilMs: notAfter.getTime() };
  } catch {
    return undefined;
  }
}

/** Whether the key is one, and that of the certificate: with another, everything that it signs is refused by who trusts the certificate. */
export function isPair({ cert, key }: KeyPair): boolean {
  try {
    return new NodeCertificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

async function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const [der = new ArrayBuffer(0)] = PemConverter.decode(pem);
  return webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']);
}

async function renderPair(certificate: X509Certificate, privateKey: webcrypto.CryptoKey): Promise<KeyPair> {
  const der = await webcrypto.subtle.exportKey('pkcs8', privateKey);
  return { cert: `${certificate.toString('pem')}\n`, key: `${PemConverter.encode(der, 'PRIVATE KEY')}\n` };
}

function validFrom(nowMs: number, days: number): { readonly notBefore: Date; readonly notAfter: Date } {
  return { notBefore: new Date(nowMs - SKEW_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** Positive, as the standard wants it. */
function makeSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString('hex');
}
