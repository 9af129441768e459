{{- define "spanmeter.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{- define "spanmeter.selector" -}}
app.kubernetes.io/name: spanmeter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spanmeter.labels" -}}
{{ include "spanmeter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "spanmeter.config" -}}
{{- $store := dict -}}
{{- with .Values.storeUrl }}{{ $store = dict "store" (dict "url" .) }}{{ end -}}
{{- if .Values.backupClaim }}{{ $store = dict "store" (dict "backup_dir" "/backups") }}{{ end -}}
{{ toYaml (mergeOverwrite (deepCopy .Values.config) $store) }}
{{- end }}
