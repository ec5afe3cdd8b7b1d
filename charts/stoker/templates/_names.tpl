{{- define "stoker.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "stoker.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "stoker.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Never changes between releases: a Deployment's selector cannot. Call with (dict "root" $ "component" NAME). */ -}}
{{- define "stoker.selector" -}}
app.kubernetes.io/name: {{ include "stoker.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "stoker.labels" -}}
{{ include "stoker.selector" . }}
app.kubernetes.io/part-of: stoker
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The labels that the controller puts on the Pods of slots. */ -}}
{{- define "stoker.slotSelector" -}}
app.kubernetes.io/name: stoker
app.kubernetes.io/component: slot
{{- end -}}

{{- /* The labels that the controller puts on the Pods of stagers. */ -}}
{{- define "stoker.stagerSelector" -}}
app.kubernetes.io/name: stoker
app.kubernetes.io/component: stager
{{- end -}}

{{- /* Call with (dict "root" $ "image" VALUES "at" "image"). */ -}}
{{- define "stoker.imageOf" -}}
{{- if and (eq .image.tag "latest") (not .image.digest) -}}
{{- fail (printf "%s.tag cannot be latest: what runs would change by itself. Name a release, or set %s.digest." .at .at) -}}
{{- end -}}
{{- $registry := .root.Values.global.imageRegistry | default .image.registry -}}
{{- $repository := ternary .image.repository (printf "%s/%s" $registry .image.repository) (empty $registry) -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{- define "stoker.image" -}}
{{- include "stoker.imageOf" (dict "root" . "image" .Values.image "at" "image") -}}
{{- end -}}

{{- /* What slots run: of the same registry, unless it names its own. */ -}}
{{- define "stoker.slotImage" -}}
{{- $image := dict "registry" (.Values.slots.image.registry | default .Values.image.registry) -}}
{{- include "stoker.imageOf" (dict "root" . "image" (merge $image .Values.slots.image) "at" "slots.image") -}}
{{- end -}}

{{- define "stoker.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Where routers and slots find the controller. The name of the Service is fixed. */ -}}
{{- define "stoker.linkUrl" -}}
wss://stoker-link.{{ .Release.Namespace }}.svc:8083
{{- end -}}
