# shellcheck shell=bash
# The steps of cargo.

# Every step selects the whole workspace: cargo unifies the features of the packages
# that are selected, and others would mean to build the dependencies again. For the same reason
# all programs are static, as those of the images have to be (images/build).
workspace() {
  local command=$1
  shift
  CARGO_BUILD_TARGET=host-tuple RUSTFLAGS="-C target-feature=+crt-static" cargo "$command" --locked --workspace "$@"
}

# The test targets of all packages but that of the black-box tests.
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
  # Without a name cargo would run them all.
  if ((${#arguments[@]} == 0)); then
    echo "there are no such tests"
    return 1
  fi
  workspace test "${arguments[@]}" -- --show-output
}

# Everything that is tested and run, at once: the test steps only run it.
build() {
  step "build" workspace build --bins --lib --tests
}
