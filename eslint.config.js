// Only what needs types or counts lines: Biome does the rest (docs/adr/0002-checks.md).
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** node:test runs and reports these itself; the promise they return needs no one to wait for it. */
const runnerCalls = ['after', 'afterEach', 'before', 'beforeEach', 'describe', 'it', 'suite', 'test'];

const noFloatingPromises = [
  'error',
  { allowForKnownSafeCalls: [{ from: 'package', package: 'node:test', name: runnerCalls }] },
];

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', '.cache/', '.stoker/', 'bin/', '**/*.js', '**/*.cjs'] },
  {
    files: ['src/**/*.ts', 'scripts/**/*.ts', 'test/**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    plugins: { '@typescript-eslint': tseslint.plugin },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: { '@typescript-eslint/no-floating-promises': noFloatingPromises },
  },
  {
    files: ['src/**/*.ts', 'scripts/**/*.ts'],
    rules: {
      '@typescript-eslint/await-thenable': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/no-unsafe-argument': 'error',
      '@typescript-eslint/no-unsafe-assignment': 'error',
      '@typescript-eslint/no-unsafe-call': 'error',
      '@typescript-eslint/no-unsafe-member-access': 'error',
      '@typescript-eslint/no-unsafe-return': 'error',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
    },
  },
);
