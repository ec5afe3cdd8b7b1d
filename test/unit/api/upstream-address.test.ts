import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isLoopbackAddress, isRefusedAddress, literalHost } from '../../../src/api/upstream-address.ts';

test('link-local, multicast and metadata addresses are refused in every notation', () => {
  const refused = [
    '169.254.169.254',
    '169.254.0.1',
    '0.0.0.0',
    '0.1.2.3',
    '224.0.0.1',
    '255.255.255.255',
    '100.100.100.200',
    '192.0.0.192',
    '168.63.129.16',
    '::',
    'fe80::1',
    'fe80::1%eth0',
    'febf::1',
    'ff02::1',
    'fd00:ec2::254',
    'fd00:0ec2:0:0::254',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '64:ff9b::a9fe:a9fe',
    'no address',
    '1.2.3',
    '256.1.1.1',
    '',
  ];
  for (const address of refused) assert.equal(isRefusedAddress(address), true, address);
});

test('others are not, private ones neither: a model server of the house is an upstream, too', () => {
  const fine = ['127.0.0.1', '10.0.0.1', '192.168.1.1', '100.100.100.201', '169.253.255.255', '8.8.8.8', '223.1.1.1'];
  for (const address of [...fine, '::1', 'fd00::1', '2001:db8::1', '::ffff:10.0.0.1', 'fec0::1']) {
    assert.equal(isRefusedAddress(address), false, address);
  }
});

test('loopback is told from the rest', () => {
  for (const address of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1']) {
    assert.equal(isLoopbackAddress(address), true, address);
  }
  for (const address of ['128.0.0.1', '::2', '::', '10.0.0.1', 'localhost']) {
    assert.equal(isLoopbackAddress(address), false, address);
  }
});

test('the URL parser unmasks addresses that are written as numbers', () => {
  assert.equal(literalHost(new URL('https://2852039166/v1')), '169.254.169.254');
  assert.equal(literalHost(new URL('https://0xa9fea9fe/')), '169.254.169.254');
  assert.equal(literalHost(new URL('https://[::ffff:169.254.169.254]/')), '::ffff:a9fe:a9fe');
  assert.equal(literalHost(new URL('https://api.example.com/')), undefined);
});

test('every IPv4 address is judged the same when it is mapped into IPv6', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      assert.equal(isRefusedAddress(`::ffff:${address}`), isRefusedAddress(address));
    }),
  );
});

test('whatever the text, there is a verdict', () => {
  fc.assert(fc.property(fc.oneof(fc.ipV6(), fc.string()), (text) => typeof isRefusedAddress(text) === 'boolean'));
});
