{{- /* Fails with a sentence when the cluster lacks an API. Call with (dict "root" $ "api" GROUP/VERSION "value" NAME "what" WORDS). */ -}}
{{- define "stoker.needApi" -}}
{{- if not (.root.Capabilities.APIVersions.Has .api) -}}
{{- fail (printf "%s needs %s (%s), which this cluster does not have. Install it first; to render without a cluster, add --api-versions %s." .value .what .api .api) -}}
{{- end -}}
{{- end -}}
