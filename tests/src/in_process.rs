//! Runs the sidecar's code inside the test process, on an accelerated clock: an hour passes in seconds.

use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use futures_util::future::BoxFuture;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tributary_crds::sidecar_config::SecretUse;
use tributary_sidecar::{AwsChanges, BaseIdentity, Dependencies, Drain, Endpoints, Network, Sidecar};

use crate::mounted::MountedSecrets;
use crate::world::{ACCESS_KEY_ID, EXTERNAL_ID, SECRET_ACCESS_KEY};
use crate::{Aws, Function, Ports};

/// The clock of the in-process AWS, as the sidecar's clock.
#[derive(Clone, Debug)]
struct AwsClock(tributary_local_aws::Clock);

impl tributary_sidecar::clock::Clock for AwsClock {
    fn now(&self) -> SystemTime {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        let real = self.0.real_duration(duration.min(YEAR));
        Box::pin(tokio::time::sleep(real))
    }
}

/// A sidecar that runs as a task until the test ends.
pub struct InProcess {
    _folder: TempDir,
    secrets: MountedSecrets,
    ports: Ports,
}

impl Deref for InProcess {
    type Target = Ports;

    fn deref(&self) -> &Ports {
        &self.ports
    }
}

impl InProcess {
    /// Starts a sidecar with the clock of `aws`, and waits until it is ready.
    ///
    /// # Panics
    /// If it can't be started, or does not become ready within [`DEFAULT_TIMEOUT`](crate::wait::DEFAULT_TIMEOUT).
    pub async fn start(aws: &Aws, function: &Function) -> Self {
        Self::start_with(aws, function, SecretUse::ExternalId, &[("externalId", EXTERNAL_ID)]).await
    }

    /// As [`start`](Self::start), with these entries in another Secret from the beginning.
    ///
    /// # Panics
    /// If it can't be started, or does not become ready within [`DEFAULT_TIMEOUT`](crate::wait::DEFAULT_TIMEOUT).
    pub async fn start_with(aws: &Aws, function: &Function, r#use: SecretUse, entries: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let started = Self::listen(aws, function, folder, r#use, entries).await;
        started.wait_ready().await;
        started
    }

    async fn listen(
        aws: &Aws,
        function: &Function,
        folder: TempDir,
        r#use: SecretUse,
        entries: &[(&str, &str)],
    ) -> Self {
        let secrets = MountedSecrets::new(folder.path().to_owned());
        let keys = Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "test");
        let dependencies = Dependencies {
            identity: BaseIdentity::Given(SharedCredentialsProvider::new(keys)),
            secrets: secrets.path().to_owned(),
            endpoints: Endpoints { s3: Some(aws.endpoint()), sts: Some(aws.endpoint()) },
            network: Network::default(),
            region: None,
            clock: Arc::new(AwsClock(aws.clock().clone())),
            aws_changes: AwsChanges::default(),
            drain: Drain { delay: Duration::ZERO, grace: Duration::from_secs(20) },
            log: None,
        };
        let events = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let admin = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = |listener: &TcpListener| listener.local_addr().expect("a bound port");
        let ports = Ports::new(address(&events), address(&admin));
        let started = Self { _folder: folder, secrets, ports };
        started.write_external_id(EXTERNAL_ID);
        started.publish(r#use, entries);
        tokio::spawn(Sidecar::new(function.config(), dependencies).run(events, admin, std::future::pending()));
        started
    }

    /// Replaces all entries of a Secret.
    pub fn publish(&self, r#use: SecretUse, entries: &[(&str, &str)]) {
        self.secrets.publish(r#use, entries);
    }

    /// Replaces the external ID in its Secret.
    pub fn write_external_id(&self, value: &str) {
        self.publish(SecretUse::ExternalId, &[("externalId", value)]);
    }
}
