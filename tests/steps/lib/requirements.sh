# shellcheck shell=bash
# Checks for the tools that this machine must have.

missing=()

need() {
  local what=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$what")
}

# The compiler prints the path of the file or, if it does not exist, only its name.
has_static_library() {
  [[ $(uname -s) != Linux || -f $(cc -print-file-name=libc.a) ]]
}

check_needs() {
  need "Rust: cargo, in the version of rust-toolchain.toml (rustup installs it)" cargo --version
  need "a C compiler, as cc" cc --version
  need "make" make --version
  need "a C library to link with statically (Debian: libc6-dev, Fedora: glibc-static)" has_static_library
  need "git" git --version
  need "Python 3.11 or newer, as python3" python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'
  need "Python's venv (Debian: python3-venv)" python3 -c 'import ensurepip, venv'
  if [[ " $* " == *" clients "* ]]; then
    need "Node 20 or newer, as node" node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)'
    need "npm" npm --version
    need "gzip" gzip --version
    # If the packages can be installed, the step "install chromium" reports a failure.
    may_install_packages >/dev/null ||
      need "Chromium, on the PATH or named by CHROMIUM (Debian: chromium)" find_chromium
  fi
  if [[ " $* " =~ \ (sidecar|stores|clients|chart|operator|e2e)\  ]]; then
    # The version that SeaweedFS requires.
    need "Go 1.26.6 or newer, as go" go version
  fi
  if [[ " $* " =~ \ (chart|operator|e2e)\  ]]; then
    need "OpenSSL 3, as openssl" openssl version
  fi
  if [[ " $* " == *" lint "* ]]; then
    need "clippy (rustup component add clippy)" cargo clippy --version
    need "rustfmt (rustup component add rustfmt)" cargo fmt --version
  fi
  if ((${#missing[@]} > 0)); then
    echo "tests/run: this machine lacks:"
    printf '  %s\n' "${missing[@]}"
    exit 1
  fi >&2
}
