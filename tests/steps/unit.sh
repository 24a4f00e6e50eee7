# shellcheck shell=bash
# The part unit: the tests within the crates.

part_unit() {
  build
  step "unit tests" workspace test --lib --bins
  step "crate tests" run_crate_tests
  step "doc tests" workspace test --doc
}

run_crate_tests() {
  local names
  names=$(crate_test_targets) || return
  # shellcheck disable=SC2086 # one word per name
  run_tests $names
}
