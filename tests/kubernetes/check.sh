#!/usr/bin/env bash
# Sourced by the script cluster: checks that the cluster works as the tests require.
# shellcheck disable=SC2034,SC2154 # variables that the script cluster and its other parts share

readonly CHECK=tests-cluster-check CHECK_IMAGE=localhost/tests-cluster-check:1

check() {
  find_node
  trap end_check EXIT
  step "take in an image" load_check_image
  step "start restricted pods" start_check_pods
  step "find a Service by its name" await 30 "a Service answers" answers before
  step "bring a Secret's change" change_secret
  step "read logs" read_logs
}

end_check() {
  local status=$?
  trap - EXIT
  if ((status != 0)); then
    [[ -z $current_log ]] || tail -n 30 "$current_log" >&3
    kubectl --namespace "$CHECK" get pods,events >&3 2>&1 || true
  fi
  kubectl delete namespace "$CHECK" --ignore-not-found >/dev/null
  containerd_images remove "$CHECK_IMAGE" >/dev/null 2>&1 || true
  rm -f "$state/check.tar"
  exit "$status"
}

load_check_image() {
  image "$CHECK_IMAGE" "$helper" "$state/check.tar"
  load "$state/check.tar"
}

# Starts a server that serves the content of a Secret, and a client. The namespace accepts only restricted pods.
start_check_pods() {
  local security='{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true,
      capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}'
  kubectl apply -f - <<YAML
apiVersion: v1
kind: Namespace
metadata: {name: $CHECK, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Secret
metadata: {name: greeting, namespace: $CHECK}
stringData: {value: before}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: $CHECK}
spec:
  selector: {app: server}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: $CHECK, labels: {app: server}}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - name: server
    image: $CHECK_IMAGE
    args: [serve, ":8080", /secret]
    readinessProbe: {httpGet: {path: /value, port: 8080}, periodSeconds: 1}
    volumeMounts: [{name: secret, mountPath: /secret, readOnly: true}]
    securityContext: $security
  volumes: [{name: secret, secret: {secretName: greeting}}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: $CHECK}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 1
  containers:
  - name: client
    image: $CHECK_IMAGE
    args: [serve, ":8080", /]
    securityContext: $security
YAML
  kubectl --namespace "$CHECK" wait --for condition=Ready --timeout 60s pod/server pod/client
}

# answers VALUE: whether the client gets that value from the Service, by its name.
answers() {
  local answer
  answer=$(kubectl --namespace "$CHECK" exec client -- /helper get http://server/value)
  [[ $answer == "$1" ]]
}

change_secret() {
  kubectl --namespace "$CHECK" patch secret greeting --patch '{"stringData": {"value": "after"}}'
  # The kubelet syncs a pod every 60 to 90 seconds, and immediately when the pod changes.
  kubectl --namespace "$CHECK" annotate pod server check/looked-at=now
  await 120 "the Secret's change is there" answers after
}

read_logs() {
  kubectl --namespace "$CHECK" logs server | grep -Fx "serving /secret"
}
