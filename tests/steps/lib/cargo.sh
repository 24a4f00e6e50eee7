# shellcheck shell=bash
# The steps that run cargo.

# Every step selects the whole workspace. cargo unifies the features of the selected packages, so another selection would
# rebuild the dependencies. For the same reason, all programs are static, as the images need them (images/build).
workspace() {
  local command=$1
  shift
  CARGO_BUILD_TARGET=host-tuple RUSTFLAGS="-C target-feature=+crt-static" cargo "$command" --locked --workspace "$@"
}

# The test targets of all packages except the one with the black-box tests.
crate_test_targets() {
  cargo metadata --locked --no-deps --format-version 1 | python3 -c '
import json, sys
for package in json.load(sys.stdin)["packages"]:
    if package["name"] != "tributary-tests":
        for target in package["targets"]:
            if "test" in target["kind"]:
                print(target["name"])
'
}

run_tests() {
  local name arguments=()
  for name in "$@"; do
    arguments+=(--test "$name")
  done
  # Without a name, cargo would run all tests.
  if ((${#arguments[@]} == 0)); then
    echo "no tests selected"
    return 1
  fi
  workspace test "${arguments[@]}" -- --show-output
}

# Builds all programs and tests in one step, so the test steps only run them.
build() {
  step "build" workspace build --bins --lib --tests
}
