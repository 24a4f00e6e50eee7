# shellcheck shell=bash
# The part clients: tests the libraries that applications and web pages use, and the programs that read what is stored.

part_clients() {
  step "install node" install_node_client
  step "install python" install_python_client
  step "install readers" install_readers
  step "build go client" build_go_client
  step "build rust client" build_rust_client
  step "install chromium" install_chromium
  build
  step "client tests" run_client_tests
}

install_node_client() {
  local source=$root/tests/clients/node folder=$clients/node
  cmp -s "$source/package-lock.json" "$folder/installed" && return
  mkdir -p "$folder" &&
    cp "$source/package.json" "$source/package-lock.json" "$folder" &&
    npm ci --prefix "$folder" --omit=optional --ignore-scripts --no-audit --no-fund &&
    cp "$source/package-lock.json" "$folder/installed"
}

# Prints the path of the installed Chromium.
find_chromium() {
  local names=(chromium chromium-browser google-chrome google-chrome-stable)
  [[ -z ${CHROMIUM:-} ]] || names=("$CHROMIUM")
  { type -P "${names[@]}" || true; } | grep -m 1 .
}

may_install_packages() {
  [[ $EUID == 0 ]] && type -P apt-get
}

# Installs Chromium if it is missing, and links to it, because the tests start it through the link.
install_chromium() {
  local found
  if [[ -z ${CHROMIUM:-} ]] && ! find_chromium && may_install_packages; then
    apt-get update || true # existing package lists may be sufficient
    apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends chromium
  fi
  if ! found=$(find_chromium); then
    echo "${CHROMIUM:-Chromium} not found: install Chromium (Debian: chromium), or set CHROMIUM to its path"
    return 1
  fi
  "$found" --version && ln -sfn "$found" "$clients/chromium"
}

install_python_client() {
  python_packages "$clients/python" -r "$root/tests/clients/python/requirements.txt"
}

install_readers() {
  python_packages "$clients/readers" -r "$root/tests/clients/readers/requirements.txt"
}

build_go_client() {
  go build -C "$root/tests/clients/go" -o "$clients/go/send" .
}

# The client is no member of the workspace, because its library needs an older HTTP stack.
build_rust_client() {
  cargo build --locked --manifest-path "$root/tests/clients/rust/Cargo.toml" --target-dir "$clients/rust"
}

run_client_tests() {
  # More threads than cores, because many tests mostly wait.
  RUST_TEST_THREADS=4 run_tests sdks readers
}
