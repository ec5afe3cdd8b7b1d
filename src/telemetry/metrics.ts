// Every metric of Stoker in one table, on prom-client. Label sets are closed: a value that is not listed is a broken
// promise. A row here needs a line in docs/reference/metrics.md (`npm run check` looks). Cost: about 0.5 µs an update.
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Refusal } from '../api/data-path.ts';
import type { Rung } from '../api/link.ts';
import type { OutcomeCode } from '../api/outcomes.ts';

interface Row {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  /** Label names with their closed set of values; `open` for names of models, pools or slots (bounded by the objects that exist). */
  readonly labels: Readonly<Record<string, readonly string[] | 'open'>>;
  readonly buckets?: readonly number[];
}

const seconds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

/** Written out, because telemetry uses the shapes of src/api and not its code; the compiler sees to it that none is missing. */
const refusalReasons = Object.keys({
  Full: 0,
  NotAwake: 0,
  Draining: 0,
  StaleKey: 0,
  StaleIncarnation: 0,
} satisfies Record<Refusal, 0>);

/** The same for rungs and for the findings of the plan linter. */
const instanceRungs = Object.keys({
  Absent: 0,
  Staged: 0,
  Starting: 0,
  Awake: 0,
  Draining: 0,
  Sleeping: 0,
  Asleep: 0,
  Waking: 0,
  Stopping: 0,
  Failed: 0,
} satisfies Record<Rung, 0>);

const outcomeCodes = Object.keys({
  served: 0,
  invalid_request: 0,
  context_length_exceeded: 0,
  invalid_api_key: 0,
  origin_not_allowed: 0,
  model_not_found: 0,
  route_not_found: 0,
  method_not_allowed: 0,
  body_too_large: 0,
  headers_too_large: 0,
  request_timeout: 0,
  rate_limited: 0,
  queue_full: 0,
  upstream_failed: 0,
  upstream_garbled: 0,
  model_warming: 0,
  draining: 0,
  model_failed: 0,
  deadline_exceeded: 0,
  client_gone: 0,
  slow_consumer: 0,
  internal_error: 0,
} satisfies Record<OutcomeCode, 0>);

