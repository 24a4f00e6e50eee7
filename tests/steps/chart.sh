# shellcheck shell=bash
# The part chart: checks Helm's output, also with an API server.

readonly PROMETHEUS_OPERATOR=v0.85.0

part_chart() {
  build
  cluster
  step "monitoring kinds" get_monitoring_kinds
  step "install promql" python_packages "$tools/queries" promql-parser==0.12.0 PyYAML==6.0.3
  step "queries" check_queries
  step "chart tests" run_chart_tests
}

# Gets the Prometheus operator's definitions of the kinds that the chart creates, from its Go module.
get_monitoring_kinds() {
  local folder=$tools/prometheus-operator-$PROMETHEUS_OPERATOR module=github.com/prometheus-operator/prometheus-operator
  [[ ! -d $folder ]] || return 0
  local downloaded
  downloaded=$(cd "$tools" && go mod download -json "$module@$PROMETHEUS_OPERATOR") || return
  downloaded=$(sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p' <<<"$downloaded")
  cp -r "$downloaded/example/prometheus-operator-crd" "$folder.part" && chmod -R u+w "$folder.part" && mv "$folder.part" "$folder"
}

check_queries() {
  tests/kubernetes/cluster helm template tributary charts/tributary --values charts/tributary/ci/monitoring.yaml |
    "$tools/queries/bin/python" tests/queries/check.py
}

run_chart_tests() {
  TEST_KUBECONFIG=$(kubeconfig) \
    TEST_MONITORING_CRDS=$tools/prometheus-operator-$PROMETHEUS_OPERATOR run_tests chart
}
