// The kinds that the embedded API server serves beside those of Kubernetes: ours, from the same definitions as the CRDs
// of the chart. Adds nothing to them, so that both servers give the same verdicts.
import { resourceDefinitions } from '../api/crd.ts';
import type { ResourceDefinition } from '../local/api/index.ts';

export function localDefinitions(): readonly ResourceDefinition[] {
  return resourceDefinitions();
}