export const metricTable = {
  requests: {
    kind: 'counter',
    name: 'stoker_requests_total',
    help: 'Requests that ended, by outcome.',
    labels: { model: 'open', outcome: outcomeCodes },
  },
  requestSeconds: {
    kind: 'histogram',
    name: 'stoker_request_seconds',
    help: 'Time from accept to end.',
    labels: { model: 'open' },
    buckets: seconds,
  },
  firstContentSeconds: {
    kind: 'histogram',
    name: 'stoker_first_content_seconds',
    help: 'Time from accept to the first content.',
    labels: { model: 'open' },
    buckets: seconds,
  },
  queueSeconds: {
    kind: 'histogram',
    name: 'stoker_queue_seconds',
    help: 'Time that a request was held or queued.',
    labels: { model: 'open' },
    buckets: seconds,
  },
  queued: {
    kind: 'gauge',
    name: 'stoker_queued_requests',
    help: 'Requests that are held or queued now.',
    labels: { model: 'open' },
  },
  inFlight: {
    kind: 'gauge',
    name: 'stoker_in_flight_requests',
    help: 'Requests that are at an instance now.',
    labels: { model: 'open' },
  },
  attempts: {
    kind: 'counter',
    name: 'stoker_attempts_total',
    help: 'Requests sent to an instance, by what came of it.',
    labels: { model: 'open', end: ['Answered', 'Refused', 'Unreached', 'Limited', 'Declined', 'Failed'] },
  },
  refusedSockets: {
    kind: 'counter',
    name: 'stoker_refused_sockets_total',
    help: 'Connections to the OpenAI port that were closed at once, because too many were open.',
    labels: {},
  },
  webSockets: {
    kind: 'gauge',
    name: 'stoker_web_sockets',
    help: 'WebSockets of callers that are open.',
    labels: {},
  },
  webSocketFaults: {
    kind: 'counter',
    name: 'stoker_web_socket_faults_total',
    help: 'Messages on WebSockets of callers that were not accepted.',
    labels: {
      code: ['invalid_message', 'unknown_type', 'duplicate_id', 'too_many_requests', 'resume_not_supported'],
    },
  },
  tokens: {
    kind: 'counter',
    name: 'stoker_tokens_total',
    help: 'Tokens by direction.',
    labels: { model: 'open', direction: ['prompt', 'completion', 'cached'] },
  },
  agentInFlight: {
    kind: 'gauge',
    name: 'stoker_agent_in_flight_requests',
    help: 'Requests that this slot serves now.',
    labels: { model: 'open' },
  },
  engineRunning: {
    kind: 'gauge',
    name: 'stoker_engine_running_requests',
    help: 'Requests that the awake engine of this slot computes, by its own account.',
    labels: { model: 'open' },
  },
  engineWaiting: {
    kind: 'gauge',
    name: 'stoker_engine_waiting_requests',
    help: 'Requests that wait inside the awake engine of this slot, by its own account.',
    labels: { model: 'open' },
  },
  engineKvUsed: {
    kind: 'gauge',
    name: 'stoker_engine_kv_used_ratio',
    help: 'The part of its room for keys and values that is taken, 0 to 1. Absent for engines that do not say.',
    labels: { model: 'open' },
  },
  agentRefusals: {
    kind: 'counter',
    name: 'stoker_agent_refusals_total',
    help: 'Requests that this slot did not take, by reason.',
    labels: { reason: refusalReasons },
  },
  agentDoubleResidence: {
    kind: 'counter',
    name: 'stoker_agent_double_residence_total',
    help: 'Times that two instances of this slot held its accelerator at once. Anything but 0 is a mistake in Stoker.',
    labels: {},
  },
  climbSeconds: {
    kind: 'histogram',
    name: 'stoker_climb_seconds',
    help: 'Time that an instance took to be awake and probed.',
    labels: { from: ['Staged', 'Asleep'] },
    buckets: seconds,
  },
  engineRestarts: {
    kind: 'counter',
    name: 'stoker_engine_restarts_total',
    help: 'Starts of an engine after it failed.',
    labels: { model: 'open' },
  },
  reconciles: {
    kind: 'counter',
    name: 'stoker_reconciles_total',
    help: 'Looks that the controller took at an object, by how they ended.',
    labels: {
      kind: ['Pool', 'Model', 'Pin', 'ModelRevision', 'Slot'],
      outcome: ['done', 'again', 'conflict', 'failed'],
    },
  },
  instances: {
    kind: 'gauge',
    name: 'stoker_instances',
    help: 'Instances that agents report, by rung.',
    labels: { model: 'open', rung: instanceRungs },
  },
  scaleDecisions: {
    kind: 'counter',
    name: 'stoker_scale_decisions_total',
    help: 'Scaling decisions that differ from the one before.',
    labels: { model: 'open', action: ['Wake', 'Sleep', 'Hold', 'Keep'] },
  },
  planFindings: {
    kind: 'counter',
    name: 'stoker_plan_findings_total',
    help: 'Rules that a plan broke, so that it was not carried out. Anything but 0 is a mistake in Stoker.',
    labels: {
      rule: [
        'TwoAwake',
        'Unclaimed',
        'WrongPool',
        'UnknownEngine',
        'TooManyAsleep',
        'TooLargeAsleep',
        'TooManyAwake',
        'TooManySlots',
        'LoweredInTheDark',
        'BeyondMax',
        'BelowMin',
        'LoweredOnOldNews',
        'NoNumber',
      ],
    },
  },
  wakesHeldBack: {
    kind: 'counter',
    name: 'stoker_wakes_held_back_total',
    help: 'Plans that left a slot as it is because something woke there as often within an hour as Pool.spec.changesPerSlotHourMax allows. Only wakes that no request waits for are held back.',
    labels: { pool: 'open' },
  },
  weightDownloads: {
    kind: 'counter',
    name: 'stoker_weight_downloads_total',
    help: 'Downloads of a set of files to a volume, by how they ended. Failed ones are tried again.',
    labels: { outcome: ['Staged', 'Failed'] },
  },
  weightEvictions: {
    kind: 'counter',
    name: 'stoker_weight_evictions_total',
    help: 'Revisions whose files left a volume, so that others fit. Many of them say that the volume is too small.',
    labels: {},
  },
  slotKeyVersion: {
    kind: 'gauge',
    name: 'stoker_slot_key_version',
    help: 'Version of the slot keys that all slots move to.',
    labels: {},
  },
  slotKeyChanges: {
    kind: 'gauge',
    name: 'stoker_slot_key_changes',
    help: 'Slots that are on their way to another version of their key.',
    labels: {},
  },
  linkSessions: {
    kind: 'gauge',
    name: 'stoker_link_sessions',
    help: 'Sessions that are open at the hub.',
    labels: { role: ['agent', 'router'] },
  },
  processResources: {
    kind: 'gauge',
    name: 'stoker_process_resources',
    help: 'What keeps this process busy: timers that wait, open sockets, child processes. Steady growth is a leak.',
    labels: { kind: ['timer', 'socket', 'child'] },
  },
} as const satisfies Record<string, Row>;

