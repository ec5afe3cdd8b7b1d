// Which addresses nobody may be led to by a name that somebody wrote, of an upstream or a source: link-local ones and those where clouds
// answer questions about the machine. Judges one literal IP address; asks no name server. Whatever cannot be read is refused.

type Ipv4 = readonly [number, number, number, number];

/** Shared ranges that no API is served from, and single addresses at which clouds serve metadata. */
const refusedIpv4: readonly { readonly base: Ipv4; readonly bits: number }[] = [
  { base: [0, 0, 0, 0], bits: 8 },
  { base: [169, 254, 0, 0], bits: 16 },
  { base: [224, 0, 0, 0], bits: 3 },
  // Alibaba, Oracle and Azure serve metadata outside the link-local range.
  { base: [100, 100, 100, 200], bits: 32 },
  { base: [192, 0, 0, 192], bits: 32 },
  { base: [168, 63, 129, 16], bits: 32 },
];
/** AWS and Google serve metadata here. */
const refusedIpv6: ReadonlySet<string> = new Set(['fd00:ec2:0:0:0:0:0:254', 'fd20:ce:0:0:0:0:0:254']);

/** Whether a connection to this literal address is refused. */
export function isRefusedAddress(address: string): boolean {
  const ipv4 = parseIpv4(address);
  if (ipv4 !== undefined) return isRefusedIpv4(ipv4);
  const groups = parseIpv6(address);
  if (groups === undefined) return true;
  const embedded = embeddedIpv4(groups);
  if (embedded !== undefined) return isRefusedIpv4(embedded);
  const [first = 0] = groups;
  const isLinkLocal = (first & 0xffc0) === 0xfe80;
  const isMulticast = (first & 0xff00) === 0xff00;
  return isLinkLocal || isMulticast || refusedIpv6.has(groups.map((group) => group.toString(16)).join(':'));
}

export function isLoopbackAddress(address: string): boolean {
  const ipv4 = parseIpv4(address);
  if (ipv4 !== undefined) return ipv4[0] === 127;
  const groups = parseIpv6(address);
  if (groups === undefined) return false;
  if (isIpv6Loopback(groups)) return true;
  return embeddedIpv4(groups)?.[0] === 127;
}

/** The host of a URL as a literal address; undefined when it is a name. */
export function literalHost({ hostname }: URL): string | undefined {
  if (hostname.startsWith('[')) return hostname.slice(1, -1);
  return parseIpv4(hostname) === undefined ? undefined : hostname;
}

function isRefusedIpv4(address: Ipv4): boolean {
  return refusedIpv4.some(({ base, bits }) => numberOf(address) >>> (32 - bits) === numberOf(base) >>> (32 - bits));
}

function numberOf([a, b, c, d]: Ipv4): number {
  return a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
}

function parseIpv4(text: string): Ipv4 | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  const [a = 256, b = 256, c = 256, d = 256] = match.slice(1).map(Number);
  return a > 255 || b > 255 || c > 255 || d > 255 ? undefined : [a, b, c, d];
}

/** Eight groups of 16 bits. The URL parser brings every notation into one form. */
function parseIpv6(text: string): readonly number[] | undefined {
  const [address = ''] = text.split('%', 1);
  if (!address.includes(':') || !URL.canParse(`http://[${address}]/`)) return undefined;
  const { hostname } = new URL(`http://[${address}]/`);
  const [head = '', tail] = hostname.slice(1, -1).split('::');
  const groupsOf = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const [before, after] = [groupsOf(head), groupsOf(tail ?? '')];
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

function isIpv6Loopback(groups: readonly number[]): boolean {
  return groups.every((group, at) => group === (at === 7 ? 1 : 0));
}

/** An IPv4 address that is mapped (::ffff:0:0/96), compatible (::/96) or translated (64:ff9b::/96). */
function embeddedIpv4(groups: readonly number[]): Ipv4 | undefined {
  const prefix = groups.slice(0, 6).join();
  const isEmbedded = prefix === '0,0,0,0,0,65535' || prefix === '0,0,0,0,0,0' || prefix === '100,65435,0,0,0,0';
  if (!isEmbedded || isIpv6Loopback(groups)) return undefined;
  const [high = 0, low = 0] = groups.slice(6);
  return [high >>> 8, high & 255, low >>> 8, low & 255];
}
