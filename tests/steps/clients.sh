# shellcheck shell=bash
# The part clients: the libraries that applications and pages use.

part_clients() {
  step "install node" install_node_client
  step "install python" install_python_client
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

# The Chromium that this machine has.
find_chromium() {
  local names=(chromium chromium-browser google-chrome google-chrome-stable)
  [[ -z ${CHROMIUM:-} ]] || names=("$CHROMIUM")
  { type -P "${names[@]}" || true; } | grep -m 1 .
}

may_install_packages() {
  [[ $EUID == 0 ]] && type -P apt-get
}

# The tests start it by a link, whichever it is.
install_chromium() {
  local found
  if [[ -z ${CHROMIUM:-} ]] && ! find_chromium && may_install_packages; then
    apt-get update || true # the lists there are may do
    apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends chromium
  fi
  if ! found=$(find_chromium); then
    echo "there is no ${CHROMIUM:-Chromium}: install Chromium (Debian: chromium), or name one with CHROMIUM"
    return 1
  fi
  "$found" --version && ln -sfn "$found" "$clients/chromium"
}

install_python_client() {
  python_packages "$clients/python" -r "$root/tests/clients/python/requirements.txt"
}

run_client_tests() {
  # More than there are cores: many of them wait most of the time.
  RUST_TEST_THREADS=4 run_tests sdks
}
