// Which versions of Kubernetes the charts are judged by, the form of their schemas in .cache/kube-schemas, and how they are
// read. build.ts writes them. Never builds or fetches.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const schemaFolder = fileURLToPath(new URL('../../.cache/kube-schemas', import.meta.url));

/** Every minor version that the charts support, with the release that its schemas are taken from. */
export const schemaReleases = {
  '1.30': '1.30.14',
  '1.31': '1.31.14',
  '1.32': '1.32.13',
  '1.33': '1.33.13',
  '1.34': '1.34.4',
} as const;

export type MinorVersion = keyof typeof schemaReleases;

export const minorVersions = Object.keys(schemaReleases) as MinorVersion[];

/** Goes up when the form of the files or the conversion changes, so that an older cache is not taken for a new one. */
const FORM = 1;

/** A schema in the form of structural schemas; `$ref` is the name of another definition, and then stands alone. */
export interface StoredSchema {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, StoredSchema>>;
  readonly additionalProperties?: StoredSchema;
  readonly items?: StoredSchema;
  readonly [keyword: string]: unknown;
}

export interface SchemaSet {
  /** `apps/v1 Deployment` -> the name of its definition. */
  readonly kinds: Readonly<Record<string, string>>;
  readonly definitions: Readonly<Record<string, StoredSchema>>;
}

export function schemaFile(minor: MinorVersion): string {
  return join(schemaFolder, `${schemaReleases[minor]}-form${FORM}.json`);
}

/** The schemas of a version, or an Error that says how they are made. */
export function readSchemas(minor: MinorVersion): SchemaSet {
  const file = schemaFile(minor);
  if (!existsSync(file)) {
    throw new Error(
      `There are no schemas of Kubernetes ${minor}: ${file} is missing. Make them once with: node scripts/kube-schemas/build.ts`,
    );
  }
  return JSON.parse(readFileSync(file, 'utf8')) as SchemaSet;
}
