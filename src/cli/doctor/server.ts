// Checks of the API server: its version, our kinds, the namespace. Only reads.
import { resourceDefinitions } from '../../api/crd.ts';
import { judgeKinds, judgeVersion } from '../../kube/server-check.ts';
import { type ClusterReader, textAt } from './cluster-reader.ts';
import { bad, type Finding, good, skipped } from './finding.ts';

const OPENAPI_PATH = '/openapi/v3/apis/stoker.dev/v1alpha1';

export async function checkVersion(reader: ClusterReader): Promise<Finding> {
  const version = await reader.one('/version');
  if (version.type !== 'found') return skipped('version', 'The server does not say its version.');
  const problem = judgeVersion(version.value);
  if (problem !== undefined) return bad('version', problem, 'Upgrade the cluster.');
  return good('version', `Kubernetes ${textAt(version.value, 'gitVersion')}.`);
}

/** The kinds are there, with every field that this release writes. */
export async function checkKinds(reader: ClusterReader): Promise<Finding> {
  const document = await reader.one(OPENAPI_PATH);
  if (document.type === 'refused') return skipped('kinds', document.sentence);
  const definitions = resourceDefinitions();
  const problem = judgeKinds(document.type === 'found' ? document.value : {}, definitions);
  if (problem === undefined) return good('kinds', `${definitions.map(({ kind }) => kind).join(', ')} are current.`);
  return bad('kinds', problem, 'helm upgrade --install stoker-crds charts/stoker-crds');
}

export async function checkNamespace(reader: ClusterReader): Promise<Finding> {
  const { namespace } = reader;
  const found = await reader.has(`/api/v1/namespaces/${encodeURIComponent(namespace)}`);
  if (found.type === 'found') return good('namespace', `${namespace} is there.`);
  if (found.type === 'refused') return skipped('namespace', found.sentence);
  return bad('namespace', `There is no namespace ${namespace}.`, 'Name the one of the release with --namespace.');
}
