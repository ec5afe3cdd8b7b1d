// A shelf of weights in the cluster: a claim that stagers write to, and a Pod beside it that serves the files over plain HTTP,
// as an internal store would. The files are what the imitated engine takes for weights.
import { createHash } from 'node:crypto';

const NAME = 'shelf';
const PORT = 8088;
const FOLDER = '/shelf';
export const CLAIM = 'weights';
/** For what engines compile. */
export const CACHE_CLAIM = 'compiled';

const files: Readonly<Record<string, string>> = {
  'config.json': JSON.stringify({ architectures: ['LlamaForCausalLM'], max_position_embeddings: 4096 }),
  'model.safetensors': 'not really weights',
  'tokenizer.json': '{}',
};

const CACHE_FOLDER = '/compiled';
const serve = `const files = JSON.parse(process.env.FILES);
for (const folder of ['${FOLDER}', '${CACHE_FOLDER}']) require('node:fs').chmodSync(folder, 0o1777);
require('node:http').createServer((request, response) => {
  const text = files[request.url.slice(1)];
  if (text === undefined) return response.writeHead(404).end();
  response.writeHead(200, { 'content-length': Buffer.byteLength(text) }).end(request.method === 'HEAD' ? '' : text);
}).listen(${PORT});
process.on('SIGTERM', () => process.exit(0));`;

/** `volumePath` is a folder of the node for the claims; undefined where a cluster has volumes by itself. */
export function renderShelf(image: string, volumePath: string | undefined): object[] {
  const labels = { app: NAME };
  const container = {
    name: NAME,
    image,
    imagePullPolicy: 'Never',
    command: ['node', '-e', serve],
    env: [{ name: 'FILES', value: JSON.stringify(files) }],
    ports: [{ containerPort: PORT }],
    readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
    volumeMounts: [
      { name: CLAIM, mountPath: FOLDER },
      { name: CACHE_CLAIM, mountPath: CACHE_FOLDER },
    ],
    securityContext: { runAsUser: 0 },
  };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: NAME, labels },
    spec: {
      containers: [container],
      volumes: [CLAIM, CACHE_CLAIM].map((claimName) => ({ name: claimName, persistentVolumeClaim: { claimName } })),
    },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: NAME },
    spec: { selector: labels, ports: [{ port: PORT }] },
  };
  return [...renderClaim(CLAIM, volumePath), ...renderClaim(CACHE_CLAIM, volumePath), pod, service];
}

/** With the volume for it, where the cluster has none by itself. */
function renderClaim(name: string, volumePath: string | undefined): object[] {
  const storage = { storage: '64Mi' };
  const accessModes = ['ReadWriteOnce'];
  const hostPath = { path: `${volumePath}/${name}`, type: 'DirectoryOrCreate' };
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: `stoker-e2e-${name}` },
    spec: { capacity: storage, accessModes, hostPath, storageClassName: '', persistentVolumeReclaimPolicy: 'Retain' },
  };
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name },
    spec: {
      accessModes,
      resources: { requests: storage },
      ...(volumePath === undefined ? {} : { storageClassName: '', volumeName: volume.metadata.name }),
    },
  };
  return [...(volumePath === undefined ? [] : [volume]), claim];
}

/** As a Model names them. */
export function shelfFiles(namespace: string): object[] {
  return Object.entries(files).map(([path, text]) => ({
    url: `http://${NAME}.${namespace}.svc.cluster.local:${PORT}/${path}`,
    path,
    sizeBytes: text.length,
    sha256: createHash('sha256').update(text).digest('hex'),
  }));
}
