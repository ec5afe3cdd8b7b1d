// `stoker doctor`: looks at a cluster, or at the Stoker of this folder, and says what to fix. Changes nothing. Exit code 1
// when something fails; warnings alone end with 0.
import type { Clock } from '../../lib/clock.ts';
import { type CommandIo, type OutputFormat, writeJson } from '../io.ts';
import { NoAnswerError, type ObjectApi } from '../object-api.ts';
import { checkCapacity, checkStorage } from './capacity.ts';
import { type ClusterReader, createClusterReader } from './cluster-reader.ts';
import { checkDataPath } from './data-path.ts';
import { bad, type Finding } from './finding.ts';
import { checkLocalParts } from './local.ts';
import { checkObjects } from './objects.ts';
import { checkDeployments, checkLease, checkLink, checkReferences, readDeployments } from './parts.ts';
import { checkControllerRights, checkOwnRights } from './rights.ts';
import { checkKinds, checkNamespace, checkVersion } from './server.ts';

export interface DoctorOptions {
  readonly output: OutputFormat;
  readonly clock: Clock;
}

export async function examine(io: CommandIo, api: ObjectApi, { output, clock }: DoctorOptions): Promise<void> {
  const findings = await findAll(io, createClusterReader(api), clock);
  const failures = findings.filter(({ state }) => state === 'fail').length;
  if (output === 'json') writeJson(io, { namespace: api.namespace, ok: failures === 0, findings });
  else io.write(renderFindings(findings));
  if (failures > 0) io.exitWith(1);
}

async function findAll(io: CommandIo, reader: ClusterReader, clock: Clock): Promise<Finding[]> {
  try {
    const server = [await checkVersion(reader), await checkKinds(reader)];
    const isCluster = (await reader.one('/apis/apps/v1')).type !== 'absent';
    return [...server, ...(await (isCluster ? findOnCluster : findLocally)({ io, reader, clock }))];
  } catch (error) {
    if (!(error instanceof NoAnswerError)) throw error;
    return [bad('server', error.message, 'Check the address, the credentials and whether it runs.')];
  }
}

interface Examination {
  readonly io: CommandIo;
  readonly reader: ClusterReader;
  readonly clock: Clock;
}

async function findOnCluster({ io, reader, clock }: Examination): Promise<Finding[]> {
  const [pools, models] = await readObjects(reader);
  const deployments = await readDeployments(reader);
  const found = deployments.type === 'found' ? deployments.value : [];
  return [
    await checkNamespace(reader),
    await checkControllerRights(reader),
    await checkOwnRights(reader),
    ...(await checkDeployments(reader, deployments)),
    await checkLease(reader, clock, io.signal),
    await checkLink(reader),
    ...(await checkReferences(reader, found, models.type === 'found' ? models.value : [])),
    ...(await checkCapacity(reader, pools)),
    ...(await checkStorage(reader, pools)),
    ...checkObjects('Pool', pools),
    ...checkObjects('Model', models),
    await checkDataPath(reader),
  ];
}

/** The embedded API has no Deployments, nodes or storage: what there is are the parts and the objects. */
async function findLocally({ io, reader, clock }: Examination): Promise<Finding[]> {
  const [pools, models] = await readObjects(reader);
  return [
    ...(await checkLocalParts(io)),
    await checkLease(reader, clock, io.signal),
    ...checkObjects('Pool', pools),
    ...checkObjects('Model', models),
  ];
}

async function readObjects(reader: ClusterReader) {
  const root = `/apis/stoker.dev/v1alpha1/namespaces/${reader.namespace}`;
  return [await reader.list(`${root}/pools`), await reader.list(`${root}/models`)] as const;
}

export function renderFindings(findings: readonly Finding[]): string {
  const lines = findings.map(({ state, check, message, remedy }) => {
    const line = `${state.padEnd(5)} ${check}: ${message}\n`;
    return remedy === undefined ? line : `${line}      ${remedy}\n`;
  });
  const count = (state: Finding['state']) => findings.filter((finding) => finding.state === state).length;
  const skips = count('skip') === 0 ? '' : `, ${count('skip')} not looked at`;
  return `${lines.join('')}\n${count('ok')} ok, ${count('warn')} warnings, ${count('fail')} failures${skips}\n`;
}
