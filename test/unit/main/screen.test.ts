// The screen of `stoker up`: what a person needs to go on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { renderClusterScreen, renderScreen } from '../../../src/main/screen.ts';

const facts = {
  openai: 'http://127.0.0.1:8080',
  status: 'http://127.0.0.1:8081',
  kubernetes: 'https://127.0.0.1:8082',
  models: [],
  dataDir: '.stoker',
  keys: { file: undefined, madeKey: undefined },
  isReady: true,
  startMs: 1234,
};

test('shows the addresses, every model with its rung, and a line to paste for the first of them', () => {
  const models = [
    { name: 'demo', servedName: 'team/demo', rung: 'Absent' },
    { name: 'a-longer-name', servedName: 'x', rung: 'Staged' },
  ];
  const screen = renderScreen({ ...facts, models });
  assert.match(screen, /^\nStoker is up \(1\.2 s\)\.$/m);
  assert.match(screen, /OpenAI API +http:\/\/127\.0\.0\.1:8080\/v1$/m);
  assert.match(screen, /export KUBECONFIG=\.stoker\/kubeconfig; kubectl get models,pods/);
  assert.match(screen, /MODEL {10}RUNG\n {2}demo {11}Absent\n {2}a-longer-name {2}Staged\n/);
  const [, body] = /curl -N \S+\/v1\/chat\/completions .*-d '(.*)'$/m.exec(screen) ?? [];
  assert.equal(JSON.parse(body ?? '').model, 'team/demo');
  assert.equal(JSON.parse(body ?? '').stream, true);
  assert.match(screen, /Ctrl-C stops everything\.\n\n$/);
});

test('without a model it says how to add one', () => {
  const screen = renderScreen(facts);
  assert.match(screen, /There is no model yet\./);
  assert.match(screen, /stoker model add NAME/);
  assert.doesNotMatch(screen, /curl/);
});

test('says when requests cannot be served yet', () => {
  assert.doesNotMatch(renderScreen(facts), /refuses requests/);
  assert.match(renderScreen({ ...facts, isReady: false }), /refuses requests until then: see \.stoker\/logs\//);
});

test('a key that was made is shown once, and pasted with the line', () => {
  const models = [{ name: 'demo', servedName: 'demo', rung: 'Absent' }];
  const made = renderScreen({ ...facts, models, keys: { file: '/d/api-keys', madeKey: 'k1' } });
  assert.match(made, /API key +k1 +\(shown this once; kept in \/d\/api-keys\)/);
  assert.match(made, /curl .*-H 'authorization: Bearer k1'/);
  const kept = renderScreen({ ...facts, models, keys: { file: '/d/api-keys', madeKey: undefined } });
  assert.match(kept, /callers need one of those in \/d\/api-keys/);
  assert.match(kept, /Bearer KEY'/);
});

test('without controller and router it prints the lines that start them', () => {
  const secretFile = (name: string) => `/data/private/${name}`;
  const screen = renderClusterScreen({ ...facts, linkPort: 9083, secretFile });
  assert.match(screen, /without a controller and a router/);
  assert.match(
    screen,
    /npx stoker controller --kubeconfig \/data\/private\/controller\.kubeconfig .*--link-port 9083 --admin-port 8084$/m,
  );
  assert.match(
    screen,
    /npx stoker router --link-url ws:\/\/127\.0\.0\.1:9083 --link-token-file \/data\/private\/router-token$/m,
  );
});
