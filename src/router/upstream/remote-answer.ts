// The answer of somebody else's API in our form: our id, served name and revision, frames made by the same code as the agent's.
// Trusts not a byte of it: all of it is bounded, and what is no answer is said to be none.
import { applyEdits, type Edit } from '../../core/route/body-edits.ts';
import { decodeText, type ObjectScan, scanObject } from '../../core/route/json-scan.ts';
import { type AnswerNames, createFrameStream } from '../../core/stream/canonical-frames.ts';
import { reasonOf } from '../call.ts';
import { type AttemptPlan, declineLarge, endOfStream, type GivenAnswer, readBounded } from '../stage/attempt-plan.ts';
import type { AttemptEnd } from '../stage/judge.ts';
import type { Relay } from '../stream/relay.ts';
import { createFrameReader } from './frames.ts';
import { readError, readUsageMember } from './usage.ts';

const EMBEDDINGS_PATH = '/v1/embeddings';

function namesOf({ responseId, servedName, grant }: AttemptPlan): AnswerNames {
  return { id: responseId, model: servedName, systemFingerprint: grant.endpoint.revision };
}

export async function passRemoteStream(plan: AttemptPlan, relay: Relay, given: GivenAnswer): Promise<AttemptEnd> {
  const frames = createFrameStream(namesOf(plan));
  const reader = createFrameReader();
  const take = (text: string) => {
    if (text !== '') relay.take(reader.push(Buffer.from(text)));
  };
  // The rest of a whole answer is read by whoever made the attempt.
  const chunks: AsyncIterable<Buffer> = given.body.iterator({ destroyOnReturn: false });
  for await (const bytes of chunks) {
    plan.onHeard();
    take(frames.push(bytes));
    if (plan.call.signal.aborted) throw reasonOf(plan.call);
    if (relay.state() !== 'open') break;
  }
  if (relay.state() === 'open') take(frames.end());
  return endOfStream(relay);
}

export async function passRemoteJson(plan: AttemptPlan, given: GivenAnswer): Promise<AttemptEnd> {
  const body = await readBounded(given, plan.answerBytesMax);
  if (body === undefined) return declineLarge(plan);
  const scan = scanObject(body);
  if (!scan.ok) return noAnswer;
  const { members } = scan.value;
  const error = members.get('error');
  if (error !== undefined && error.kind !== 'null') {
    const said = readError(`{"error":${decodeText(body, error.valueStart, error.valueEnd)}}`)?.message;
    const message = `The upstream failed: ${said ?? 'it gave no reason.'}`;
    return { kind: 'Failed', code: 'upstream_failed', message };
  }
  const isEmbeddings = plan.path === EMBEDDINGS_PATH;
  if (members.get(isEmbeddings ? 'data' : 'choices')?.kind !== 'array') return noAnswer;
  plan.call.record.usage = readUsageMember(body, scan.value);
  const names = namesOf(plan);
  const fields = isEmbeddings
    ? { model: names.model }
    : { id: names.id, model: names.model, system_fingerprint: names.systemFingerprint };
  plan.sendJson(applyEdits(body, planNames(scan.value, fields)));
  return { kind: 'Answered' };
}

const noAnswer: AttemptEnd = {
  kind: 'Failed',
  code: 'upstream_garbled',
  message: 'The upstream sent something that is not an answer.',
};

/** Sets fields of the answer without parsing the rest of it: values that are there are replaced, others come last. */
function planNames(scan: ObjectScan, fields: Readonly<Record<string, string>>): Edit[] {
  const end = scan.end - 1;
  const edits = Object.entries(fields).map(([field, value]): Edit => {
    const member = scan.members.get(field);
    const text = JSON.stringify(value);
    return member === undefined
      ? { start: end, end, text: `,${JSON.stringify(field)}:${text}` }
      : { start: member.valueStart, end: member.valueEnd, text };
  });
  return edits.sort((a, b) => a.start - b.start);
}
