// The scale subresource: an autoscaling/v1 Scale as a view of two or three fields of an object.
import type { ApiObject, ResourceDefinition, ScalePaths } from './definition.ts';
import { plainPath } from './json-path.ts';
import { asText, isObject, type JsonObject, valueAt, withValueAt } from './json-value.ts';
import { badRequest, pathNotFound } from './status-error.ts';

export function readScale(definition: ResourceDefinition, object: ApiObject): JsonObject {
  const paths = pathsOf(definition);
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const selector =
    paths.labelSelectorPath === undefined ? undefined : asText(valueAt(object, plainPath(paths.labelSelectorPath)));
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: numberAt(object, paths.specReplicasPath) },
    status: { replicas: numberAt(object, paths.statusReplicasPath), ...(selector === undefined ? {} : { selector }) },
  };
}

/** The object with the replicas of a Scale that a client sent. Throws ApiError 400. */
export function replaceScale(definition: ResourceDefinition, object: ApiObject, scale: unknown): JsonObject {
  const paths = pathsOf(definition);
  const replicas = valueAt(scale, ['spec', 'replicas']);
  if (!isObject(scale) || typeof replicas !== 'number' || !Number.isInteger(replicas))
    throw badRequest('the body must be a Scale with a whole number in spec.replicas');
  const name = asText(valueAt(scale, ['metadata', 'name'])) ?? object.metadata.name;
  const version = asText(valueAt(scale, ['metadata', 'resourceVersion'])) ?? '';
  const changed = withValueAt(object, plainPath(paths.specReplicasPath), replicas);
  return { ...changed, metadata: { ...object.metadata, name, resourceVersion: version } };
}

function pathsOf({ subresources }: ResourceDefinition): ScalePaths {
  if (subresources.scale === undefined) throw pathNotFound();
  return subresources.scale;
}

function numberAt(object: ApiObject, path: string): number {
  const value = valueAt(object, plainPath(path));
  return typeof value === 'number' ? value : 0;
}
