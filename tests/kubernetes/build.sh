#!/usr/bin/env bash
# Sourced by the script cluster: builds the cluster's programs, and installs packages from Debian.
# shellcheck disable=SC2034,SC2154 # variables that the script cluster and its other parts share

# Kubernetes and CoreDNS are pinned in go.mod.
readonly HELM=v3.21.4

check_go() {
  local version
  version=$(go env GOVERSION 2>/dev/null) || fail "this machine lacks Go 1.24 or newer, as go"
  # A version that does not start with go1.N is a development version, newer than any release.
  if [[ $version =~ ^go1\.([0-9]+) ]] && ((BASH_REMATCH[1] < 24)); then
    fail "Go 1.24 or newer is needed, and this is $version"
  fi
}

# built NAME KEY COMMAND...: sets $built to a folder in the cache. If the folder does not exist, runs the command in it,
# and removes older builds of that name.
built() {
  local name=$1 key=$2 lock
  shift 2
  built=$cluster/cache/$name-$key
  [[ ! -d $built ]] || return 0
  mkdir -p "$cluster/cache"
  exec {lock}>"$cluster/cache/lock"
  flock "$lock"
  [[ -d $built ]] || step "build $name" build "$name" "$@"
  exec {lock}>&-
}

# The folder gets its final name only when the command has succeeded, so an interrupted build leaves no incomplete one.
build() {
  local name=$1
  shift
  rm -rf "$cluster/cache/$name-"*
  mkdir "$built.part"
  (cd "$built.part" && "$@")
  mv "$built.part" "$built"
}

build_kubernetes() {
  local key
  check_go
  key=$(cd "$sources" && go env GOVERSION GOARCH | cat - go.mod go.sum ./*.go ./*/*.go | sha256sum)
  built kubernetes "${key:0:16}" compile_kubernetes
  kubernetes=$built/kubernetes coredns=$built/coredns pause=$built/pause helper=$built/helper
}

compile_kubernetes() {
  local folder=$PWD package=k8s.io/component-base/version version program
  cd "$sources" || return
  version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
  local minor=${version#v1.}
  # The API server reports this version in discovery, and clients depend on it.
  compile build -ldflags "-s -w -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=${minor%%.*}" \
    -o "$folder/kubernetes" .
  for program in coredns pause helper; do
    compile build -ldflags "-s -w" -o "$folder/$program" "./$program"
  done
}

# compile COMMAND ARGUMENT...: builds static programs, so an image needs only the program. Omitting debug information
# and running the compiler's garbage collector less often saves a fifth of the time.
compile() {
  local command=$1
  shift
  CGO_ENABLED=0 GOGC=200 go "$command" -trimpath -gcflags=all=-dwarf=false "$@"
}

# `helm template` and `helm lint` assume the version of Kubernetes that Helm was built for.
build_helm() {
  local package flags=""
  check_go
  for package in chartutil lint/rules; do
    flags+=" -X helm.sh/helm/v3/pkg/$package.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/$package.k8sVersionMinor=34"
  done
  built helm "$HELM-1.34" go_install "helm.sh/helm/v3/cmd/helm@$HELM" "$flags"
  helm=$built/helm
}

# go_install PACKAGE [LINKER-FLAGS]
go_install() {
  GOBIN=$PWD compile install -ldflags "-s -w${2-}" "$1"
}

# --- requirements of a node ------------------------------------------------------------

# cni_plugins: prints the folder of the standard CNI plugins: Debian's, or the usual one.
cni_plugins() {
  local folder
  for folder in /usr/lib/cni /opt/cni/bin; do
    if [[ -x $folder/ptp && -x $folder/host-local && -x $folder/loopback && -x $folder/portmap ]]; then
      printf '%s\n' "$folder"
      return
    fi
  done
  return 1
}

# Sets $missing to Debian's packages whose programs are not installed.
missing_packages() {
  missing=()
  command -v containerd >/dev/null && command -v ctr >/dev/null || missing+=(containerd)
  command -v runc >/dev/null || missing+=(runc)
  command -v iptables >/dev/null || missing+=(iptables)
  command -v ip >/dev/null || missing+=(iproute2)
  cni_plugins >/dev/null || missing+=(containernetworking-plugins)
}

install_packages() {
  apt-get update --quiet --quiet || true # existing package lists may be sufficient
  DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install --yes --no-install-recommends "$@"
}

# If this machine can't run pods, prints the reason, and exits with the code for "could not run".
check_node() {
  [[ $(uname -s) == Linux ]] || not_here "it is not Linux"
  ((EUID == 0)) || not_here "only root can, and this is $(id -un)"
  unshare --mount --net --pid --ipc --uts --fork --mount-proc true 2>/dev/null || not_here "it allows no new namespaces"
  [[ -w /sys/fs/cgroup ]] || not_here "/sys/fs/cgroup can't be written"
  missing_packages
  ((${#missing[@]} > 0)) || return 0
  command -v apt-get >/dev/null ||
    not_here "it lacks what Debian has in these packages: ${missing[*]}"
  step "install ${missing[*]}" install_packages "${missing[@]}"
  missing_packages
  ((${#missing[@]} == 0)) || not_here "it still lacks what was installed: ${missing[*]}"
}

# --- images ----------------------------------------------------------------------------

# image NAME PROGRAM ARCHIVE: writes an OCI archive of an image that contains only this static program. The archive
# consists of four small files, so this needs neither a tool nor a registry.
image() {
  local name=$1 program=$2 archive=$3 folder config manifest
  folder=$(mktemp -d "$state/image.XXXXXX")
  mkdir -p "$folder/blobs/sha256"
  tar --create --file "$folder/layer" --owner 0 --group 0 --numeric-owner --mode 0755 \
    --directory "${program%/*}" "${program##*/}"
  blob "$folder" "$folder/layer"
  local layer=$blob
  printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["/%s"],"User":"65532:65532"},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
    "$(go env GOARCH)" "${program##*/}" "${layer%% *}" >"$folder/config"
  blob "$folder" "$folder/config"
  config=$blob
  printf '{"schemaVersion":2,"mediaType":"%s","config":%s,"layers":[%s]}' \
    "application/vnd.oci.image.manifest.v1+json" \
    "$(descriptor application/vnd.oci.image.config.v1+json "$config")" \
    "$(descriptor application/vnd.oci.image.layer.v1.tar "$layer")" >"$folder/manifest"
  blob "$folder" "$folder/manifest"
  manifest=$(descriptor application/vnd.oci.image.manifest.v1+json "$blob")
  printf '{"schemaVersion":2,"manifests":[%s,"annotations":{"io.containerd.image.name":"%s"}}]}' \
    "${manifest%\}}" "$name" >"$folder/index.json"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$folder/oci-layout"
  tar --create --file "$archive" --directory "$folder" oci-layout index.json blobs
  rm -r "$folder"
}

# blob FOLDER FILE: moves the file to the path of its digest, and sets $blob to "DIGEST SIZE".
blob() {
  local digest
  digest=$(sha256sum "$2")
  digest=${digest%% *}
  blob="sha256:$digest $(stat --format %s "$2")"
  mv "$2" "$1/blobs/sha256/$digest"
}

descriptor() {
  printf '{"mediaType":"%s","digest":"%s","size":%s}' "$1" "${2% *}" "${2#* }"
}
