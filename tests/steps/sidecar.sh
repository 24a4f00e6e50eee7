# shellcheck shell=bash
# The part sidecar: black-box tests of the built sidecar.

part_sidecar() {
  build
  step "install promlint" install_promlint
  step "sidecar tests" run_sidecar_tests
}

# promlint makes the same checks as `promtool check metrics`. promtool itself needs a build of all of Prometheus.
install_promlint() {
  (cd tests/promlint && go build -trimpath -o "$promlint" .)
}

run_sidecar_tests() {
  TEST_PROMLINT=$promlint run_tests sidecar framing
}
