// Every good and bad object of the table, as an API server judges it: what breaks a rule is refused with our sentence, what
// breaks the schema with the server's own words, and the field is named in both. Nothing of it is kept: all are dry runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isOurKind } from '../../src/api/validate-object.ts';
import { judgedObjects } from '../support/judged-objects.ts';
import type { JudgedObject } from '../support/plain-objects.ts';
import { type Answer, type Json, Model, ModelRevision, Pool, type Session } from './session.ts';

const kindsByName: Readonly<Record<string, typeof Model | typeof Pool | typeof ModelRevision>> = {
  Model,
  ModelRevision,
  Pool,
};

/** What the schema says where it finds the problem before our rules are asked: `field: words`, or how the words begin. */
const schemaWords: Readonly<Record<string, readonly string[]>> = {
  'a name in upper case': ['metadata.name: Invalid value: "Big": a lowercase RFC 1123 subdomain must consist of'],
  'a pool twice': ['spec.pools[2]: Duplicate value: "a"'],
  'faults out of bounds': [
    'spec.simulation.speedPercent: Invalid value: 0: spec.simulation.speedPercent in body should be greater than or equal to 1',
    'spec.simulation.faults[0].kind: Unsupported value: "Flood": supported values: "Slow", "HangBeforeHeaders", "HangMidStream", "Trickle", "Cut", "GarbageFrame", "Crash", "FailedStart", "FailedWake", "PartialWake", "CorruptWake", "OutOfMemory", "FailedSleep", "Leak"',
    'spec.simulation.faults[0].at[0]: Invalid value: 0: spec.simulation.faults[0].at[0] in body should be greater than or equal to 1',
    'spec.simulation.faults[1].chanceBasisPoints: Invalid value: 10001: spec.simulation.faults[1].chanceBasisPoints in body should be less than or equal to 10000',
  ],
  'no spec': ['spec: Required value'],
  'wrong types': [
    'spec.pinPolicy: Unsupported value: "Never": supported values: "ResolveOnce", "RequireDigest"',
    'spec.pools[0]: Invalid value: "integer": spec.pools[0] in body must be of type string: "integer"',
    'spec.scaling.maxAwake: Invalid value: "string": spec.scaling.maxAwake in body must be of type integer: "string"',
    'spec.scaling.minAwake: Invalid value: "number": spec.scaling.minAwake in body must be of type integer: "number"',
  ],
  'out of bounds': [
    'spec.scaling.minAwake: Invalid value: -1: spec.scaling.minAwake in body should be greater than or equal to 0',
    'spec.servedName: Invalid value: "": spec.servedName in body should be at least 1 chars long',
    'spec.version.weights.file.sha256: Invalid value: "A": spec.version.weights.file.sha256 in body should match \'^[0-9a-f]{64}$\'',
    'spec.pools: Invalid value: 0: spec.pools in body should have at least 1 items',
  ],
  'no accelerator of that form': [
    'spec.accelerator.resourceName: Invalid value: "gpu": spec.accelerator.resourceName in body should match \'^[a-z0-9][-a-z0-9.]*\\/[A-Za-z0-9][-A-Za-z0-9_.]*$\'',
  ],
  'an accelerator whose name is too long': ['spec.accelerator.resourceName: Too long: may not be more than 128 bytes'],
  'no accelerator in a slot': [
    'spec.accelerator.countPerSlot: Invalid value: 0: spec.accelerator.countPerSlot in body should be greater than or equal to 1',
  ],
  'too many accelerators in a slot': [
    'spec.accelerator.countPerSlot: Invalid value: 65: spec.accelerator.countPerSlot in body should be less than or equal to 64',
  ],
  'an accelerator count that is text': [
    'spec.accelerator.countPerSlot: Invalid value: "string": spec.accelerator.countPerSlot in body must be of type integer: "string"',
  ],
  'half an accelerator': [
    'spec.accelerator.countPerSlot: Invalid value: "number": spec.accelerator.countPerSlot in body must be of type integer: "number"',
  ],
  'a class without a name': [
    'spec.accelerator.className: Invalid value: "": spec.accelerator.className in body should be at least 1 chars long',
  ],
  'a class with a name of 64': ['spec.accelerator.className: Too long: may not be more than 63 bytes'],
  'money as a number with a comma': [
    'spec.spare.cost.slotHour: Invalid value: "2,5": spec.spare.cost.slotHour in body should match \'^(0|[1-9][0-9]{0,6})(\\.[0-9]{1,4})?$\'',
  ],
  'headroom as a number': [
    'spec.scaling.headroom: Invalid value: "number": spec.scaling.headroom in body must be of type string: "number"',
  ],
  'fewer than no slots': [
    'spec.slots.min: Invalid value: -1: spec.slots.min in body should be greater than or equal to 0',
  ],
  'no slot at all': ['spec.slots.max: Invalid value: 0: spec.slots.max in body should be greater than or equal to 1'],
  'too many slots': [
    'spec.slots.max: Invalid value: 1001: spec.slots.max in body should be less than or equal to 1000',
  ],
  'slots that are a number': [
    'spec.slots: Invalid value: "integer": spec.slots in body must be of type object: "integer"',
  ],
  'too many sleepers': [
    'spec.sleepersPerSlotMax: Invalid value: 65: spec.sleepersPerSlotMax in body should be less than or equal to 64',
  ],
  'a drain of no time': [
    'spec.maxDrainSeconds: Invalid value: 0: spec.maxDrainSeconds in body should be greater than or equal to 1',
  ],
  'a drain of more than an hour': [
    'spec.maxDrainSeconds: Invalid value: 3601: spec.maxDrainSeconds in body should be less than or equal to 3600',
  ],
  'a drain with a unit': [
    'spec.maxDrainSeconds: Invalid value: "string": spec.maxDrainSeconds in body must be of type integer: "string"',
  ],
  'a spec that is text': ['spec: Invalid value: "string": spec in body must be of type object: "string"'],
  'no servedName': ['spec.servedName: Required value'],
  'a servedName with a space': [
    'spec.servedName: Invalid value: "a b": spec.servedName in body should match \'^[A-Za-z0-9][A-Za-z0-9._/-]*$\'',
  ],
  'a servedName of 129': ['spec.servedName: Too long: may not be more than 128 bytes'],
  'no version': ['spec.version: Required value'],
  'weights without a path': ['spec.version.weights.file.path: Required value'],
  'weights with an empty path': [
    'spec.version.weights.file.path: Invalid value: "": spec.version.weights.file.path in body should be at least 1 chars long',
  ],
  'a path of 1025': ['spec.version.weights.file.path: Too long: may not be more than 1024 bytes'],
  'a digest that is too short': [
    'spec.version.weights.file.sha256: Invalid value: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": spec.version.weights.file.sha256 in body should match \'^[0-9a-f]{64}$\'',
  ],
  'an image without tag or digest': [
    'spec.version.engine.image: Invalid value: "registry:5000/vllm": spec.version.engine.image in body should match \'^[a-z0-9][A-Za-z0-9._:/-]*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$\'',
  ],
  'a revision of an image by tag': [
    'spec.engine.image: Invalid value: "vllm/vllm-openai:v0.11.0": spec.engine.image in body should match \'^[a-z0-9][A-Za-z0-9._:/-]*@sha256:[0-9a-f]{64}$\'',
  ],
  'an engine that there is not': [
    'spec.version.engine.name: Unsupported value: "Steam": supported values: "Llama", "Sim"',
  ],
  'a context that is too short': [
    'spec.version.contextLength: Invalid value: 127: spec.version.contextLength in body should be greater than or equal to 128',
  ],
  'a context that is too long': [
    'spec.version.contextLength: Invalid value: 1048577: spec.version.contextLength in body should be less than or equal to 1048576',
  ],
  'a temperature that is a number': [
    'spec.version.sampling.temperature: Invalid value: "number": spec.version.sampling.temperature in body must be of type string: "number"',
  ],
  'a temperature with a comma': [
    'spec.version.sampling.temperature: Invalid value: "0,7": spec.version.sampling.temperature in body should match \'^(0|[1-9][0-9]?)(\\.[0-9]{1,4})?$\'',
  ],
  'topK of nothing': [
    'spec.version.sampling.topK: Invalid value: 0: spec.version.sampling.topK in body should be greater than or equal to 1',
  ],
  'topK above the most': [
    'spec.version.sampling.topK: Invalid value: 1001: spec.version.sampling.topK in body should be less than or equal to 1000',
  ],
  'pools that are text': ['spec.pools: Invalid value: "string": spec.pools in body must be of type array: "string"'],
  'too many pools': ['spec.pools: Too many: 17: must have at most 16 items'],
  'a pool without a name': ['spec.pools[0]: Invalid value: "": spec.pools[0] in body should be at least 1 chars long'],
  'a pool with a name of 53': ['spec.pools[0]: Too long: may not be more than 52 bytes'],
  'none awake at the most': [
    'spec.scaling.maxAwake: Invalid value: 0: spec.scaling.maxAwake in body should be greater than or equal to 1',
  ],
  'more than a thousand awake': [
    'spec.scaling.maxAwake: Invalid value: 1001: spec.scaling.maxAwake in body should be less than or equal to 1000',
  ],
  'sleep at once': [
    'spec.scaling.sleepAfterSeconds: Invalid value: 0: spec.scaling.sleepAfterSeconds in body should be greater than or equal to 1',
  ],
  'sleep after more than a day': [
    'spec.scaling.sleepAfterSeconds: Invalid value: 86401: spec.scaling.sleepAfterSeconds in body should be less than or equal to 86400',
  ],
  'no concurrency': [
    'spec.serving.concurrency: Invalid value: 0: spec.serving.concurrency in body should be greater than or equal to 1',
  ],
  'too much concurrency': [
    'spec.serving.concurrency: Invalid value: 257: spec.serving.concurrency in body should be less than or equal to 256',
  ],
  'a model that drains for more than an hour': [
    'spec.serving.drainSeconds: Invalid value: 3601: spec.serving.drainSeconds in body should be less than or equal to 3600',
  ],
  'a sleep that there is not': [
    'spec.serving.sleep: Unsupported value: "Deep": supported values: "Auto", "Level1", "Level2", "Never"',
  ],
  'a profile that there is not': [
    'spec.version.weights.simulated.profile: Unsupported value: "Size1B": supported values: "Size7B", "Size13B", "Size70B"',
  ],
  'too many faults': ['spec.simulation.faults: Too many: 33: must have at most 32 items'],
  'a simulation that is too fast': [
    'spec.simulation.speedPercent: Invalid value: 10001: spec.simulation.speedPercent in body should be less than or equal to 10000',
  ],
  'a revision with a digest of another form': [
    'spec.digest: Invalid value: "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": spec.digest in body should match \'^v1:sha256:[0-9a-f]{64}$\'',
  ],
  'a revision of nobody': ['spec.modelName: Invalid value: "": spec.modelName in body should be at least 1 chars long'],
  'a revision with weights below nothing': [
    'spec.weights.sizeBytes: Invalid value: -1: spec.weights.sizeBytes in body should be greater than or equal to 0',
  ],
  'a revision of no build': ['spec.engine.build: Required value'],
};