/** Kinds of `processResources` by Node's own names. */
const resourceNames: Readonly<Record<string, readonly string[]>> = {
  timer: ['Timeout', 'Immediate'],
  socket: ['TCPSocketWrap', 'TLSWrap'],
  child: ['ProcessWrap'],
};

export type MetricKey = keyof typeof metricTable;
export type LabelsOf<Key extends MetricKey> = Readonly<Record<keyof (typeof metricTable)[Key]['labels'], string>>;

export interface Metrics {
  count<Key extends MetricKey>(key: Key, labels: LabelsOf<Key>, by?: number): void;
  set<Key extends MetricKey>(key: Key, labels: LabelsOf<Key>, value: number): void;
  observe<Key extends MetricKey>(key: Key, labels: LabelsOf<Key>, value: number): void;
  /** Forgets every series of a model, pool or slot that is gone. */
  forget<Key extends MetricKey>(key: Key, labels: LabelsOf<Key>): void;
  /** Prometheus text. */
  render(): Promise<string>;
  readonly contentType: string;
}

/** Builds a registry of its own with every row of the table, so that two parts in one process never share series. */
export function createMetrics(): Metrics {
  const registry = new Registry();
  const counters = new Map<MetricKey, Counter>();
  const gauges = new Map<MetricKey, Gauge>();
  const histograms = new Map<MetricKey, Histogram>();
  for (const key of Object.keys(metricTable) as MetricKey[]) {
    const row: Row = metricTable[key];
    const common = { name: row.name, help: row.help, labelNames: Object.keys(row.labels), registers: [registry] };
    if (row.kind === 'counter') counters.set(key, new Counter(common));
    else if (row.kind === 'gauge') gauges.set(key, new Gauge(common));
    else histograms.set(key, new Histogram({ ...common, ...(row.buckets ? { buckets: [...row.buckets] } : {}) }));
  }
  const measure = () => {
    const active = process.getActiveResourcesInfo();
    for (const [kind, names] of Object.entries(resourceNames))
      gauges.get('processResources')?.set({ kind }, active.filter((name) => names.includes(name)).length);
  };
  return {
    count: (key, labels, by = 1) => counters.get(key)?.inc(labels as Record<string, string>, by),
    set: (key, labels, value) => gauges.get(key)?.set(labels as Record<string, string>, value),
    observe: (key, labels, value) => histograms.get(key)?.observe(labels as Record<string, string>, value),
    forget: (key, labels) =>
      (counters.get(key) ?? gauges.get(key) ?? histograms.get(key))?.remove(labels as Record<string, string>),
    render() {
      measure();
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}
