// The form of a rule over several fields of a spec (rules.ts): CEL for a real API server, a function for everybody else.

/** What comes after the sentence: the whole numbers that break the rule, each as CEL and as a function. */
export interface Figures<Spec> {
  /** With `%d` for each number. */
  readonly form: string;
  readonly cel: readonly string[];
  of(spec: Spec): readonly number[];
}

/** `Spec` is the spec with defaults filled in: that is what CEL sees, too. */
export interface Rule<Spec> {
  /** The field that carries the rule, below the object: `['spec', 'servedName']`. */
  readonly at: readonly string[];
  readonly cel: string;
  /** A sentence about the field, as people read it after the path. */
  readonly message: string;
  readonly figures?: Figures<Spec>;
  /** `before` is undefined while the object is made. */
  holds(spec: Spec, before: Spec | undefined): boolean;
}

/** The sentence about a spec that breaks the rule. */
export function sentenceOf<Spec>({ message, figures }: Rule<Spec>, spec: Spec): string {
  if (figures === undefined) return message;
  const numbers = [...figures.of(spec)];
  return `${message}: ${figures.form.replaceAll('%d', () => String(numbers.shift()))}`;
}

/**
 * The same sentence as CEL makes it. An API server counts the cost of a rule beforehand, and takes text that is put together
 * with + for endlessly long; `format` costs it nothing.
 */
export function sentenceCel({ message, figures }: Pick<Rule<never>, 'message' | 'figures'>): string | undefined {
  return figures === undefined ? undefined : `'${message}: ${figures.form}'.format([${figures.cel.join(', ')}])`;
}
