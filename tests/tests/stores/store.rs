//! Starts the stores, each with a bucket, a role and an access key for the base identity.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tributary_tests::process::KillOnDrop;
use tributary_tests::wait::until;

/// The environment variable with the folder of the built stores. `tests/run` builds them into `target/tools/stores`.
const STORES_ENV: &str = "TEST_STORES";

/// How soon a store is ready, on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The bucket of each store.
pub const BUCKET: &str = "events";
/// The role of each store, as far as it knows roles.
pub const ROLE: &str = "arn:aws:iam::123456789012:role/events-writer";
/// The role of SeaweedFS whose trust policy requires the external ID.
pub const CONDITIONAL_ROLE: &str = "arn:aws:iam::123456789012:role/conditional";
/// The base identity's access key.
pub const BASE_KEY: (&str, &str) = ("tributary", "tributary-secret");
/// The administrator's access key.
const ADMIN_KEY: (&str, &str) = ("administrator", "administrator-secret");

/// A running store, which ends when the test drops it.
pub struct Store {
    /// The URL of its S3 and its STS.
    pub endpoint: String,
    /// The region of its bucket.
    pub region: &'static str,
    /// Dropped before the folder that it writes to.
    _process: KillOnDrop,
    folder: TempDir,
}

/// The path of a program that `tests/run stores` installs.
pub fn program(name: &str) -> PathBuf {
    let default = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/stores"));
    let path = std::env::var_os(STORES_ENV).map_or_else(default, PathBuf::from).join(name);
    assert!(path.exists(), "{} is not there: tests/run stores builds it, and sets {STORES_ENV}", path.display());
    path
}

/// Ports that were free a moment ago.
fn free_ports<const COUNT: usize>() -> [u16; COUNT] {
    // All are taken before the first is released, so that they differ.
    let listeners = [(); COUNT].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("a bound port").port())
}

impl Store {
    /// MinIO, with a region of its own, and a policy for its user as `tributary policy` prints it.
    pub async fn minio() -> Self {
        let ([port, console], folder) = (free_ports(), folder());
        let mut command = Command::new(program("bin/minio"));
        command.args(["server", "--address", &format!("127.0.0.1:{port}")]);
        command.args(["--console-address", &format!("127.0.0.1:{console}")]).arg(folder.path().join("data"));
        command.env("MINIO_ROOT_USER", ADMIN_KEY.0).env("MINIO_ROOT_PASSWORD", ADMIN_KEY.1);
        command.env("MINIO_SITE_REGION", "fr-par");
        let store = Self::start(command, port, "fr-par", "/minio/health/ready", folder).await;
        store.make_bucket(ADMIN_KEY);
        let allow = json!({"Effect": "Allow", "Action": ["s3:PutObject", "s3:PutObjectTagging"],
            "Resource": format!("arn:aws:s3:::{BUCKET}/*")});
        let policy = store.folder.path().join("policy.json");
        std::fs::write(&policy, json!({"Version": "2012-10-17", "Statement": [allow]}).to_string()).expect("a file");
        store.mc(&["admin", "policy", "create", "store", "events-writer", policy.to_str().expect("a path")]);
        store.mc(&["admin", "user", "add", "store", BASE_KEY.0, BASE_KEY.1]);
        store.mc(&["admin", "policy", "attach", "store", "events-writer", "--user", BASE_KEY.0]);
        store
    }

    /// SeaweedFS, with a role that anyone may assume, and one that requires an external ID.
    pub async fn seaweedfs() -> Self {
        let (ports, folder) = (free_ports::<8>(), folder());
        let config = folder.path().join("iam.json");
        std::fs::write(&config, seaweedfs_config().to_string()).expect("a file");
        let mut command = Command::new(program("bin/weed"));
        command.args(["mini", "-ip", "127.0.0.1", "-ip.bind", "127.0.0.1", "-dir"]).arg(folder.path());
        let names = ["s3", "s3.grpc", "master", "master.grpc", "volume", "volume.grpc", "filer", "filer.grpc"];
        for (name, port) in names.into_iter().zip(ports) {
            let (service, grpc) = name.split_once('.').map_or((name, ""), |(service, _)| (service, ".grpc"));
            command.arg(format!("-{service}.port{grpc}={port}"));
        }
        command.args(["-admin.ui=false", "-webdav=false", "-s3.port.lance=0", "-s3.port.iceberg=0"]);
        command.arg("-s3.config").arg(&config).arg("-s3.iam.config").arg(&config);
        let store = Self::start(command, ports[0], "us-east-1", "/status", folder).await;
        store.make_bucket(ADMIN_KEY);
        store
    }

