// What Pools and Models say about themselves: conditions are written to be read, so they are passed on as they are.
import { at, type Fields, listed, type Read, textAt } from './cluster-reader.ts';
import { bad, doubtful, type Finding, good, skipped } from './finding.ts';

/** The status of each condition that is worth a warning. */
const TROUBLES: ReadonlyMap<string, string> = new Map([
  ['SlotTrouble', 'True'],
  ['AgentOutdated', 'True'],
  ['MinAwakePossible', 'False'],
]);

export function checkObjects(kind: 'Pool' | 'Model', objects: Read<readonly Fields[]>): Finding[] {
  const check = kind === 'Pool' ? 'pools' : 'models';
  if (objects.type === 'refused') return [skipped(check, objects.sentence)];
  if (objects.type === 'absent' || objects.value.length === 0) {
    return [doubtful(check, `There is no ${kind}.`, `Apply one: docs/guides/first-model.md shows how.`)];
  }
  const findings = objects.value.flatMap((object) => judge(kind, object));
  return findings.length > 0 ? findings : [good(check, `All ${objects.value.length} are well.`)];
}

function judge(kind: string, object: Fields): Finding[] {
  const name = textAt(object, 'metadata', 'name');
  const check = `${kind} ${name}`;
  const describe = `kubectl describe ${kind.toLowerCase()} ${name} shows its Events.`;
  const conditions = listed(at(object, 'status', 'conditions'));
  if (conditions.length === 0) {
    return [bad(check, 'No controller has looked at it.', 'See the lines about the controller and its leader.')];
  }
  return conditions.flatMap((condition) => {
    const [type, status] = [textAt(condition, 'type'), textAt(condition, 'status')];
    const said = `${textAt(condition, 'reason')}: ${textAt(condition, 'message')}`;
    if (type === 'Ready' && status !== 'True') return [bad(check, said, describe)];
    return TROUBLES.get(type) === status ? [doubtful(check, said, describe)] : [];
  });
}
