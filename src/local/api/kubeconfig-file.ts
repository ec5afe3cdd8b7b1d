// The kubeconfig of the person at this machine: everything inlined, so that the one file is enough. Mode 0600.
import { stringify } from 'yaml';
import { writePrivateFile } from './private-file.ts';

export function writeKubeconfig(
  path: string,
  { url, caPem, token }: { url: string; caPem: string; token: string },
): void {
  const authority = Buffer.from(caPem).toString('base64');
  const kubeconfig = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'stoker',
    clusters: [{ name: 'stoker', cluster: { server: url, 'certificate-authority-data': authority } }],
    users: [{ name: 'person', user: { token } }],
    contexts: [{ name: 'stoker', context: { cluster: 'stoker', user: 'person', namespace: 'default' } }],
  };
  writePrivateFile(path, stringify(kubeconfig, { lineWidth: 0 }));
}
