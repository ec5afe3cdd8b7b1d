// The name lookup for upstreams: every address that a name leads to is judged before a socket is opened to it, so that no
// name can lead into this machine's own network. Plain http only ever reaches loopback. Literal addresses never come here:
// they are judged by whoever dials.
import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { isLoopbackAddress, isRefusedAddress } from '../../api/upstream-address.ts';

/** A name that leads where no request is sent. */
export class AddressRefused extends Error {
  override readonly name = 'AddressRefused';

  constructor(host: string) {
    super(
      `No request is sent to ${host}: it leads to an address that is link-local, of a cloud's metadata, or not of TLS.`,
    );
  }
}

/** Whether a connection to the address is refused. Without TLS nothing but loopback is dialled. */
export function mayDial(address: string, isTls: boolean): boolean {
  return isTls ? !isRefusedAddress(address) : isLoopbackAddress(address);
}

/** Gives only addresses that may be dialled; an error when there is none. */
export function createGuardedLookup(isTls: boolean, resolve: typeof lookup = lookup): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, '', 0);
      const addresses = found.filter(({ address }) => mayDial(address, isTls));
      const [first] = addresses;
      if (first === undefined) return callback(new AddressRefused(hostname), '', 0);
      if (options.all === true) return callback(null, addresses);
      callback(null, first.address, first.family);
    });
  };
}
