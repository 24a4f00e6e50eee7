#!/usr/bin/env bash
# Sourced by the script cluster: etcd, the API server, the controllers and the scheduler.
# shellcheck disable=SC2034,SC2154 # variables that the script cluster and its other parts share

# The usual addresses. With a node, they exist only in the node's network namespace.
readonly SERVICES=10.96.0.0/16 API_SERVICE=10.96.0.1 DNS_SERVICE=10.96.0.10
readonly NODE_ADDRESS=10.10.0.1

# free_ports COUNT: sets $ports to that many loopback ports on which nothing listens. The first port is derived from the
# folder's name, so two checkouts rarely compete for the same ports, and all are below Linux's ephemeral ports.
free_ports() {
  local port=$((20000 + 16#$id % 10000))
  ports=()
  while ((${#ports[@]} < $1)); do
    (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || ports+=("$port")
    ((port += 1))
  done
}

# --- keys ------------------------------------------------------------------------------

# certificate NAME SUBJECT [EXTENSION...]: creates NAME.crt, signed by the cluster's CA, and NAME.key.
certificate() {
  local name=$1 subject=$2 extension arguments=()
  shift 2
  for extension in "$@"; do
    arguments+=(-addext "$extension")
  done
  [[ $name == ca ]] || arguments+=(-CA "$keys/ca.crt" -CAkey "$keys/ca.key")
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -days 365 -batch \
    -subj "$subject" -keyout "$keys/$name.key" -out "$keys/$name.crt" "${arguments[@]}"
}

make_keys() {
  mkdir --mode 700 "$keys"
  # OpenSSL creates CA certificates by default, which is correct only for this one.
  certificate ca "/CN=tests-cluster"
  certificate apiserver "/CN=kube-apiserver" basicConstraints=CA:FALSE extendedKeyUsage=serverAuth \
    "subjectAltName=IP:127.0.0.1,IP:$NODE_ADDRESS,IP:$API_SERVICE,DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local"
  # The API server's client certificate for the kubelet, for logs and exec. The kubelet accepts only certificates.
  certificate apiserver-to-kubelet "/O=system:masters/CN=kube-apiserver" basicConstraints=CA:FALSE extendedKeyUsage=clientAuth
  certificate kubelet "/CN=node" basicConstraints=CA:FALSE extendedKeyUsage=serverAuth "subjectAltName=IP:$NODE_ADDRESS"
  # RSA, with which cloud providers' clusters sign their tokens too.
  openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$keys/service-account.key"
}

# user NAME GROUP: creates a token for the user, and a kubeconfig with the user's name.
user() {
  local token
  token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s,%s,%s,"%s"\n' "$token" "$1" "$1" "$2" >>"$keys/tokens.csv"
  cat >"$keys/${1##*:}.kubeconfig" <<YAML
apiVersion: v1
kind: Config
current-context: tests-cluster
contexts: [{name: tests-cluster, context: {cluster: tests-cluster, user: "$1"}}]
users: [{name: "$1", user: {token: "$token"}}]
clusters:
- name: tests-cluster
  cluster: {server: "https://127.0.0.1:$api_port", certificate-authority-data: $(base64 -w0 <"$keys/ca.crt")}
YAML
}

make_users() {
  user admin system:masters
  user system:kube-controller-manager ""
  user system:kube-scheduler ""
  user system:kube-proxy ""
  user system:node:node system:nodes
  user coredns ""
}

# --- processes -------------------------------------------------------------------------

# start_control_plane ADDRESS: the API server listens on this address, the other components on loopback.
start_control_plane() {
  free_ports 3
  api_port=${ports[0]}
  local etcd=http://127.0.0.1:${ports[1]} etcd_peers=http://127.0.0.1:${ports[2]}
  make_keys
  make_users

  # The data need not survive a crash, so etcd does not sync it to disk.
  start etcd "$kubernetes" etcd --data-dir "$state/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls "$etcd" --advertise-client-urls "$etcd" \
    --listen-peer-urls "$etcd_peers" --initial-advertise-peer-urls "$etcd_peers" \
    --initial-cluster "default=$etcd_peers"

  # Verifiers of service account tokens fetch the issuer's documents. With a node, pods must be able to do so.
  local issuer=https://127.0.0.1:$api_port
  ((${#inside[@]} == 0)) || issuer=https://kubernetes.default.svc.cluster.local
  start kube-apiserver "$kubernetes" kube-apiserver --etcd-servers "$etcd" \
    --bind-address "$1" --secure-port "$api_port" --advertise-address "$NODE_ADDRESS" \
    --service-cluster-ip-range "$SERVICES" --allow-privileged \
    --tls-cert-file "$keys/apiserver.crt" --tls-private-key-file "$keys/apiserver.key" \
    --client-ca-file "$keys/ca.crt" --token-auth-file "$keys/tokens.csv" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction,PodSecurity \
    --service-account-issuer "$issuer" --service-account-jwks-uri "$issuer/openid/v1/jwks" \
    --service-account-key-file "$keys/service-account.key" \
    --service-account-signing-key-file "$keys/service-account.key" \
    --kubelet-certificate-authority "$keys/ca.crt" --kubelet-preferred-address-types InternalIP \
    --kubelet-client-certificate "$keys/apiserver-to-kubelet.crt" \
    --kubelet-client-key "$keys/apiserver-to-kubelet.key"

  ((${#inside[@]} == 0)) || open_door
  await 60 "the API server is ready" kubectl get --raw /readyz

  # Started only now, because a component that finds no API server retries only after seconds. There is one replica of
  # each, so no leader election, and nothing scrapes their metrics. The default rate limit would slow the controllers.
  start kube-controller-manager "$kubernetes" kube-controller-manager \
    --kubeconfig "$keys/kube-controller-manager.kubeconfig" --leader-elect=false --secure-port 0 \
    --kube-api-qps 200 --kube-api-burst 400 --use-service-account-credentials --root-ca-file "$keys/ca.crt" \
    --service-account-private-key-file "$keys/service-account.key" \
    --cluster-signing-cert-file "$keys/ca.crt" --cluster-signing-key-file "$keys/ca.key"
  start kube-scheduler "$kubernetes" kube-scheduler \
    --kubeconfig "$keys/kube-scheduler.kubeconfig" --leader-elect=false --secure-port 0

  # Pods can be created once the controllers have created the default service account.
  await 60 "the controllers run" kubectl get serviceaccount default
  # In cloud providers' clusters the issuer's documents are public. Kubernetes has a role to read them.
  kubectl create clusterrolebinding public-issuer --group system:unauthenticated \
    --clusterrole system:service-account-issuer-discovery
}
