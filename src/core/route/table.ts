// The routing table as the router uses it: the newest version of each section, indexed. Applying a message gives a new
// table and leaves the old one as it was. Never invents a row: without a table there is none.
import type { Endpoint, ModelWarmth, PolicyModel, Table } from '../../api/link.ts';

export interface SlotKey {
  readonly version: number;
  readonly key: string;
}

interface SectionNumbers {
  readonly policy: number;
  readonly endpoints: number;
  readonly keys: number;
}

export interface RoutingTable {
  readonly epoch: number;
  readonly seq: number;
  readonly versions: SectionNumbers;
  /** The leader that each section is from: versions of two leaders do not compare. */
  readonly epochs: SectionNumbers;
  /** In the order of the policy section. */
  readonly models: readonly PolicyModel[];
  readonly byServedName: ReadonlyMap<string, PolicyModel>;
  readonly byModel: ReadonlyMap<string, PolicyModel>;
  readonly endpoints: readonly Endpoint[];
  readonly endpointsOf: ReadonlyMap<string, readonly Endpoint[]>;
  readonly warmth: ReadonlyMap<string, ModelWarmth>;
  readonly keys: ReadonlyMap<string, SlotKey>;
}

export const emptyTable: RoutingTable = {
  epoch: 0,
  seq: 0,
  versions: { policy: 0, endpoints: 0, keys: 0 },
  epochs: { policy: 0, endpoints: 0, keys: 0 },
  models: [],
  byServedName: new Map(),
  byModel: new Map(),
  endpoints: [],
  endpointsOf: new Map(),
  warmth: new Map(),
  keys: new Map(),
};

/** Newer sections replace older ones; those of a higher epoch (another leader) do so whatever their versions are. */
export function applyTable(table: RoutingTable, message: Table): RoutingTable {
  const isNewer = (name: keyof SectionNumbers) => {
    const section = message[name];
    if (section === undefined) return false;
    return message.epoch > table.epochs[name] || section.version > table.versions[name];
  };
  const { policy, endpoints, keys } = message;
  return {
    ...table,
    ...(policy !== undefined && isNewer('policy') ? indexPolicy(policy.data.models) : {}),
    ...(endpoints !== undefined && isNewer('endpoints') ? indexEndpoints(endpoints.data) : {}),
    ...(keys !== undefined && isNewer('keys') ? indexKeys(keys.data.slots) : {}),
    epoch: message.epoch,
    seq: message.seq,
    versions: eachSection((name) => (isNewer(name) ? (message[name]?.version ?? 0) : table.versions[name])),
    epochs: eachSection((name) => (isNewer(name) ? message.epoch : table.epochs[name])),
  };
}

function eachSection(read: (name: keyof SectionNumbers) => number): SectionNumbers {
  return { policy: read('policy'), endpoints: read('endpoints'), keys: read('keys') };
}

function indexKeys(
  slots: readonly { readonly podUid: string; readonly version: number; readonly key: string }[],
): Pick<RoutingTable, 'keys'> {
  return { keys: new Map(slots.map((slot) => [slot.podUid, { version: slot.version, key: slot.key }])) };
}

function indexPolicy(models: readonly PolicyModel[]): Pick<RoutingTable, 'models' | 'byServedName' | 'byModel'> {
  return {
    models,
    byServedName: new Map(models.map((model) => [model.servedName, model])),
    byModel: new Map(models.map((model) => [model.model, model])),
  };
}

function indexEndpoints(data: {
  readonly endpoints: readonly Endpoint[];
  readonly warmth: readonly ModelWarmth[];
}): Pick<RoutingTable, 'endpoints' | 'endpointsOf' | 'warmth'> {
  return {
    endpoints: data.endpoints,
    endpointsOf: Map.groupBy(data.endpoints, (endpoint) => endpoint.model),
    warmth: new Map(data.warmth.map((warmth) => [warmth.model, warmth])),
  };
}
