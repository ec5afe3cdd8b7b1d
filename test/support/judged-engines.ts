// Models and revisions of engines that are not ours, good and bad, and what is said of the bad ones.
import { type JudgedObject, model, revision, sha256 } from './plain-objects.ts';

const image = `registry.example.com/vllm-openai@sha256:${sha256}`;
const folder = { path: 'big' };
const vllm = (engine: object = {}, version: object = {}) =>
  model({ version: { weights: { folder }, engine: { name: 'Vllm', ...engine }, ...version } });
const vllmPinned = (engine: object) =>
  model({
    pinPolicy: 'RequireDigest',
    version: { weights: { folder: { ...folder, sha256 } }, engine: { name: 'Vllm', ...engine } },
  });
const argsSentence = (name: string) =>
  `spec.version.engine: each of args must be an argument that ${name} may be given, with a value of its form, and none may be there twice; docs/reference/engines.md lists them`;

export const thirdPartyObjects: readonly JudgedObject[] = [
  {
    name: 'an engine from its image',
    object: vllm({ image, args: ['--dtype=bfloat16', '--enforce-eager'] }),
    problems: [],
  },
  { name: 'an engine from an image by tag', object: vllm({ image: 'vllm/vllm-openai:v0.11.0' }), problems: [] },
  {
    name: 'an image without tag or digest',
    object: vllm({ image: 'registry:5000/vllm' }),
    problems: [
      'spec.version.engine.image: must be an image by tag or by digest, for example vllm/vllm-openai:TAG, or registry.example.com/vllm/vllm-openai@sha256:DIGEST with 64 hexadecimal digits, but is "registry:5000/vllm"',
    ],
  },
  {
    name: 'an image by tag where digests are required',
    object: vllmPinned({ image: 'vllm/vllm-openai:v0.11.0' }),
    problems: ['spec: version.engine.image must end in @sha256:DIGEST, because pinPolicy is RequireDigest'],
  },
  { name: 'an image by digest where digests are required', object: vllmPinned({ image }), problems: [] },
  {
    name: 'a revision of an image by tag',
    object: revision({ engine: { name: 'Vllm', build: 'image@sha256:1', image: 'vllm/vllm-openai:v0.11.0' } }),
    problems: [
      'spec.engine.image: must be an image by digest, for example registry.example.com/vllm/vllm-openai@sha256:DIGEST with 64 hexadecimal digits, but is "vllm/vllm-openai:v0.11.0"',
    ],
  },
  { name: 'an engine as it is installed', object: vllm(), problems: [] },
  {
    name: 'llama-server with a file',
    object: model({
      version: { weights: { file: { path: 'a.gguf' } }, engine: { name: 'LlamaServer', args: ['--n-gpu-layers=all'] } },
    }),
    problems: [],
  },
  {
    name: 'an image of the built-in engine',
    object: model({ version: { weights: { file: { path: 'a' } }, engine: { image } } }),
    problems: ['spec.version.engine: image and args may be set only when name is one of Vllm, Sglang, LlamaServer'],
  },
  { name: 'an argument that opens an address', object: vllm({ args: ['--host=0'] }), problems: [argsSentence('Vllm')] },
  { name: 'an argument twice', object: vllm({ args: ['--seed=1', '--seed=2'] }), problems: [argsSentence('Vllm')] },
  {
    name: 'an argument of another engine',
    object: vllm({ name: 'Sglang', args: ['--enforce-eager'] }),
    problems: [argsSentence('Sglang')],
  },
  {
    name: 'an argument of vLLM for llama-server',
    object: model({
      version: { weights: { file: { path: 'a.gguf' } }, engine: { name: 'LlamaServer', args: ['--enforce-eager'] } },
    }),
    problems: [argsSentence('LlamaServer')],
  },
  {
    name: 'a folder for the built-in engine',
    object: model({ version: { weights: { folder } } }),
    problems: ['spec.version: weights.folder is for the engines Vllm and Sglang; others read weights.file'],
  },
  {
    name: 'a file for vLLM',
    object: vllm({}, { weights: { file: { path: 'a.gguf' } } }),
    problems: ['spec.version: the engines Vllm and Sglang load weights.folder, not weights.file'],
  },
  {
    name: 'a folder without its digest',
    object: model({ pinPolicy: 'RequireDigest', version: { weights: { folder }, engine: { name: 'Vllm' } } }),
    problems: ['spec: version.weights.folder.sha256 must be set, because pinPolicy is RequireDigest'],
  },
  {
    name: 'a revision of an image',
    object: revision({
      engine: { name: 'Vllm', build: `image@sha256:${sha256}`, image, args: ['--dtype=half'] },
      weights: { path: '/big', sizeBytes: 3, sha256, architecture: 'LlamaForCausalLM' },
    }),
    problems: [],
  },
];
