// Finds a Stoker that runs on this machine by the file that `stoker up` leaves in its data folder.
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ADDRESSES_FILE, type Addresses, addressesSchema } from '../api/addresses.ts';
import { CommandError, type CommandIo } from './io.ts';

export function dataDirOf(io: CommandIo): string {
  return resolve(io.environment.STOKER_DATA_DIR || '.stoker');
}

/** Throws CommandError with what to do when no Stoker ran here. */
export function readLocalAddresses(io: CommandIo): Addresses {
  const path = join(dataDirOf(io), ADDRESSES_FILE);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new CommandError(
      `No Stoker was found here: there is no ${path}. Start one with \`npm start\`, or set STOKER_DATA_DIR to its data folder.`,
    );
  }
  const addresses = parseAddresses(text);
  if (addresses !== undefined) return addresses;
  throw new CommandError(`${path} cannot be used: another release of Stoker may have written it. Start Stoker again.`);
}

function parseAddresses(text: string): Addresses | undefined {
  try {
    return addressesSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
