// Who may import whom. One row per folder of src/; what a row does not list is refused.
// Must never allow a cycle, and must never let a foreign client leak out of the one folder that owns it.

/** Folder of src/ -> the other folders of src/ it may import. */
const mayImport = {
  lib: [],
  api: ['lib'],
  core: ['api', 'lib'],
  ports: ['api', 'lib'],
  kube: ['ports', 'api', 'lib', 'telemetry'],
  local: ['ports', 'api', 'lib', 'telemetry'],
  link: ['ports', 'api', 'lib', 'telemetry'],
  engine: ['ports', 'api', 'lib', 'telemetry'],
  store: ['ports', 'api', 'lib', 'telemetry'],
  telemetry: ['lib', 'api'],
  stager: ['engine', 'ports', 'api', 'lib', 'telemetry'],
  agent: ['core', 'ports', 'link', 'engine', 'api', 'lib', 'telemetry'],
  controller: ['core', 'ports', 'link', 'api', 'lib', 'telemetry'],
  router: ['core', 'ports', 'link', 'api', 'lib', 'telemetry'],
  sim: ['core', 'api', 'lib'],
  cli: ['core', 'api', 'lib', 'kube', 'sim'],
  console: ['api'],
  main: ['[^/]+'],
};

/** These folders may use the shapes of api, not its code. */
const typesOnly = ['telemetry', 'console'];

/** Package (as a pattern) -> the one place that may import it. */
const owners = [
  { name: 'kubernetes-client', packages: '@kubernetes/client-node', folder: '^src/kube/' },
  { name: 'node-llama-cpp', packages: 'node-llama-cpp', folder: '^src/engine/llama/' },
  { name: 'x509', packages: '@peculiar/x509|reflect-metadata', folder: '^src/link/' },
  { name: 'telemetry-clients', packages: 'prom-client|pino|@opentelemetry/[^/]+', folder: '^src/telemetry/' },
];

const folders = Object.keys(mayImport).join('|');
const npmPackage = (packages) => `(^|node_modules/)(${packages})(/|$)`;

function folderRule(folder) {
  const allowed = [folder, ...mayImport[folder]].join('|');
  return {
    name: `${folder}-imports`,
    comment: `src/${folder} may import only: ${mayImport[folder].join(', ') || 'nothing of ours'}.`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: { path: '^src/', pathNot: `^src/(${allowed})/` },
  };
}

function typesOnlyRule(folder) {
  return {
    name: `${folder}-api-types-only`,
    comment: `src/${folder} may import only types from src/api: use "import type".`,
    severity: 'error',
    from: { path: `^src/${folder}/` },
    to: { path: '^src/api/', dependencyTypesNot: ['type-only'] },
  };
}

function ownerRule({ name, packages, folder }) {
  return {
    name: `${name}-owner`,
    comment: `Only ${folder.slice(1)} may import ${packages}: go through its port instead.`,
    severity: 'error',
    from: { path: '^src/', pathNot: folder },
    to: { path: npmPackage(packages) },
  };
}

module.exports = {
  forbidden: [
    ...Object.keys(mayImport).map(folderRule),
    ...typesOnly.map(typesOnlyRule),
    ...owners.map(ownerRule),
    {
      name: 'known-folders',
      comment: 'Every module of src lives in a folder of the table in .dependency-cruiser.cjs: move it, or add a row.',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: `^src/(${folders})/` },
    },
    {
      name: 'known-folders-only',
      comment: 'Every module of src lives in a folder of the table in .dependency-cruiser.cjs: move it, or add a row.',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${folders})/` },
      to: {},
    },
    {
      name: 'src-stands-alone',
      comment: 'src may not import tests, scripts or anything else of this repository outside src.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['local', 'localmodule'], pathNot: '^src/' },
    },
    {
      name: 'core-no-node-modules',
      comment:
        'src/core decides and does no I/O: of the node: modules only node:crypto (hashing). Take input as a value.',
      severity: 'error',
      from: { path: '^src/core/' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'core-and-lib-no-packages',
      comment: 'src/core and src/lib import no npm package: parse with zod in src/api, do I/O in an adapter.',
      severity: 'error',
      from: { path: '^src/(core|lib)/' },
      to: { path: 'node_modules/' },
    },
    {
      name: 'no-circular',
      comment: 'A cycle: move what both need below both, or pass it in.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'This import leads nowhere: check the path and its .ts ending.',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'declared-dependencies',
      comment: 'src may import only packages listed under dependencies in package.json.',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: 'specify',
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['node', 'import', 'require', 'default', 'types'],
      extensions: ['.ts', '.js', '.cjs', '.mjs', '.json', '.d.ts'],
    },
  },
};
