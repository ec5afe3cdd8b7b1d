// What every API server must do that Stoker works with: the embedded one and a real kube-apiserver run the same tests.
// They use nothing but the API, and only objects of Stoker's kinds and of the few of Kubernetes that Stoker touches.
import { after, before, describe } from 'node:test';
import { deletionContract } from './deletion.ts';
import { eventContract } from './events.ts';
import { listContract } from './lists.ts';
import { objectContract } from './objects.ts';
import { patchContract } from './patches.ts';
import { portContract } from './port.ts';
import { refusalContract } from './refusals.ts';
import { type ContractServer, Session } from './session.ts';
import { subresourceContract } from './subresources.ts';
import { tableContract } from './tables.ts';
import { validationContract } from './validation.ts';
import { watchContract } from './watches.ts';

const parts: Readonly<Record<string, (session: Session) => void>> = {
  objects: objectContract,
  patches: patchContract,
  subresources: subresourceContract,
  validation: validationContract,
  'good and bad objects': refusalContract,
  lists: listContract,
  watches: watchContract,
  deletion: deletionContract,
  tables: tableContract,
  events: eventContract,
  'the Cluster port': portContract,
};

/** `connect` is called once, before the first test; what it returns is closed after the last. */
export function clusterContract(server: string, connect: () => Promise<ContractServer>): void {
  describe(`the cluster contract: ${server}`, () => {
    const session = new Session();
    before(() => session.open(connect));
    after(() => session.close());
    for (const [name, part] of Object.entries(parts)) describe(name, () => part(session));
  });
}
