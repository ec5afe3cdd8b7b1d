// What a spoke shows and trusts at every dial: the files that the kubelet renews. Never keeps what it read.
import { readFile } from 'node:fs/promises';
import { StartError } from './part.ts';

interface LinkFiles {
  readonly tokenFile: string;
  readonly caFile: string | undefined;
}

interface LinkCredentials {
  token(): Promise<string>;
  ca?(): Promise<string>;
}

/** Throws StartError when an address with TLS comes without an authority to trust. */
export function linkCredentials(linkUrl: string, { tokenFile, caFile }: LinkFiles): LinkCredentials {
  if (linkUrl.startsWith('wss:') && caFile === undefined) {
    throw new StartError(
      `The link at ${linkUrl} speaks TLS, so STOKER_LINK_CA_FILE must name the file with its authority (ca.crt of the ConfigMap stoker-link-ca).`,
    );
  }
  return {
    token: async () => (await readFile(tokenFile, 'utf8')).trim(),
    ...(caFile === undefined ? {} : { ca: () => readFile(caFile, 'utf8') }),
  };
}
