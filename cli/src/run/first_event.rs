//! Builds the shell commands that send a first event to the function, ready to paste.
//!
//! The commands contain no secret: they read it from the file that the sidecar reads. That file exists while the
//! function runs, and only this user can read it.

use std::path::Path;

use tributary_crds::function::Ingest;
use tributary_crds::sidecar_config::SecretUse;

use super::mount::Mount;

const EVENT_FIELDS: &str = r#""userId":"u1","event":"Order Completed""#;

/// The lines to print: a sentence and, below it, the commands for the function's kind of authentication.
pub fn commands(ingest: &Ingest, mount: &Mount, url: &str) -> Vec<String> {
    // The function's certificate is probably not valid for this address.
    let curl = if ingest.tls_secret_ref.is_some() { "curl -k" } else { "curl" };
    match (&ingest.write_key_secret_ref, &ingest.signature_secret_ref) {
        (Some(reference), _) => {
            let key = first_line(&mount.file(SecretUse::WriteKey, reference.key.as_str()));
            vec![
                format!(
                    "Send a first event. The command reads the first write key of the Secret {} from the sidecar's file:",
                    reference.name
                ),
                format!("  {curl} -u \"{key}:\" {url}/v1/track -d '{{{EVENT_FIELDS}}}'"),
            ]
        }
        (None, Some(reference)) => {
            let secret = first_line(&mount.file(SecretUse::Signature, reference.key.as_str()));
            let sign = format!("openssl dgst -sha1 -hmac \"{secret}\" -r | cut -d' ' -f1");
            vec![
                format!(
                    "Send a first event, signed with the secret in the Secret {}, read from the sidecar's file:",
                    reference.name
                ),
                format!("  event='{{\"type\":\"track\",{EVENT_FIELDS}}}'"),
                format!("  signature=$(printf %s \"$event\" | {sign})"),
                format!("  {curl} -H \"X-Signature: $signature\" {url}/ -d \"$event\""),
            ]
        }
        (None, None) => {
            vec!["Send a first event:".to_owned(), format!("  {curl} {url}/v1/track -d '{{{EVENT_FIELDS}}}'")]
        }
    }
}

/// A shell expression for the first line of a file that is not empty: a Secret may hold several keys, one per line.
fn first_line(file: &Path) -> String {
    format!("$(grep -m 1 . '{}')", file.display())
}
