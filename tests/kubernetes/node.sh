#!/usr/bin/env bash
# Sourced by the script cluster: a node that runs pods, in its own namespaces. Its network, mounts and processes are isolated
# from the machine, and end with its first process.
# shellcheck disable=SC2034,SC2154 # variables that the script cluster and its other parts share

readonly PODS=10.244.0.0/24 PAUSE_IMAGE=localhost/pause:1

# --- the namespaces --------------------------------------------------------------------

start_node() {
  make_cgroups
  mkdir -p "$node"
  start node unshare --mount --propagation private --net --pid --ipc --uts --fork \
    bash "$sources/enter-node.sh" "$node" "$cluster" "$pause" "$state/node.pid"
  await 10 "the node's namespaces are set up" entered
  enter_node
  # On loopback, so the node neither reaches nor conflicts with other machines. The node's own connections to Services
  # need the route: iptables redirects them only if they have one.
  "${inside[@]}" ip link set lo up
  "${inside[@]}" ip address add "$NODE_ADDRESS/32" dev lo
  "${inside[@]}" ip route add "$SERVICES" dev lo src "$NODE_ADDRESS"
}

# After this, components start in the node.
enter_node() {
  inside=(nsenter --target "$(<"$state/node.pid")" --mount --net --pid --ipc --uts --)
}

# Whether the node's first process is the program that enter-node.sh executes last.
entered() {
  local command
  IFS= read -r -d '' command <"/proc/$(<"$state/node.pid")/cmdline"
  [[ $command == "$pause" ]]
}

# Forwards the API server's address from the machine to the node. The address is the same on both sides, so one
# kubeconfig works for both.
open_door() {
  local address=127.0.0.1:$api_port inside=()
  start forward "$helper" forward "$address" "$address" "/proc/$(<"$state/node.pid")/ns/net"
}

# --- control groups --------------------------------------------------------------------

