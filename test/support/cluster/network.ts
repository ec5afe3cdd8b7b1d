// A network namespace for one cluster: a veth pair to this machine and nothing else. From here the node, its Pods and its
// Services can be reached; nothing in there can reach beyond this machine. Needs root.
import { existsSync } from 'node:fs';
import { CommandError, runCommand } from './shell.ts';

export interface ClusterNetwork {
  readonly hostAddress: string;
  readonly nodeAddress: string;
  /** The command that a program in the namespace is started with. It keeps the mounts, which `ip netns exec` would not. */
  readonly enter: readonly string[];
  stop(): Promise<void>;
}

export const POD_RANGE = '10.88.0.0/16';
const SERVICE_RANGE = '10.96.0.0/16';
const HOST_ADDRESS = '10.87.0.1';
const NODE_ADDRESS = '10.87.0.2';
/** One at a time on a machine, because of the ranges. Named after its owner, so that a leftover can be told and removed. */
const PREFIX = 'stoker-e2e-';

export async function startNetwork(): Promise<ClusterNetwork> {
  await removeLeftovers();
  const name = `${PREFIX}${process.pid}`;
  const link = linkOf(name);
  const enter = ['nsenter', `--net=/run/netns/${name}`];
  const steps = [
    `ip netns add ${name}`,
    `ip link add ${link} type veth peer name eth0 netns ${name}`,
    `ip addr add ${HOST_ADDRESS}/30 dev ${link}`,
    `ip link set ${link} up`,
    `ip -n ${name} link set lo up`,
    `ip -n ${name} addr add ${NODE_ADDRESS}/30 dev eth0`,
    `ip -n ${name} link set eth0 up`,
    `ip -n ${name} route add default via ${HOST_ADDRESS}`,
    `ip route add ${POD_RANGE} via ${NODE_ADDRESS}`,
    `ip route add ${SERVICE_RANGE} via ${NODE_ADDRESS}`,
    `${enter.join(' ')} sysctl -qw net.ipv4.ip_forward=1`,
  ];
  const stop = () => remove(name);
  try {
    for (const step of steps) await runCommand(step.split(' '));
  } catch (error) {
    await stop();
    throw error;
  }
  return { hostAddress: HOST_ADDRESS, nodeAddress: NODE_ADDRESS, enter, stop };
}

/** Interface names have 15 characters at most. */
function linkOf(name: string): string {
  return `ste${name.slice(PREFIX.length)}`;
}

/** Routes go with the link. */
async function remove(name: string): Promise<void> {
  for (const step of [`ip link del ${linkOf(name)}`, `ip netns del ${name}`]) {
    await runCommand(step.split(' ')).catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
    });
  }
}

/** Of runs that were killed before they could clean up. */
async function removeLeftovers(): Promise<void> {
  const names = (await runCommand(['ip', 'netns', 'list'])).split('\n').map((line) => line.split(' ')[0] ?? '');
  for (const name of names.filter((one) => one.startsWith(PREFIX))) {
    const owner = Number(name.slice(PREFIX.length));
    if (existsSync(`/proc/${owner}`)) throw new Error(`Another test cluster runs on this machine (process ${owner}).`);
    await remove(name);
  }
}
