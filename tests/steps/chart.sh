# shellcheck shell=bash
# The part chart: checks Helm's output, also with an API server.

# The definitions of kinds that belong to other projects.
readonly kinds=$tools/kinds

part_chart() {
  build
  cluster
  step "foreign kinds" get_foreign_kinds
  step "install promql" python_packages "$tools/queries" promql-parser==0.12.0 PyYAML==6.0.3
  step "queries" check_queries
  step "chart tests" run_chart_tests
}

# Gets the definitions of the Prometheus operator's kinds, which the chart creates, and of the Gateway API, which an example
# uses.
get_foreign_kinds() {
  get_definitions github.com/prometheus-operator/prometheus-operator@v0.85.0 example/prometheus-operator-crd monitoring &&
    get_definitions sigs.k8s.io/gateway-api@v1.4.1 config/crd/standard gateway
}

# Copies a folder of a Go module to $kinds/NAME.
get_definitions() {
  local module=$1 folder=$2 name=$3 downloaded
  [[ ! -f $kinds/$name/${module##*@} ]] || return 0
  downloaded=$(cd "$tools" && go mod download -json "$module") || return
  downloaded=$(sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p' <<<"$downloaded")
  rm -rf "${kinds:?}/$name" && mkdir -p "$kinds" && cp -r "$downloaded/$folder" "$kinds/$name" &&
    chmod -R u+w "$kinds/$name" && touch "$kinds/$name/${module##*@}"
}

check_queries() {
  tests/kubernetes/cluster helm template tributary charts/tributary --values charts/tributary/ci/monitoring.yaml |
    "$tools/queries/bin/python" tests/queries/check.py
}

run_chart_tests() {
  TEST_KUBECONFIG=$(kubeconfig) TEST_FOREIGN_CRDS=$kinds run_tests chart
}