    /// moto, which accepts every access key and every role.
    pub async fn moto() -> Self {
        let ([port], folder) = (free_ports(), folder());
        let mut command = Command::new(program("moto/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let store = Self::start(command, port, "us-east-1", "/moto-api/", folder).await;
        store.make_bucket(ADMIN_KEY);
        store
    }

    async fn start(mut command: Command, port: u16, region: &'static str, health: &str, folder: TempDir) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        command.env("HOME", folder.path()).current_dir(folder.path()).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("the file")).stderr(log);
        let mut process = KillOnDrop(command.spawn().expect("a store that can be started"));
        let endpoint = format!("http://127.0.0.1:{port}");
        let http = tributary_tests::http::Http::new();
        until("the store is ready", START_TIMEOUT, async || {
            let ended = process.0.try_wait().expect("the status of the process");
            assert!(ended.is_none(), "the store ended: {}", log_of(folder.path()));
            let answer = http.request(hyper::Method::GET, &format!("{endpoint}{health}"), &[], "").await;
            answer.ok().filter(|answer| answer.status == 200)
        })
        .await;
        Self { endpoint, region, _process: process, folder }
    }

    fn make_bucket(&self, (id, secret): (&str, &str)) {
        self.mc(&["alias", "set", "store", &self.endpoint, id, secret]);
        self.mc(&["mb", "--region", self.region, &format!("store/{BUCKET}")]);
    }

    /// Runs MinIO's client, and returns its output.
    fn mc(&self, arguments: &[&str]) -> Vec<u8> {
        let mut command = Command::new(program("bin/mc"));
        let output = command.arg("--config-dir").arg(self.folder.path().join("mc")).args(arguments).output();
        let output = output.expect("mc can be started");
        let error =
            || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "mc {arguments:?}: {}\n{}", error(), log_of(self.folder.path()));
        output.stdout
    }

    /// The keys and the contents of all objects.
    pub fn objects(&self) -> Vec<(String, Vec<u8>)> {
        let place = format!("store/{BUCKET}");
        let listed = self.mc(&["ls", "--recursive", "--json", &place]);
        let lines = String::from_utf8(listed).expect("JSON");
        let keys = lines.lines().map(|line| {
            let listed: Value = serde_json::from_str(line).expect("JSON");
            listed["key"].as_str().expect("a key").to_owned()
        });
        keys.map(|key| (key.clone(), self.mc(&["cat", &format!("{place}/{key}")]))).collect()
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn log_of(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

/// The configuration of SeaweedFS: its users, roles and policies.
fn seaweedfs_config() -> Value {
    let user = |(id, secret): (&str, &str), actions: Value| json!({"name": id, "credentials": [{"accessKey": id, "secretKey": secret}], "actions": actions});
    let role = |arn: &str, condition: Value| {
        let name = arn.rsplit('/').next();
        let mut trust = json!({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]});
        if !condition.is_null() {
            trust["Condition"] = condition;
        }
        json!({"roleName": name, "roleArn": arn, "attachedPolicies": ["all"],
               "trustPolicy": {"Version": "2012-10-17", "Statement": [trust]}})
    };
    let condition = json!({"StringEquals": {"sts:ExternalId": tributary_tests::world::EXTERNAL_ID}});
    let all =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]});
    json!({
        "identities": [user(ADMIN_KEY, json!(["Admin"])), user(BASE_KEY, json!([]))],
        "sts": {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "seaweedfs",
                "signingKey": "c2lnbmluZy1rZXktb2YtMzItY2hhcmFjdGVycyEhIQ=="},
        "policy": {"defaultEffect": "Deny", "storeType": "memory"},
        "policies": [{"name": "all", "document": all}],
        "roles": [role(ROLE, json!(null)), role(CONDITIONAL_ROLE, condition)],
    })
}
