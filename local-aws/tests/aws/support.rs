//! Test support: a running server, clients for it, and the accounts that most tests use.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use aws_smithy_async::time::TimeSource;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tributary_local_aws::{Accounts, Clock, LocalAws, Options, Store};

pub(crate) const WRITER: &str = "arn:aws:iam::111122223333:role/writer";
pub(crate) const EXTERNAL_ID: &str = "wX8/orders";
pub(crate) const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

/// A platform account, whose user assumes roles in the data account, and a third account with a bucket.
pub(crate) const ACCOUNTS: &str = r#"
accounts:
  "999999999999":
    users:
      platform: {accessKeyId: AKIAPLATFORM0000001, secretAccessKey: platform-secret}
      stranger: {accessKeyId: AKIASTRANGER0000001, secretAccessKey: stranger-secret}
  "111122223333":
    roles:
      writer:
        externalId: wX8/orders
        principals: ["arn:aws:iam::999999999999:user/platform"]
        maxSessionDuration: 7200
      open:
        principals: ["arn:aws:iam::999999999999:user/platform"]
    users:
      admin: {accessKeyId: AKIAADMIN0000000001, secretAccessKey: admin-secret}
    buckets:
      lake: {region: us-west-2}
      east: {region: us-east-1}
      foreign: {region: eu-central-1}
  "444455556666":
    buckets:
      theirs: {region: us-west-2}
"#;

#[derive(Debug)]
struct SharedClock(Clock);

impl TimeSource for SharedClock {
    fn now(&self) -> SystemTime {
        self.0.now()
    }
}

pub(crate) struct Aws {
    pub(crate) local: LocalAws,
    pub(crate) address: String,
}

impl Aws {
    pub(crate) async fn start(accounts: &str) -> Aws {
        Aws::start_with_store(accounts, Store::memory()).await
    }

    pub(crate) async fn start_with_store(accounts: &str, store: Store) -> Aws {
        let accounts = Accounts::parse(accounts).expect("the test's accounts are valid");
        Aws::start_with(Options { store, ..Options::new(accounts) }).await
    }

    pub(crate) async fn start_with(options: Options) -> Aws {
        let local = LocalAws::new(options);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address").to_string();
        let server = local.clone();
        tokio::spawn(async move { server.serve(listener, std::future::pending()).await });
        Aws { local, address }
    }

    pub(crate) fn sts(&self, credentials: Credentials) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-west-2"))
            .endpoint_url(format!("http://{}", self.address))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled())
            .time_source(SharedClock(self.local.clock().clone()))
            .credentials_provider(credentials);
        aws_sdk_sts::Client::from_conf(config.build())
    }

    pub(crate) fn s3(&self, region: &'static str, credentials: Credentials) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region))
            .endpoint_url(format!("http://{}", self.address))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .force_path_style(true)
            .retry_config(RetryConfig::disabled())
            .time_source(SharedClock(self.local.clock().clone()))
            .credentials_provider(credentials);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    /// AssumeRole by the platform's user, with no external ID set yet.
    pub(crate) fn assume(&self, role: &str) -> AssumeRoleFluentBuilder {
        let call = self.sts(platform()).assume_role();
        call.role_arn(role).role_session_name("orders")
    }

    /// A session of the writer role, restricted by `policy`.
    pub(crate) async fn writer(&self, policy: Option<&str>) -> Credentials {
        let call = self.assume(WRITER).external_id(EXTERNAL_ID);
        let answer = call.set_policy(policy.map(str::to_owned)).send().await.expect("the role is assumed");
        session(answer.credentials())
    }

    /// Advances the clock of the server and its clients.
    pub(crate) fn advance(&self, time: Duration) {
        let clock = self.local.clock();
        clock.set(clock.now() + time);
    }

    /// Sends `request` as it is and reads until the server closes the connection.
    pub(crate) async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.expect("the server listens");
        stream.write_all(request.as_bytes()).await.expect("the server reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("the server answers");
        answer
    }
}

pub(crate) fn platform() -> Credentials {
    keys("AKIAPLATFORM0000001", "platform-secret", None)
}

pub(crate) fn stranger() -> Credentials {
    keys("AKIASTRANGER0000001", "stranger-secret", None)
}

pub(crate) fn admin() -> Credentials {
    keys("AKIAADMIN0000000001", "admin-secret", None)
}

pub(crate) fn keys(id: &str, secret: &str, token: Option<&str>) -> Credentials {
    Credentials::new(id, secret, token.map(str::to_owned), None, "test")
}

pub(crate) fn session(credentials: Option<&aws_sdk_sts::types::Credentials>) -> Credentials {
    let c = credentials.expect("the answer has credentials");
    keys(c.access_key_id(), c.secret_access_key(), Some(c.session_token()))
}

/// An identity policy with one statement.
pub(crate) fn allow(actions: &[&str], resource: &str) -> String {
    serde_json::json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": actions, "Resource": resource}
    ]})
    .to_string()
}

/// The result of an operation: `ok`, or the error's status and code.
pub(crate) fn outcome<T, E>(result: Result<T, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => {
            let status = error.raw_response().map_or(0, |raw| raw.status().as_u16());
            format!("{status} {}", error.code().unwrap_or("-"))
        }
    }
}
