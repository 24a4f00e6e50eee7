{{- define "tributary.fullname" -}}
{{- if contains "tributary" .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-tributary" .Release.Name | trunc 40 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "tributary.operatorName" -}}{{ include "tributary.fullname" . }}-operator{{- end }}

{{- /* Labels of every object: Helm's recommended labels, and commonLabels. */}}
{{- define "tributary.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: tributary
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tributary.annotations" -}}
{{- with .Values.commonAnnotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "tributary.operatorSelector" -}}
app.kubernetes.io/name: tributary-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* An image: a complete reference, or registry, name and tag. Argument: (list . "sidecar" "tributary-sidecar") */}}
{{- define "tributary.image" -}}
{{- $root := index . 0 }}{{ $which := index . 1 }}{{ $name := index . 2 }}
{{- $reference := index $root.Values.image.references $which }}
{{- if $reference }}{{ $reference }}
{{- else }}
{{- $registry := required "image.registry is required: set it to the registry of the images, for example with --set image.registry=registry.example.com/tributary (images/Containerfile builds the images)" $root.Values.image.registry }}
{{- printf "%s/%s:%s" (trimSuffix "/" $registry) $name ($root.Values.image.tag | default $root.Chart.AppVersion) }}
{{- end }}
{{- end }}

{{- define "tributary.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tributary.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "tributary.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Whether the operator manages functions in all namespaces. */}}
{{- define "tributary.isClusterWide" -}}{{ if not .Values.watch.namespaces }}true{{ end }}{{- end }}

{{- /* The namespaces that the operator manages, as a JSON list. The function of helm test is in the release's namespace. */}}
{{- define "tributary.namespaces" -}}
{{- $namespaces := .Values.watch.namespaces }}
{{- if and $namespaces .Values.helmTest.enabled }}{{ $namespaces = append $namespaces .Release.Namespace }}{{ end }}
{{- $namespaces | uniq | sortAlpha | toJson }}
{{- end }}

{{- define "tributary.testName" -}}{{ include "tributary.fullname" . }}-test{{- end }}
{{- define "tributary.testEndpoint" -}}http://{{ include "tributary.testName" . }}-aws.{{ .Release.Namespace }}.svc:9000{{- end }}
{{- define "tributary.testRole" -}}arn:aws:iam::123456789012:role/helm-test{{- end }}

{{- /* The platform's policy as YAML, including the grants that helm test needs in the release's namespace. */}}
{{- define "tributary.policy" -}}
{{- $grants := deepCopy (.Values.policy.grants | default dict) }}
{{- if .Values.helmTest.enabled }}
{{- if not (kindIs "invalid" .Values.policy.grants) }}
{{- $own := deepCopy (dig "namespaces" .Release.Namespace ($grants.default | default dict) $grants) }}
{{- $_ := set $own "roleArns" (append ($own.roleArns | default list) (include "tributary.testRole" .) | uniq) }}
{{- $_ := set $grants "namespaces" (merge (dict .Release.Namespace $own) ($grants.namespaces | default dict)) }}
{{- end }}
{{- end }}
allowedEndpoints: {{ .Values.policy.allowedEndpoints | toJson }}
{{- if .Values.helmTest.enabled }}
# For the function of helm test only.
functionEndpoints: {{ dict (printf "%s/%s" .Release.Namespace (include "tributary.testName" .)) (list (include "tributary.testEndpoint" .)) | toJson }}
{{- end }}
{{- if not (kindIs "invalid" .Values.policy.grants) }}
grants: {{ $grants | toJson }}
grantsMode: {{ .Values.policy.grantsMode }}
{{- end }}
{{- end }}

{{- /* Converts a pattern, in which * stands for any text, to a part of a regular expression. */}}
{{- define "tributary.regex" -}}
{{ regexQuoteMeta . | replace "\\*" ".*" }}
{{- end }}

{{- /*
A regular expression for the base64 encoding of every text that begins with the given prefix. Three bytes become four
characters. If one or two bytes remain, the last character also contains bits of the byte after the prefix.
*/}}
{{- define "tributary.base64Prefix" -}}
{{- $one := dict "A" "A-P" "Q" "Q-Za-f" "g" "g-v" "w" "w-z0-9+/" }}
{{- $two := dict "A" "A-D" "E" "E-H" "I" "I-L" "M" "M-P" "Q" "Q-T" "U" "U-X" "Y" "YZab" "c" "c-f" "g" "g-j" "k" "k-n" "o" "o-r" "s" "s-v" "w" "w-z" "0" "0-3" "4" "4-7" "8" "89+/" }}
{{- $encoded := b64enc . }}
{{- $rest := mod (len .) 3 | int }}
{{- if eq $rest 0 }}{{ regexQuoteMeta $encoded }}
{{- else }}
{{- $exact := trimSuffix "=" $encoded | trimSuffix "=" }}
{{- $last := sub (len $exact) 1 | int }}
{{- $ranges := ternary $one $two (eq $rest 1) }}
{{- regexQuoteMeta (substr 0 $last $exact) }}[{{ get $ranges (substr $last (len $exact) $exact) }}]
{{- end }}
{{- end }}