# Creates the control group in each hierarchy of version 1, or in the single hierarchy of version 2.
make_cgroups() {
  local folder
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
    mkdir "/sys/fs/cgroup/$cgroup"
    enable_controllers /sys/fs/cgroup
    enable_controllers "/sys/fs/cgroup/$cgroup"
  else
    for folder in /sys/fs/cgroup/*/; do
      [[ -L ${folder%/} ]] || mkdir "$folder$cgroup"
    done
  fi
}

# enable_controllers GROUP: enables the controllers that the kubelet requires, if the kernel has them.
enable_controllers() {
  local controller
  for controller in cpu cpuset hugetlb memory pids; do
    if grep -qw "$controller" "$1/cgroup.controllers" && ! grep -qw "$controller" "$1/cgroup.subtree_control"; then
      printf '+%s\n' "$controller" >"$1/cgroup.subtree_control"
    fi
  done
}

# --- the node's programs ---------------------------------------------------------------

write_containerd() {
  local snapshotter=overlayfs
  # The kernel does not allow an overlay on an overlay.
  [[ $(stat --file-system --format %T "$cluster") != overlayfs ]] || snapshotter=native
  cat >"$state/containerd.toml" <<TOML
version = 2
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$PAUSE_IMAGE"
  # Where root may not lower oom_score_adj, runc would fail.
  restrict_oom_score_adj = true
  # A profile would remain loaded in the kernel.
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "$snapshotter"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$(cni_plugins)"
    conf_dir = "$state/cni"
TOML
  # Each pod has a point-to-point link to the node, and all traffic is routed. On a bridge, answers from a Service's pod
  # would bypass iptables unless the kernel has br_netfilter.
  mkdir "$state/cni"
  cat >"$state/cni/pods.conflist" <<JSON
{
  "cniVersion": "0.4.0",
  "name": "pods",
  "plugins": [
    {
      "type": "ptp",
      "ipam": {"type": "host-local", "subnet": "$PODS", "routes": [{"dst": "0.0.0.0/0"}]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
JSON
}

write_kubelet() {
  # No threshold for the disk: on a nearly full disk the kubelet would evict all pods.
  cat >"$state/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_ADDRESS
authentication:
  anonymous: {enabled: false}
  x509: {clientCAFile: "$keys/ca.crt"}
tlsCertFile: "$keys/kubelet.crt"
tlsPrivateKeyFile: "$keys/kubelet.key"
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDomain: cluster.local
clusterDNS: [$DNS_SERVICE]
resolvConf: ""
cgroupDriver: cgroupfs
cgroupRoot: /$cgroup
failCgroupV1: false
failSwapOn: false
oomScoreAdj: 0
evictionHard: {nodefs.available: "0%", nodefs.inodesFree: "0%", imagefs.available: "0%"}
imageGCHighThresholdPercent: 100
volumePluginDir: /var/lib/kubelet/plugins-of-volumes
YAML
}

# CoreDNS's usual configuration without the cache, so a new name resolves immediately. Queries for names outside the
# cluster get NXDOMAIN immediately.
write_coredns() {
  cat >"$state/Corefile" <<COREFILE
cluster.local in-addr.arpa ip6.arpa {
    bind $NODE_ADDRESS
    errors
    ready 127.0.0.1:8181
    kubernetes {
        kubeconfig "$keys/coredns.kubeconfig"
        ttl 5
    }
}
. {
    bind $NODE_ADDRESS
    template ANY ANY {
        rcode NXDOMAIN
    }
}
COREFILE
}

# CoreDNS runs on the node itself; pods reach it through a Service, as usual.
apply_dns() {
  kubectl apply -f - <<YAML
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system, labels: {k8s-app: kube-dns}}
spec:
  clusterIP: $DNS_SERVICE
  ports:
  - {name: dns, port: 53, protocol: UDP}
  - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kube-dns, namespace: kube-system, labels: {kubernetes.io/service-name: kube-dns}}
addressType: IPv4
endpoints: [{addresses: [$NODE_ADDRESS], conditions: {ready: true}}]
ports:
- {name: dns, port: 53, protocol: UDP}
- {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: coredns}
rules:
- {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: coredns}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: coredns}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: coredns}]
YAML
}

start_containerd() {
  write_containerd
  start containerd containerd --config "$state/containerd.toml"
  await 30 "containerd answers" containerd_images list
  image "$PAUSE_IMAGE" "$pause" "$state/pause.tar"
  load "$state/pause.tar"
}

start_node_programs() {
  write_kubelet
  start kubelet "$kubernetes" kubelet --config "$state/kubelet.yaml" \
    --kubeconfig "$keys/node.kubeconfig" --hostname-override node --node-ip "$NODE_ADDRESS"
  # The limits on connection tracking apply to the whole machine, so kube-proxy must not change them.
  start kube-proxy "$kubernetes" kube-proxy --kubeconfig "$keys/kube-proxy.kubeconfig" \
    --hostname-override node --proxy-mode iptables --cluster-cidr "$PODS" \
    --conntrack-max-per-core 0 --oom-score-adj 0
  apply_dns
  write_coredns
  start coredns "$coredns" -conf "$state/Corefile"
  await 60 "the node is ready" kubectl wait --for condition=Ready --timeout 1s node/node
  await 60 "Services are reachable" "${inside[@]}" "$helper" get http://127.0.0.1:10256/healthz
  await 60 "names are resolved" "${inside[@]}" "$helper" get http://127.0.0.1:8181/ready
}

# --- images ----------------------------------------------------------------------------

containerd_images() {
  "${inside[@]}" ctr --namespace k8s.io images "$@"
}

# load ARCHIVE...: imports images, and waits until containerd has labelled them, after which Kubernetes can use them.
load() {
  local archive
  for archive in "$@"; do
    containerd_images import - <"$archive"
  done
  await 30 "Kubernetes has the images" labelled
}

labelled() {
  local images
  images=$(containerd_images list) && ! tail -n +2 <<<"$images" | grep -qv io.cri-containerd.image=managed
}
