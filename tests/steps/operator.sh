# shellcheck shell=bash
# The part operator: tests the built operator against a control plane.

part_operator() {
  build
  cluster
  step "install promlint" install_promlint
  step "operator tests" run_operator_tests
}

run_operator_tests() {
  # The release of an earlier run would also manage the functions of these tests.
  tests/kubernetes/cluster helm uninstall tributary --namespace tributary-system --ignore-not-found --wait || return
  # More threads than cores, because most tests mostly wait.
  TEST_KUBECONFIG=$(kubeconfig) TEST_PROMLINT=$promlint RUST_TEST_THREADS=6 run_tests operator
}
