// What a running `stoker up` leaves in its data folder, so that other commands find it. Addresses and file names; no secrets.
import { z } from 'zod';

export const addressesSchema = z.object({
  openai: z.string(),
  status: z.string(),
  kubernetes: z.string(),
  controller: z.string(),
  controllerTokenFile: z.string(),
});
export type Addresses = z.infer<typeof addressesSchema>;

/** Names inside the data folder. */
export const ADDRESSES_FILE = 'addresses.json';
export const KUBECONFIG_FILE = 'kubeconfig';
