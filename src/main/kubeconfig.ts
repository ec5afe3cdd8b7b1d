// Writes and reads the kubeconfigs of local mode: everything inlined, one cluster, one user, one context.
import { parse, stringify } from 'yaml';
import { z } from 'zod';

interface KubeconfigFacts {
  readonly url: string;
  readonly caPem: string;
  readonly user: string;
  readonly token: string;
}

export function renderKubeconfig({ url, caPem, user, token }: KubeconfigFacts): string {
  const authority = Buffer.from(caPem).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'stoker',
    clusters: [{ name: 'stoker', cluster: { server: url, 'certificate-authority-data': authority } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'stoker', context: { cluster: 'stoker', user, namespace: 'default' } }],
  });
}

const inlined = z.object({
  clusters: z.tuple([
    z.object({ cluster: z.object({ server: z.string(), 'certificate-authority-data': z.string() }) }),
  ]),
  users: z.tuple([z.object({ user: z.object({ token: z.string() }) })]),
});

/** Reads what renderKubeconfig wrote. Other kubeconfigs are read by src/kube. */
export function connectionOfKubeconfig(text: string): { url: string; caPem: string; token: string } {
  const { clusters, users } = inlined.parse(parse(text));
  const { cluster } = clusters[0];
  return {
    url: cluster.server,
    caPem: Buffer.from(cluster['certificate-authority-data'], 'base64').toString('utf8'),
    token: users[0].user.token,
  };
}
