// The cluster contract, held by a real kube-apiserver: the same cases as the embedded one.
import { clusterContract } from '../contract/cluster-contract.ts';
import { openTestCluster } from '../support/cluster/test-cluster.ts';

clusterContract('a real kube-apiserver', async () => {
  const cluster = await openTestCluster();
  const namespace = await cluster.makeNamespace('contract');
  return { connection: cluster.connection, namespace, close: () => cluster.close() };
});
