# shellcheck shell=bash
# The part operator: the built operator, against a control plane.

part_operator() {
  build
  cluster
  step "install promlint" install_promlint
  step "operator tests" run_operator_tests
}

run_operator_tests() {
  # A release that an earlier run left would look after the functions of these tests.
  tests/cluster helm uninstall tributary --namespace tributary-system --ignore-not-found --wait || return
  # More than there are cores: most of them wait most of the time.
  TEST_KUBECONFIG=$(kubeconfig) TEST_PROMLINT=$promlint RUST_TEST_THREADS=6 run_tests operator
}
