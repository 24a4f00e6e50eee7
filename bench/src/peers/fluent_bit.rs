//! Fluent Bit's configuration, for its input `http` and its output `s3`.
//! <https://docs.fluentbit.io/manual/pipeline/outputs/s3>
//!
//! It has not been run with this benchmark: Fluent Bit is not on a package registry.

use super::PeerSetup;
use crate::double;

/// Fluent Bit answers a request before its event is stored, so its latency can't be compared with the others'. It
/// uploads what is left when it is stopped.
pub(super) fn configuration(setup: &PeerSetup<'_>) -> String {
    let PeerSetup { listen, endpoint, folder, .. } = setup;
    format!(
        "service: {{flush: 1, grace: 30, log_level: warn}}\n\
         pipeline:\n  \
           inputs:\n    \
             - {{name: http, listen: {ip}, port: {port}, successful_response_code: 200}}\n  \
           outputs:\n    \
             - name: s3\n      \
               match: '*'\n      \
               bucket: {bucket}\n      \
               region: {region}\n      \
               endpoint: {endpoint}\n      \
               use_put_object: on\n      \
               total_file_size: 5M\n      \
               upload_timeout: 1m\n      \
               compression: gzip\n      \
               store_dir: {folder}/store\n      \
               s3_key_format: /events/$UUID.gz\n      \
               json_date_key: false\n",
        ip = listen.ip(),
        port = listen.port(),
        bucket = double::BUCKET,
        region = double::REGION,
        folder = folder.display(),
    )
}
