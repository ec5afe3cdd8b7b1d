{{- /* The admission policies of one release, as YAML: name, what they are about, whom they hold (the
  controller, others than it and those that are exempt, or everybody), and their rules with sentences. */ -}}
{{- define "stoker.policies" -}}
- name: slots
  holds: others
  resources: { group: "", version: v1, names: [pods], operations: [CREATE, UPDATE] }
  validations:
    - expression: >-
        request.operation != 'CREATE' || object.metadata.?labels[?'stoker.dev/pool'].orValue('') == ''
      message: A Pod with the label stoker.dev/pool is a slot, and slots are made by the controller. Change spec.slots of the Pool instead.
      reason: Forbidden
    - expression: >-
        request.operation != 'CREATE' || object.spec.?serviceAccountName.orValue('') != 'stoker-slot'
      message: The ServiceAccount stoker-slot is for slots, and slots are made by the controller. Use another ServiceAccount.
      reason: Forbidden
    - expression: >-
        request.operation != 'CREATE' || object.metadata.?labels[?'stoker.dev/stages'].orValue('') == ''
      message: A Pod with the label stoker.dev/stages is a stager, and stagers are made by the controller. Name the source in spec.version.weights of the Model instead.
      reason: Forbidden
    - expression: >-
        request.operation != 'CREATE' || object.spec.?serviceAccountName.orValue('') != 'stoker-stager'
      message: The ServiceAccount stoker-stager is for stagers, and stagers are made by the controller. Use another ServiceAccount.
      reason: Forbidden
    - expression: >-
        request.operation != 'UPDATE' ||
        object.metadata.?labels[?'stoker.dev/stages'].orValue('') == oldObject.metadata.?labels[?'stoker.dev/stages'].orValue('')
      message: The label stoker.dev/stages is written by the controller. Choose another label.
      reason: Forbidden
    - expression: >-
        request.operation != 'UPDATE' ||
        (object.metadata.?labels[?'stoker.dev/pool'].orValue('') == oldObject.metadata.?labels[?'stoker.dev/pool'].orValue('') &&
        object.metadata.?labels[?'stoker.dev/awake'].orValue('') == oldObject.metadata.?labels[?'stoker.dev/awake'].orValue(''))
      message: The labels stoker.dev/pool and stoker.dev/awake are written by the controller. Choose another label.
      reason: Forbidden
- name: revisions
  holds: others
  resources: { group: stoker.dev, version: v1alpha1, names: [modelrevisions], operations: [CREATE, UPDATE] }
  validations:
    - expression: request.operation != 'CREATE'
      message: ModelRevisions are made by the controller. Change spec.version of the Model, and it makes a new one.
      reason: Forbidden
    # Where a path, an address or a Secret is taken from: another one would be read, or sent to that address, unseen.
    - expression: >-
        request.operation != 'UPDATE' ||
        ['stoker.dev/version', 'stoker.dev/weights-path', 'stoker.dev/source-secret', 'stoker.dev/api-key'].all(name,
        object.metadata.?annotations[?name] == oldObject.metadata.?annotations[?name])
      message: The annotations stoker.dev/version, weights-path, source-secret and api-key are written by the controller. Change spec.version of the Model instead.
      reason: Forbidden
- name: status
  holds: others
  resources:
    group: stoker.dev
    version: v1alpha1
    names: [pools/status, models/status, modelrevisions/status]
    operations: [UPDATE]
  validations:
    - expression: "false"
      message: The status is what the controller observed. Change the spec instead.
      reason: Forbidden
- name: tokens
  holds: others
  resources: { group: "", version: v1, names: [serviceaccounts/token], operations: [CREATE] }
  validations:
    - expression: >-
        !(request.name in ['stoker-slot', 'stoker-router', 'stoker-controller']) || 'system:nodes' in request.userInfo.groups
      message: Tokens of stoker-slot, stoker-router and stoker-controller are made by the kubelet for the Pods that run as them, and by nobody else.
      reason: Forbidden
# A Role cannot name them: what was learned of a Model is kept beside it, under its name.
- name: configmaps
  holds: controller
  resources: { group: "", version: v1, names: [configmaps], operations: [CREATE, UPDATE] }
  validations:
    - expression: >-
        object.metadata.name == 'stoker-link-ca' ||
        (request.operation == 'CREATE' ? object : oldObject).metadata.?ownerReferences.orValue([]).exists(owner,
        owner.?controller.orValue(false) && owner.apiVersion.startsWith('stoker.dev/') && owner.kind == 'Model' &&
        owner.name + '-learned' == object.metadata.name)
      message: The controller writes the ConfigMap stoker-link-ca, and for each Model one with the name of the Model and -learned that the Model owns. It may write no other.
      reason: Forbidden
{{- if .Values.admissionPolicies.requireDigest }}
- name: digests
  holds: everybody
  resources: { group: stoker.dev, version: v1alpha1, names: [models], operations: [CREATE, UPDATE] }
  validations:
    # One that was there before stays as it is, and can be deleted.
    - expression: >-
        object.spec.pinPolicy == 'RequireDigest' || (request.operation == 'UPDATE' && object.spec == oldObject.spec)
      message: This namespace wants every Model pinned. Set spec.pinPolicy to RequireDigest, and give the digests of the weights and of the engine's image.
{{- end }}
{{- end -}}
