# shellcheck shell=bash
# The part sidecar: the built sidecar from outside.

part_sidecar() {
  build
  step "install promlint" install_promlint
  step "sidecar tests" run_sidecar_tests
}

# What `promtool check metrics` does. Of promtool itself all of Prometheus would have to be built.
install_promlint() {
  (cd tests/promlint && go build -trimpath -o "$promlint" .)
}

run_sidecar_tests() {
  TEST_PROMLINT=$promlint run_tests sidecar framing
}
