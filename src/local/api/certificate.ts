// Makes X.509 certificates with ECDSA P-256: an authority that signs itself, and server certificates under it.
// Writes no files and reads no clock; keys are made by node:crypto.
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { isIPv4, isIPv6 } from 'node:net';
import {
  bitString,
  boolean,
  explicitTag,
  implicitTag,
  integer,
  objectId,
  octetString,
  sequence,
  setOf,
  time,
  utf8String,
} from './der.ts';

export interface SignedCertificate {
  readonly certificatePem: string;
  readonly keyPem: string;
}

interface Validity {
  readonly fromMs: number;
  readonly untilMs: number;
}

const ids = {
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
} as const;

const SERIAL_BYTES = 16;
const algorithm = sequence(objectId(ids.ecdsaWithSha256));

/** An authority that may sign server certificates and nothing above them. */
export function createAuthority(name: string, validity: Validity): SignedCertificate {
  const key = newKey();
  const extensions = [
    extension(ids.basicConstraints, sequence(boolean(true), integer(Buffer.from([0]))), true),
    // keyCertSign (bit 5) and cRLSign (bit 6).
    extension(ids.keyUsage, bitString(Buffer.from([0b0000_0110]), 1), true),
    extension(ids.subjectKeyIdentifier, octetString(keyId(key.publicDer))),
  ];
  const body = { issuer: name, subject: name, validity, publicDer: key.publicDer, extensions };
  return { certificatePem: signed(body, key.keyPem), keyPem: key.keyPem };
}

/** A server certificate for the hosts (DNS names and addresses). `authority` is what createAuthority returned. */
export function createServerCertificate(
  hosts: readonly string[],
  validity: Validity,
  authority: SignedCertificate & { readonly name: string },
): SignedCertificate {
  const key = newKey();
  const authorityDer = publicDerOf(authority.keyPem);
  const extensions = [
    extension(ids.basicConstraints, sequence(), true),
    // digitalSignature (bit 0).
    extension(ids.keyUsage, bitString(Buffer.from([0b1000_0000]), 7), true),
    extension(ids.extendedKeyUsage, sequence(objectId(ids.serverAuthentication))),
    extension(ids.subjectAltName, sequence(...hosts.map(alternativeName))),
    extension(ids.subjectKeyIdentifier, octetString(keyId(key.publicDer))),
    extension(ids.authorityKeyIdentifier, sequence(implicitTag(0, keyId(authorityDer)))),
  ];
  const body = { issuer: authority.name, subject: hosts[0] ?? '', validity, publicDer: key.publicDer, extensions };
  return { certificatePem: signed(body, authority.keyPem), keyPem: key.keyPem };
}

function newKey(): { readonly keyPem: string; readonly publicDer: Buffer } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    keyPem: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    publicDer: publicKey.export({ type: 'spki', format: 'der' }),
  };
}

function publicDerOf(keyPem: string): Buffer {
  return createPublicKey(createPrivateKey(keyPem)).export({ type: 'spki', format: 'der' });
}

/** Any value that is the same for the same key will do (RFC 5280 §4.2.1.2). */
function keyId(publicDer: Buffer): Buffer {
  return createHash('sha256').update(publicDer).digest().subarray(0, 20);
}

interface CertificateBody {
  readonly issuer: string;
  readonly subject: string;
  readonly validity: Validity;
  readonly publicDer: Buffer;
  readonly extensions: readonly Buffer[];
}

function signed(body: CertificateBody, issuerKeyPem: string): string {
  const toBeSigned = sequence(
    explicitTag(0, integer(Buffer.from([2]))),
    integer(serial()),
    algorithm,
    distinguishedName(body.issuer),
    sequence(time(body.validity.fromMs), time(body.validity.untilMs)),
    distinguishedName(body.subject),
    body.publicDer,
    explicitTag(3, sequence(...body.extensions)),
  );
  const signature = sign('sha256', toBeSigned, createPrivateKey(issuerKeyPem));
  const lines =
    sequence(toBeSigned, algorithm, bitString(signature))
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** Random, positive, and never zero. */
function serial(): Buffer {
  const bytes = randomBytes(SERIAL_BYTES);
  bytes[0] = 0x40 | ((bytes[0] ?? 0) & 0x3f);
  return bytes;
}

function distinguishedName(commonName: string): Buffer {
  return sequence(setOf(sequence(objectId(ids.commonName), utf8String(commonName))));
}

function extension(id: string, value: Buffer, isCritical = false): Buffer {
  return sequence(objectId(id), ...(isCritical ? [boolean(true)] : []), octetString(value));
}

function alternativeName(host: string): Buffer {
  if (isIPv4(host)) return implicitTag(7, Buffer.from(host.split('.').map(Number)));
  if (isIPv6(host)) return implicitTag(7, ipv6Bytes(host));
  return implicitTag(2, Buffer.from(host, 'ascii'));
}

function ipv6Bytes(address: string): Buffer {
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => text.split(':').filter((group) => group !== '');
  const before = groups(head);
  const after = groups(tail ?? '');
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const all = tail === undefined ? before : [...before, ...zeros, ...after];
  return Buffer.from(all.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]));
}
