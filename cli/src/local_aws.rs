//! `tributary local-aws`: serves the embedded S3 and STS, with an admin API, for clusters without AWS.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use serde_json::json;
use tributary_local_aws::{Accounts, Call, LocalAws, Options};
use tributary_runtime::admin_port::{Answer, JSON, TEXT, answer, serve};
use tributary_runtime::{listen, signals};

use crate::{Outcome, address, cannot_listen};

/// Maximum size in bytes of an accounts file sent to `PUT /accounts`.
const MAX_ACCOUNTS_BYTES: usize = 4 << 20;

/// Serves an embedded S3 and STS that enforce AWS's rules, to try functions in a cluster.
///
/// Functions use it if AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_STS of the sidecars are its URL (sidecar.env in the
/// chart's values; see examples/without-aws), or if their own s3.endpoint and sts.endpoint are, which the platform must
/// allow. Objects are kept in memory.
#[derive(clap::Args)]
#[command(after_help = "\
Requests of the admin API:
  GET  /objects                  one line per object: bucket/key
  GET  /objects/BUCKET/KEY       the content of an object
  GET  /calls                    the latest calls, as JSON
  PUT  /accounts                 replaces the accounts, including faults; the body is an accounts file in YAML
  GET  /healthz                  200 while the program runs

Example:
  tributary local-aws examples/accounts.yaml")]
pub struct Arguments {
    /// YAML file with accounts, roles, users, buckets and faults
    accounts: PathBuf,

    /// Address of S3 and STS
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000", value_parser = address)]
    listen: SocketAddr,

    /// Address of the admin API
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001", value_parser = address)]
    admin: SocketAddr,
}

/// Serves until Ctrl-C or SIGTERM. An accounts file that can't be read or parsed is a usage error.
pub fn run(arguments: &Arguments) -> Outcome {
    let path = arguments.accounts.display();
    let accounts = match std::fs::read_to_string(&arguments.accounts) {
        Ok(text) => Accounts::parse(&text),
        Err(error) => return Outcome::Usage(format!("{path}: can't be read: {error}")),
    };
    let accounts = match accounts {
        Ok(accounts) => accounts,
        Err(error) => return Outcome::Usage(format!("{path}: {error}")),
    };
    let aws = LocalAws::new(Options::new(accounts));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Outcome::Error(format!("can't start threads: {error}")),
    };
    match runtime.block_on(serve_until_shutdown(arguments, aws)) {
        Ok(()) => Outcome::Done(String::new()),
        Err(error) => Outcome::Error(error),
    }
}

async fn serve_until_shutdown(arguments: &Arguments, aws: LocalAws) -> Result<(), String> {
    let shutdown = signals::shutdown().map_err(|error| error.to_string())?;
    let bind = |address, flag| listen(address).map_err(|error| cannot_listen(address, &error, flag));
    let (listener, admin) = (bind(arguments.listen, "--listen")?, bind(arguments.admin, "--admin")?);
    for (label, listener) in [("S3 and STS", &listener), ("admin", &admin)] {
        println!("{label:<11} http://{}", listener.local_addr().map_err(|error| error.to_string())?);
    }
    let admin_aws = aws.clone();
    tokio::spawn(serve(admin, move |request| {
        let aws = admin_aws.clone();
        async move { answer_admin(request, &aws).await }
    }));
    aws.serve(listener, shutdown).await;
    Ok(())
}

async fn answer_admin(request: Request<Incoming>, aws: &LocalAws) -> Answer {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::GET, "/healthz") => answer(StatusCode::OK, TEXT, "ok\n"),
        (&Method::GET, "/objects") => answer(StatusCode::OK, TEXT, list_objects(aws)),
        (&Method::GET, "/calls") => answer(StatusCode::OK, JSON, calls(aws)),
        (&Method::PUT, "/accounts") => put_accounts(request, aws).await,
        (&Method::GET, path) => match path.strip_prefix("/objects/").and_then(|name| object_content(aws, name)) {
            Some(content) => answer(StatusCode::OK, "application/octet-stream", content),
            None => answer(StatusCode::NOT_FOUND, TEXT, "no such object; see /objects\n"),
        },
        _ => answer(StatusCode::NOT_FOUND, TEXT, "see tributary local-aws --help\n"),
    }
}

fn list_objects(aws: &LocalAws) -> String {
    let objects = aws.objects();
    let names: BTreeSet<_> = objects.iter().map(|object| (&object.bucket, &object.key)).collect();
    names.into_iter().fold(String::new(), |mut text, (bucket, key)| {
        // Writing to a String never fails.
        let _ = writeln!(text, "{bucket}/{key}");
        text
    })
}

fn object_content(aws: &LocalAws, name: &str) -> Option<bytes::Bytes> {
    let (bucket, key) = name.split_once('/')?;
    let mut objects = aws.objects().into_iter();
    objects.find(|object| object.bucket == bucket && object.key == key).map(|object| object.body)
}

fn calls(aws: &LocalAws) -> String {
    let to_json = |call: &Call| {
        json!({
            "operation": call.operation,
            "caller": call.caller,
            "role": call.role,
            "sessionName": call.session_name,
            "bucket": call.bucket,
            "key": call.key,
            "status": call.status,
            "error": call.error_code,
        })
    };
    let calls: Vec<_> = aws.calls().iter().map(to_json).collect();
    json!(calls).to_string() + "\n"
}

async fn put_accounts(request: Request<Incoming>, aws: &LocalAws) -> Answer {
    let bad_request = |error: String| answer(StatusCode::BAD_REQUEST, TEXT, error + "\n");
    let text = match Limited::new(request.into_body(), MAX_ACCOUNTS_BYTES).collect().await {
        Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Err(error) => return bad_request(error.to_string()),
    };
    match Accounts::parse(&text) {
        Ok(accounts) => {
            aws.set_accounts(accounts);
            answer(StatusCode::OK, TEXT, "ok\n")
        }
        Err(error) => bad_request(error.to_string()),
    }
}
