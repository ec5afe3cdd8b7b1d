// The form of a rule over several fields of a spec (rules.ts): CEL for a real API server, a function for everybody else.

/** `Spec` is the spec with defaults filled in: that is what CEL sees, too. */
export interface Rule<Spec> {
  /** The field that carries the rule, below the object: `['spec', 'servedName']`. */
  readonly at: readonly string[];
  readonly cel: string;
  /** A sentence about the field, as people read it after the path. */
  readonly message: string;
  /** `before` is undefined while the object is made. */
  holds(spec: Spec, before: Spec | undefined): boolean;
}
