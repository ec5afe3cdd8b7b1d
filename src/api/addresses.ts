// What a running `stoker up` leaves in its data folder, so that other commands find it. Addresses and file names; no secrets.
import { z } from 'zod';

export const addressesSchema = z.object({
  /** Absent: the router was started apart, with an address of its own choice. The same goes for the controller. */
  openai: z.string().optional(),
  status: z.string().optional(),
  kubernetes: z.string(),
  controller: z.string().optional(),
  controllerTokenFile: z.string(),
});
export type Addresses = z.infer<typeof addressesSchema>;

/** Names inside the data folder. */
export const ADDRESSES_FILE = 'addresses.json';
export const KUBECONFIG_FILE = 'kubeconfig';
