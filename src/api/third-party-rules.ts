// What a Model may say about an engine that is not ours: its image, its arguments and the form of its weights. Each rule is
// written once as CEL and once as a function, like the others (rules.ts).
import {
  argumentPattern,
  folderEngines,
  isThirdParty,
  loadsFolder,
  refuseArguments,
  thirdPartyEngines,
} from './engine-arguments.ts';
import type { ModelSpec } from './model.ts';
import type { Rule } from './rule.ts';

const names = thirdPartyEngines.map((name) => `'${name}'`).join(', ');
const folderNames = folderEngines.map((name) => `'${name}'`).join(', ');

const flagsDiffer = "self.args.all(one, self.args.exists_one(other, other.split('=')[0] == one.split('=')[0]))";

export const thirdPartyRules: readonly Rule<ModelSpec>[] = [
  {
    at: ['spec', 'version', 'engine'],
    cel: `self.name in [${names}] || (!has(self.image) && !has(self.args))`,
    message: `image and args may be set only when name is one of ${thirdPartyEngines.join(', ')}`,
    holds: ({ version: { engine } }) =>
      isThirdParty(engine.name) || (engine.image === undefined && engine.args === undefined),
  },
  ...thirdPartyEngines.map(
    (name): Rule<ModelSpec> => ({
      at: ['spec', 'version', 'engine'],
      cel: `self.name != '${name}' || !has(self.args) || (self.args.all(one, one.matches('${argumentPattern(name)}')) && ${flagsDiffer})`,
      message: `each of args must be an argument that ${name} may be given, with a value of its form, and none may be there twice; docs/reference/engines.md lists them`,
      holds: ({ version: { engine } }) =>
        engine.name !== name || engine.args === undefined || refuseArguments(name, engine.args) === undefined,
    }),
  ),
  {
    at: ['spec', 'version'],
    cel: `!has(self.weights) || !has(self.weights.folder) || self.engine.name in [${folderNames}]`,
    message: 'weights.folder is for the engines Vllm and Sglang; others read weights.file',
    holds: ({ version: { engine, weights } }) => weights?.folder === undefined || loadsFolder(engine.name),
  },
  {
    at: ['spec', 'version'],
    cel: `!has(self.weights) || !has(self.weights.file) || !(self.engine.name in [${folderNames}])`,
    message: 'the engines Vllm and Sglang load weights.folder, not weights.file',
    holds: ({ version: { engine, weights } }) => weights?.file === undefined || !loadsFolder(engine.name),
  },
];
