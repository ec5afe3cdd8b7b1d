// Judges objects of our kinds: schema, cross-field rules, names. The embedded API server, the command line and the CRDs
// give the same verdict with the same sentences. Never changes an object; unknown fields are a question of its own.
import type { z } from 'zod';
import { API_VERSION } from './group.ts';
import { type Problem, renderIssues, renderPath, valueAt } from './issue-sentences.ts';
import { modelSpecSchema, modelStatusSchema } from './model.ts';
import { modelRevisionSpecSchema, modelRevisionStatusSchema } from './model-revision.ts';
import { poolSpecSchema, poolStatusSchema } from './pool.ts';
import { type Rule, sentenceCel, sentenceOf } from './rule.ts';
import { chosenNameRule, modelRevisionRules, modelRules, type NameRule, poolRules, revisionNameRule } from './rules.ts';
import { type StructuralSchema, structuralSchema, type ValidationRule } from './structural-schema.ts';

export type OurKind = 'Pool' | 'Model' | 'ModelRevision';

interface Judge {
  readonly schema: StructuralSchema;
  judge(object: unknown, old: unknown): Problem[];
}

interface KindParts<Spec> {
  readonly kind: OurKind;
  readonly spec: z.ZodType<Spec>;
  readonly status: z.ZodType;
  readonly name: NameRule;
  readonly rules: readonly Rule<Spec>[];
}

/** Builds the judge of one kind; the rules see the spec with its defaults, as CEL does. */
function judgeOf<Spec>({ kind, spec, status, name, rules }: KindParts<Spec>): Judge {
  const frame = frameOf(structuralSchema(spec, `${kind}.spec`), structuralSchema(status, `${kind}.status`));
  return {
    schema: rules.reduce(
      (schema, rule) => withRule(schema, rule.at, ruleOf(rule)),
      withRule(frame, name.at, ruleOf(name)),
    ),
    judge(object, old) {
      const problems = judgeFrame(object, name);
      const parsed = spec.safeParse(valueAt(object, ['spec']));
      if (!parsed.success)
        return [...problems, ...renderIssues(parsed.error.issues, valueAt(object, ['spec']), ['spec'])];
      const before = old === undefined ? undefined : spec.safeParse(valueAt(old, ['spec'])).data;
      const broken = rules.filter((rule) => !rule.holds(parsed.data, before));
      return [
        ...problems,
        ...broken.map((rule) => ({ path: renderPath(rule.at), message: sentenceOf(rule, parsed.data) })),
        ...judgeStatus(status, valueAt(object, ['status'])),
      ];
    },
  };
}

function judgeStatus(schema: z.ZodType, status: unknown): Problem[] {
  if (status === undefined) return [];
  const parsed = schema.safeParse(status);
  return parsed.success ? [] : renderIssues(parsed.error.issues, status, ['status']);
}

/** The whole object's schema, without rules. */
function frameOf(spec: StructuralSchema, status: StructuralSchema): StructuralSchema {
  return {
    type: 'object',
    properties: {
      apiVersion: { type: 'string', description: 'The group and version of this kind.' },
      kind: { type: 'string', description: 'The kind of this object.' },
      metadata: { type: 'object' },
      spec,
      status,
    },
    required: ['spec'],
  };
}

function ruleOf(rule: Pick<Rule<never>, 'cel' | 'message' | 'figures'>): ValidationRule {
  const messageExpression = sentenceCel(rule);
  const { cel, message } = rule;
  return { rule: cel, message, ...(messageExpression === undefined ? {} : { messageExpression }) };
}

function withRule(schema: StructuralSchema, at: readonly string[], rule: ValidationRule): StructuralSchema {
  const [step, ...rest] = at;
  if (step === undefined) {
    return { ...schema, 'x-kubernetes-validations': [...(schema['x-kubernetes-validations'] ?? []), rule] };
  }
  const inner = schema.properties?.[step];
  if (inner === undefined) throw new Error(`the rule "${rule.message}" is for ${step}, which the schema does not have`);
  return { ...schema, properties: { ...schema.properties, [step]: withRule(inner, rest, rule) } };
}

const judges: Readonly<Record<OurKind, Judge>> = {
  Pool: judgeOf({
    kind: 'Pool',
    spec: poolSpecSchema,
    status: poolStatusSchema,
    name: chosenNameRule,
    rules: poolRules,
  }),
  Model: judgeOf({
    kind: 'Model',
    spec: modelSpecSchema,
    status: modelStatusSchema,
    name: chosenNameRule,
    rules: modelRules,
  }),
  ModelRevision: judgeOf({
    kind: 'ModelRevision',
    spec: modelRevisionSpecSchema,
    status: modelRevisionStatusSchema,
    name: revisionNameRule,
    rules: modelRevisionRules,
  }),
};

export function isOurKind(kind: string): kind is OurKind {
  return Object.hasOwn(judges, kind);
}

/** The structural schema of the whole object, with its CEL rules. */
export function schemaOf(kind: OurKind): StructuralSchema {
  return judges[kind].schema;
}

/** Everything that is wrong with an object of one of our kinds; empty when nothing is. `old` is what it replaces. */
export function validateObject(kind: string, object: unknown, old?: unknown): Problem[] {
  if (!isOurKind(kind))
    return [
      { path: 'kind', message: `must be one of ${Object.keys(judges).join(', ')}, but is ${JSON.stringify(kind)}` },
    ];
  return [...judges[kind].judge(object, old), ...judgeSets(schemaOf(kind), object, [])];
}

function judgeFrame(object: unknown, nameRule: NameRule): Problem[] {
  const version = valueAt(object, ['apiVersion']);
  const name = valueAt(object, ['metadata', 'name']);
  const problems: Problem[] = [];
  if (version !== API_VERSION) {
    const shown = version === undefined ? 'is missing' : `is ${JSON.stringify(version)}`;
    problems.push({ path: 'apiVersion', message: `must be ${API_VERSION}, but ${shown}` });
  }
  if (typeof name !== 'string') problems.push({ path: 'metadata.name', message: 'is required' });
  else if (!nameRule.holds(name)) problems.push({ path: '', message: nameRule.message });
  return problems;
}

/** A list that is a set, or a map by keys, holds no entry twice. */
function judgeSets(schema: StructuralSchema, value: unknown, path: readonly PropertyKey[]): Problem[] {
  if (Array.isArray(value)) {
    const { items } = schema;
    const inner = items === undefined ? [] : value.flatMap((item, at) => judgeSets(items, item, [...path, at]));
    return [...judgeUnique(schema, value, path), ...inner];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const inner = schema.properties?.[key];
    return inner === undefined ? [] : judgeSets(inner, member, [...path, key]);
  });
}

function judgeUnique(schema: StructuralSchema, list: readonly unknown[], path: readonly PropertyKey[]): Problem[] {
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return [];
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const seen = new Set<string>();
  return list.flatMap((item, at) => {
    const identity = JSON.stringify(listType === 'set' ? item : keys.map((key) => valueAt(item, [key])));
    if (!seen.has(identity)) {
      seen.add(identity);
      return [];
    }
    return [{ path: renderPath([...path, at]), message: `is there twice: ${identity}` }];
  });
}
