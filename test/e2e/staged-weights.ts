// Weights that are downloaded on a real node: a source in the cluster that sends slowly, a volume on the node's disk, a stager
// Pod, and a cold request that is held until all of it has come. Leaves nothing behind.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Address, ask } from './callers.ts';
import type { Site } from './site.ts';

const SOURCE = 'weight-source';
const IMAGE = 'stoker.dev/stoker-llama:0.1.0';
const FILE = '/app/models/stoker-demo-1m.gguf';
/** On the node: below it one for a claim, and one that Pods mount as it is. */
const DISK = '/var/lib/stoker-e2e';
const CLAIM_FOLDER = `${DISK}/claim`;
export const WEIGHTS_FOLDER = `${DISK}/node`;
const USER = 65_532;
const SOURCE_PORT = 8000;
const PIECE_BYTES = 32_768;
const PIECE_EVERY_MS = 200;
const bytes = readFileSync(fileURLToPath(new URL('../../models/stoker-demo-1m.gguf', import.meta.url)));
const sha256 = createHash('sha256').update(bytes).digest('hex');

/** Knows ranges, and takes a dozen seconds for the file, so that somebody can watch it come. */
const SERVER = `
const file = require('node:fs').readFileSync('${FILE}');
require('node:http').createServer((request, response) => {
  const [, begin, end] = /bytes=(\\d+)-(\\d+)/.exec(request.headers.range ?? '') ?? [];
  const part = begin === undefined ? file : file.subarray(Number(begin), Number(end) + 1);
  const head = { 'content-length': part.length };
  if (begin !== undefined) head['content-range'] = 'bytes ' + begin + '-' + end + '/' + file.length;
  response.writeHead(begin === undefined ? 200 : 206, head);
  let sent = 0;
  const timer = setInterval(() => {
    response.write(part.subarray(sent, sent + ${PIECE_BYTES}));
    sent += ${PIECE_BYTES};
    if (sent >= part.length) { clearInterval(timer); response.end(); }
  }, ${PIECE_EVERY_MS});
  response.on('close', () => clearInterval(timer));
}).listen(${SOURCE_PORT});
process.on('SIGTERM', () => process.exit());
`;

const pod = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec,
});
const container = (command: readonly string[], rest: object = {}) => ({
  containers: [{ name: 'main', image: IMAGE, imagePullPolicy: 'Never', command, ...rest }],
  terminationGracePeriodSeconds: 1,
});

/** A folder of the node, made or taken away as root. */
const disk = (name: string, script: string) =>
  pod(name, {
    ...container(['sh', '-c', script], {
      securityContext: { runAsUser: 0 },
      volumeMounts: [{ name: 'disk', mountPath: '/disk' }],
    }),
    restartPolicy: 'Never',
    volumes: [{ name: 'disk', hostPath: { path: DISK, type: 'DirectoryOrCreate' } }],
  });

const source = [
  pod(SOURCE, container(['node', '-e', SERVER])),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: SOURCE },
    spec: { selector: { app: SOURCE }, ports: [{ port: SOURCE_PORT }] },
  },
];

function claim(namespace: string): object[] {
  const common = { accessModes: ['ReadWriteMany'], storageClassName: '' };
  const capacity = { storage: '64Mi' };
  return [
    {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: SOURCE },
      spec: { ...common, capacity, hostPath: { path: CLAIM_FOLDER }, claimRef: { namespace, name: 'weights' } },
    },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: 'weights' },
      spec: { ...common, volumeName: SOURCE, resources: { requests: capacity } },
    },
  ];
}

const url = `http://${SOURCE}.${SOURCE}.svc.cluster.local:${SOURCE_PORT}/tiny.gguf`;

function objects(name: string, weights: object): object[] {
  const frame = { apiVersion: 'stoker.dev/v1alpha1', metadata: { name } };
  const version = { weights: { http: { files: [{ url, sha256 }] } }, contextLength: 512 };
  return [
    { ...frame, kind: 'Pool', spec: { slots: { min: 0, max: 1 }, weights } },
    { ...frame, kind: 'Model', spec: { servedName: name, version, pools: [name], serving: { sleep: 'Never' } } },
  ];
}

export interface StagedWeights {
  /** Asks for a model whose files are nowhere yet. Resolves with what its condition said while they came. */
  bring(name: string, weights: object, address: Address): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** Makes the source, the folder and a claim named `weights`. */
export async function openStagedWeights(site: Site): Promise<StagedWeights> {
  const { namespace } = site;
  const apply = (where: string, list: readonly object[]) =>
    site.script(
      `kubectl -n ${where} apply -f - <<'OBJECTS'\n${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: list })}\nOBJECTS`,
    );
  const wait = (name: string, what: string) =>
    site.kubectl('-n', SOURCE, 'wait', `pod/${name}`, `--for=${what}`, '--timeout=60s');
  await site.kubectl('create', 'namespace', SOURCE);
  await apply(SOURCE, [
    ...source,
    disk(
      'make',
      `rm -rf /disk/claim /disk/node && mkdir /disk/claim /disk/node && chown ${USER}:${USER} /disk/claim /disk/node`,
    ),
  ]);
  await wait('make', 'jsonpath={.status.phase}=Succeeded');
  await wait(SOURCE, 'condition=Ready');
  await apply(namespace, claim(namespace));
  const messageOf = async (name: string) => {
    const { conditions = [] } = (await site.get('model', name)).status ?? {};
    return conditions.find(({ type }: { type: string }) => type === 'Ready')?.message ?? '';
  };
  return {
    async bring(name, weights, address) {
      await apply(namespace, objects(name, weights));
      // It is decided about once routers have been told of it.
      const isKnown = async () => (await site.get('model', name)).status?.scaleDecision !== undefined;
      await site.until(isKnown, `${name} to be known`);
      const said = new Set<string>();
      let isOver = false;
      const answer = ask(address, name).finally(() => {
        isOver = true;
      });
      await site.until(
        async () => void said.add(await messageOf(name)) === undefined && isOver,
        `an answer of ${name}`,
      );
      const { end, raw, wasHeld, text } = await answer;
      assert.equal(end, 'Done', raw);
      assert.ok(wasHeld, raw);
      assert.notEqual(text, '');
      await site.until(
        async () => (await site.list('pods', '-l', 'app.kubernetes.io/component=stager')).length === 0,
        'the stager to go',
      );
      return [...said];
    },
    async close() {
      const names = (await site.list('models')).filter(({ spec }) => spec.version.weights.http !== undefined);
      for (const { metadata } of names) {
        await site.kubectl('-n', namespace, 'delete', 'model', metadata.name, '--timeout=60s');
        await site.kubectl('-n', namespace, 'delete', 'pool', metadata.name, '--timeout=60s');
      }
      await site.kubectl('-n', namespace, 'delete', 'pvc', 'weights', '--timeout=60s');
      await site.kubectl('delete', 'pv', SOURCE, '--timeout=60s');
      await apply(SOURCE, [disk('clear', 'rm -rf /disk/claim /disk/node')]);
      await wait('clear', 'jsonpath={.status.phase}=Succeeded');
      await site.kubectl('delete', 'namespace', SOURCE, '--timeout=60s');
    },
  };
}
