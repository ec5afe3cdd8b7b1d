// A shelf of weights in the cluster: a claim that stagers write to, and a Pod beside it that serves the files over plain HTTP,
// as an internal store would. The files are what the imitated engine takes for weights.
import { createHash } from 'node:crypto';

const NAME = 'shelf';
const PORT = 8088;
const FOLDER = '/shelf';
export const CLAIM = 'weights';

const files: Readonly<Record<string, string>> = {
  'config.json': JSON.stringify({ architectures: ['LlamaForCausalLM'], max_position_embeddings: 4096 }),
  'model.safetensors': 'not really weights',
  'tokenizer.json': '{}',
};

const serve = `const files = JSON.parse(process.env.FILES);
require('node:fs').chmodSync('${FOLDER}', 0o1777);
require('node:http').createServer((request, response) => {
  const text = files[request.url.slice(1)];
  if (text === undefined) return response.writeHead(404).end();
  response.writeHead(200, { 'content-length': Buffer.byteLength(text) }).end(request.method === 'HEAD' ? '' : text);
}).listen(${PORT});
process.on('SIGTERM', () => process.exit(0));`;

/** `volumePath` is a folder of the node for the claim; undefined where a cluster has volumes by itself. */
export function renderShelf(image: string, volumePath: string | undefined): object[] {
  const labels = { app: NAME };
  const storage = { storage: '64Mi' };
  const accessModes = ['ReadWriteOnce'];
  const hostPath = { path: volumePath, type: 'DirectoryOrCreate' };
  const volume = {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'stoker-e2e-shelf' },
    spec: { capacity: storage, accessModes, hostPath, storageClassName: '', persistentVolumeReclaimPolicy: 'Retain' },
  };
  const claim = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: CLAIM },
    spec: {
      accessModes,
      resources: { requests: storage },
      ...(volumePath === undefined ? {} : { storageClassName: '', volumeName: volume.metadata.name }),
    },
  };
  const container = {
    name: NAME,
    image,
    imagePullPolicy: 'Never',
    command: ['node', '-e', serve],
    env: [{ name: 'FILES', value: JSON.stringify(files) }],
    ports: [{ containerPort: PORT }],
    readinessProbe: { tcpSocket: { port: PORT }, periodSeconds: 1 },
    volumeMounts: [{ name: CLAIM, mountPath: FOLDER }],
    securityContext: { runAsUser: 0 },
  };
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: NAME, labels },
    spec: { containers: [container], volumes: [{ name: CLAIM, persistentVolumeClaim: { claimName: CLAIM } }] },
  };
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: NAME },
    spec: { selector: labels, ports: [{ port: PORT }] },
  };
  return [...(volumePath === undefined ? [] : [volume]), claim, pod, service];
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
