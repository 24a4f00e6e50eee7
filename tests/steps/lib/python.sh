# shellcheck shell=bash
# Installs Python packages.

# python_packages FOLDER PIP-ARGUMENT...: creates a virtual environment with these packages, and recreates it when the
# arguments change.
python_packages() {
  local folder=$1 wanted
  shift
  wanted=$(python3 --version && printf '%s\n' "$@" && if [[ $1 == -r ]]; then cat "$2"; fi) || return
  [[ $(cat "$folder/installed" 2>/dev/null) == "$wanted" ]] && return
  python3 -m venv --clear "$folder" &&
    "$folder/bin/python" -m pip install --disable-pip-version-check --quiet "$@" &&
    printf '%s\n' "$wanted" >"$folder/installed"
}