/** These have no object that could be sent, or a problem that only the status subresource sees. */
const elsewhere = new Set(['a foreign kind', 'a foreign version', 'a wrong status', 'no metadata']);

export function refusalContract(session: Session): void {
  const rows = judgedObjects.filter(({ name }) => !elsewhere.has(name));

  for (const row of rows) {
    test(`${row.problems.length === 0 ? 'accepted' : 'refused'}: ${row.name}`, async () => {
      const { status, body } = await judge(session, row);
      if (row.problems.length === 0) {
        assert.ok(status === 200 || status === 201, JSON.stringify(body));
        return;
      }
      assert.equal(status, 422, JSON.stringify(body));
      const causes: string[] = body.details.causes.map((cause: Json) => `${cause.field ?? '<nil>'}: ${cause.message}`);
      for (const expected of schemaWords[row.name] ?? addressWords(row) ?? row.problems.map(ofRule)) {
        assert.ok(
          causes.some((cause) => (typeof expected === 'string' ? cause.startsWith(expected) : expected(cause))),
          `${expected}\nis not among\n${causes.join('\n')}`,
        );
      }
    });
  }

  test('at least 60 of them are bad, and every word above belongs to one', () => {
    assert.ok(rows.filter(({ problems }) => problems.length > 0).length >= 60);
    const names = new Set(rows.map(({ name }) => name));
    assert.deepEqual(
      Object.keys(schemaWords).filter((name) => !names.has(name)),
      [],
    );
  });
}

