# shellcheck shell=bash
# The part stores: tests the built sidecar with other stores than AWS.

readonly stores=$target/tools/stores

part_stores() {
  step "install minio" install_minio
  step "install seaweedfs" install_seaweedfs
  step "install moto" install_moto
  build
  step "store tests" run_store_tests
}

# go_tools FOLDER PACKAGE...: builds programs of the Go module in FOLDER, which names their versions. They are neither
# optimized nor have debug information: this saves a fifth of the build time, and the tests need no speed.
go_tools() {
  local folder=$1 package
  shift
  mkdir -p "$stores/bin"
  for package in "$@"; do
    (cd "$folder" && CGO_ENABLED=0 go build -trimpath -gcflags "all=-N -l" -ldflags "-s -w" -o "$stores/bin/" "$package") ||
      return
  done
}

# The store, and its client, with which the tests set up all stores.
install_minio() {
  go_tools tests/stores/minio github.com/minio/minio github.com/minio/mc
}

install_seaweedfs() {
  go_tools tests/stores/seaweedfs github.com/seaweedfs/seaweedfs/weed
}

install_moto() {
  python_packages "$stores/moto" -r "$root/tests/stores/moto/requirements.txt"
}

run_store_tests() {
  # More threads than cores, because the tests mostly wait for stores to start.
  TEST_STORES=$stores RUST_TEST_THREADS=4 run_tests stores
}
