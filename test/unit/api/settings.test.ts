// Process settings: flags go before variables, variables before defaults, and a bad value names itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSettings, SettingError } from '../../../src/api/settings.ts';

test('the flag goes before the variable and the variable before the default', () => {
  assert.equal(parseSettings('up', {}, {}).port, 8080);
  assert.equal(parseSettings('up', {}, { STOKER_PORT: '9000' }).port, 9000);
  assert.equal(parseSettings('up', { port: '0' }, { STOKER_PORT: '9000' }).port, 0);
});

test('an empty variable counts as unset', () => {
  assert.equal(parseSettings('up', {}, { STOKER_DATA_DIR: '' }).dataDir, '.stoker');
});

test('a default may differ by process, and a process gets only its own settings', () => {
  assert.equal(parseSettings('agent', {}, {}).adminPort, 8001);
  assert.equal(parseSettings('router', {}, {}).adminPort, 8081);
  assert.equal(parseSettings('router', {}, { STOKER_API_PORT: '1' }).apiPort, undefined);
});

test('a switch is true by flag, and true or false by variable', () => {
  assert.equal(parseSettings('up', { allowCommands: true }, {}).allowCommands, true);
  assert.equal(parseSettings('up', {}, { STOKER_ALLOW_COMMANDS: 'false' }).allowCommands, false);
  assert.equal(parseSettings('up', {}, { STOKER_CLUSTER_ONLY: 'true' }).clusterOnly, true);
});

test('a bad value is refused with where it came from and what it is for', () => {
  assert.throws(
    () => parseSettings('up', { port: 'ninety' }, {}),
    (error) => {
      assert.ok(error instanceof SettingError);
      assert.match(error.message, /--port cannot be "ninety".*Port of the OpenAI API/);
      return true;
    },
  );
  assert.throws(() => parseSettings('up', {}, { STOKER_LINK_PORT: '70000' }), /STOKER_LINK_PORT cannot be "70000"/);
});

test('a list of ports is read, and what is none is refused', () => {
  const ports = (text: string) => parseSettings('controller', {}, { STOKER_DNS_PORTS: text }).dnsPorts;
  assert.deepEqual(parseSettings('controller', {}, {}).dnsPorts, [53]);
  assert.deepEqual(ports('53,5353'), [53, 5353]);
  for (const bad of ['0', '53,', '70000', 'dns', '53 5353']) assert.throws(() => ports(bad), /ports/, bad);
});

test('peers of a NetworkPolicy are read from JSON, and what is none is refused in a sentence', () => {
  const dnsTo = (text: string) => parseSettings('controller', {}, { STOKER_DNS_TO: text }).dnsTo;
  assert.deepEqual(parseSettings('controller', {}, {}).dnsTo, [{ namespaceSelector: {} }]);
  const peers = [{ podSelector: { matchLabels: { a: 'b' } } }, { ipBlock: { cidr: '169.254.20.10/32' } }];
  assert.deepEqual(dnsTo(JSON.stringify(peers)), peers);
  assert.deepEqual(dnsTo('[]'), []);
  for (const bad of ['nonsense', '{}', '[{}]', '[{"ipBlock":"10.0.0.0/8"}]', '[{"pods":{}}]']) {
    assert.throws(() => dnsTo(bad), /STOKER_DNS_TO cannot be .* it must be the JSON of a list of peers/, bad);
  }
});
