// The kinds that this server serves, found by group, version and plural, or by the name under which they are stored.
import { apiVersionOf, type ResourceDefinition, resourceName } from './definition.ts';

export interface KindRegistry {
  readonly definitions: readonly ResourceDefinition[];
  /** By resource name, for example `models.stoker.dev`. */
  readonly byName: ReadonlyMap<string, ResourceDefinition>;
  find(group: string, version: string, plural: string): ResourceDefinition | undefined;
  hasKind(apiVersion: string, kind: string): boolean;
}

/** Throws an Error when two definitions are of one name. */
export function createKindRegistry(definitions: readonly ResourceDefinition[]): KindRegistry {
  const byName = new Map(definitions.map((definition) => [resourceName(definition), definition]));
  if (byName.size !== definitions.length) throw new Error('two kinds have the same group and plural');
  const kinds = new Set(definitions.map((definition) => `${apiVersionOf(definition)}/${definition.kind}`));
  return {
    definitions,
    byName,
    find(group, version, plural) {
      const found = byName.get(resourceName({ group, plural }));
      return found?.version === version ? found : undefined;
    },
    hasKind: (apiVersion, kind) => kinds.has(`${apiVersion}/${kind}`),
  };
}

/** The definition of a stored object's kind. Only served kinds are loaded and written. */
export function definitionOf(registry: KindRegistry, kind: string): ResourceDefinition {
  const definition = registry.byName.get(kind);
  if (definition === undefined) throw new Error(`the kind ${kind} is not served`);
  return definition;
}
