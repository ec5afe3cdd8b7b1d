// The routing table as the router uses it: the newest version of each section, indexed. Applying a message gives a new
// table and leaves the old one as it was. Never invents a row: without a table there is none.
import type { Endpoint, ModelWarmth, PolicyModel, Table, Upstream, UpstreamKey } from '../../api/link.ts';

export interface SlotKey {
  readonly version: number;
  readonly key: string;
}

/** Somebody else's API that serves a model. */
export interface RemoteTarget {
  readonly baseUrl: string;
  /** What the model is called there. */
  readonly model: string;
  /** For people: where its key is kept, as `secret/entry`. */
  readonly keyOrigin?: string;
}

/** An instance behind its agent, or an upstream: then `remote` is set, and `address` is the origin of its base URL. */
export interface RoutedEndpoint extends Endpoint {
  readonly remote?: RemoteTarget;
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
  readonly endpoints: readonly RoutedEndpoint[];
  readonly endpointsOf: ReadonlyMap<string, readonly RoutedEndpoint[]>;
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
    ...(keys !== undefined && isNewer('keys') ? indexKeys(keys.data) : {}),
    epoch: message.epoch,
    seq: message.seq,
    versions: eachSection((name) => (isNewer(name) ? (message[name]?.version ?? 0) : table.versions[name])),
    epochs: eachSection((name) => (isNewer(name) ? message.epoch : table.epochs[name])),
  };
}

function eachSection(read: (name: keyof SectionNumbers) => number): SectionNumbers {
  return { policy: read('policy'), endpoints: read('endpoints'), keys: read('keys') };
}

function indexKeys(data: {
  readonly slots: readonly { readonly podUid: string; readonly version: number; readonly key: string }[];
  readonly upstreams?: readonly UpstreamKey[] | undefined;
}): Pick<RoutingTable, 'keys'> {
  const keys = new Map<string, SlotKey>();
  for (const { podUid, version, key } of data.slots) keys.set(podUid, { version, key });
  for (const { upstream, key } of data.upstreams ?? []) keys.set(upstream, { version: 1, key });
  return { keys };
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
  readonly upstreams?: readonly Upstream[] | undefined;
}): Pick<RoutingTable, 'endpoints' | 'endpointsOf' | 'warmth'> {
  const endpoints: RoutedEndpoint[] = [...data.endpoints, ...(data.upstreams ?? []).flatMap(routeUpstream)];
  return {
    endpoints,
    endpointsOf: Map.groupBy(endpoints, (endpoint) => endpoint.model),
    warmth: new Map(data.warmth.map((warmth) => [warmth.model, warmth])),
  };
}

/** None for an address that cannot be read, which the controller does not send. */
function routeUpstream(row: Upstream): RoutedEndpoint[] {
  const { upstream, model, revision, share, baseUrl, upstreamModel, keyOrigin } = row;
  if (!URL.canParse(baseUrl)) return [];
  return [
    {
      ...{ instance: upstream, podUid: upstream, model, revision, share },
      address: new URL(baseUrl).origin,
      remote: { baseUrl, model: upstreamModel, ...(keyOrigin === undefined ? {} : { keyOrigin }) },
    },
  ];
}
