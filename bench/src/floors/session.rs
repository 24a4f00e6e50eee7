//! Assumes the role once, as the sidecar does: a session's requests carry a token of hundreds of bytes.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio_rustls::TlsConnector;

use super::sigv4::{self, Credentials, FORM};
use crate::{double, tls};

/// Requests a session from the double at `sts`.
pub(super) async fn assume_role(sts: SocketAddr, tls: Option<&TlsConnector>) -> Result<Credentials> {
    let role = double::ROLE_ARN.replace(':', "%3A").replace('/', "%2F");
    let form = format!(
        "Action=AssumeRole&Version=2011-06-15&RoleSessionName=floor&RoleArn={role}&ExternalId={}",
        double::EXTERNAL_ID
    );
    let host = sts.to_string();
    let signed = sigv4::sign_form(
        &host,
        &form,
        double::ACCESS_KEY_ID,
        double::SECRET_ACCESS_KEY,
        double::REGION,
        Timestamp::now(),
    );
    let request = Request::post("/")
        .header(HOST, host)
        .header(CONTENT_TYPE, FORM)
        .header("x-amz-date", signed.date)
        .header(AUTHORIZATION, signed.authorization)
        .body(Full::new(Bytes::from(form)))?;
    let stream = tls::connect(sts, tls).await?;
    let (mut requests, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let response = requests.send_request(request).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    let xml = String::from_utf8_lossy(&body);
    ensure!(status == StatusCode::OK, "STS answered {status}: {xml}");
    Ok(Credentials {
        access_key_id: element(&xml, "AccessKeyId")?,
        secret_access_key: element(&xml, "SecretAccessKey")?,
        session_token: element(&xml, "SessionToken")?,
    })
}

/// The text of an element, which the double does not escape.
fn element(xml: &str, name: &str) -> Result<String> {
    let start = xml.split_once(&format!("<{name}>")).map(|(_, rest)| rest);
    let text = start.and_then(|rest| rest.split_once("</")).map(|(text, _)| text);
    text.map(str::to_owned).with_context(|| format!("no {name} in {xml}"))
}
