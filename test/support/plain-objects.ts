// Objects of our kinds as people write them, with little in them, and what a judged one is. No verdicts: those are in the
// judged-… files beside.

export const sha256 = 'a'.repeat(64);

export function pool(spec: object = {}, name = 'default') {
  return { apiVersion: 'stoker.dev/v1alpha1', kind: 'Pool', metadata: { name }, spec };
}

export function model(spec: object = {}, name = 'demo') {
  const version = { weights: { file: { path: 'a.gguf' } } };
  return {
    apiVersion: 'stoker.dev/v1alpha1',
    kind: 'Model',
    metadata: { name },
    spec: { servedName: 'demo', version, ...spec },
  };
}

export function revision(spec: object = {}, name = 'demo-0123456789') {
  const whole = {
    modelName: 'demo',
    digest: `v1:sha256:${sha256}`,
    weights: { path: '/a.gguf', sizeBytes: 3, sha256 },
    engine: { name: 'Llama', build: 'builtin:1' },
    contextLength: 1024,
    ...spec,
  };
  return { apiVersion: 'stoker.dev/v1alpha1', kind: 'ModelRevision', metadata: { name }, spec: whole };
}

export interface JudgedObject {
  readonly name: string;
  readonly object: { readonly kind: string };
  readonly old?: object;
  /** `path: sentence` of each problem. */
  readonly problems: readonly string[];
}

export const simulated = { profile: 'Size7B' };
export const simulatedVersion = { weights: { simulated }, engine: { name: 'Sim' } };

/** What is said of a name that cannot be one. */
export const nameSentence = (charsMax: number) =>
  `: metadata.name must have at most ${charsMax} characters: lower-case letters, digits and -, with a letter or digit at both ends`;