/** An address that its pattern refuses: a real server shows the pattern. */
function addressWords({ name }: JudgedObject): readonly string[] | undefined {
  return name.startsWith('the address ') ? ['spec.version.remote.baseUrl: Invalid value: '] : undefined;
}

/** Whether a cause is that problem of ours: its field, and our sentence at the end. */
function ofRule(problem: string): (cause: string) => boolean {
  const [field = '', sentence = ''] = [
    problem.slice(0, problem.indexOf(': ')),
    problem.slice(problem.indexOf(': ') + 2),
  ];
  return (cause) => cause.startsWith(`${field || '<nil>'}: `) && cause.endsWith(sentence);
}

/** A dry run: of a new object, or of what replaces one that is really there. */
async function judge(session: Session, { object, old }: JudgedObject): Promise<Answer> {
  assert.ok(isOurKind(object.kind));
  const kind = kindsByName[object.kind] ?? Model;
  if (old === undefined) return session.send('POST', `${session.path(kind)}?dryRun=All`, { body: object });
  const name = session.name('judged');
  const { metadata } = await session.create(kind, { ...old, metadata: { name } });
  const answer = await session.send('PUT', `${session.path(kind, name)}?dryRun=All`, { body: { ...object, metadata } });
  await session.remove(kind, name);
  return answer;
}
