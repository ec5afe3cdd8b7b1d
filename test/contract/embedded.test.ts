// The cluster contract, held by the embedded API server.
import { startEmbeddedApi } from '../support/embedded-api.ts';
import { clusterContract } from './cluster-contract.ts';

clusterContract('the embedded API server', async () => {
  const api = await startEmbeddedApi();
  return { connection: api.connectionOf('controller'), namespace: 'default', close: () => api.close() };
});
