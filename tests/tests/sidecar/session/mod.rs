//! Tests the role's session: it is renewed before it expires, used until it expires, and replaced when S3 refuses it.

mod lifetime;
mod refusals;

use std::time::{Duration, SystemTime};

use tributary_crds::conditions::ConditionType::{BucketWritable, ExternalIdAvailable, RoleAssumed};
use tributary_crds::conditions::{ConditionStatus, Reason};
use tributary_local_aws::{Action, Clock, Fault};
use tributary_tests::aws::{error, latency, puts, sts};
use tributary_tests::event::{message_id, track};
use tributary_tests::stored::{assert_exactly, assert_stored_once};
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::world::EXTERNAL_ID;
use tributary_tests::{Aws, Function, InProcess, Setup, Traffic, World};

const MINUTE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3600);

fn message_ids(count: usize) -> Vec<String> {
    (0..count).map(message_id).collect()
}

/// The interval of events where the number of STS calls must not depend on traffic.
const EVENT_INTERVAL: Duration = Duration::from_millis(200);

/// How soon events are stored again after the faults are removed.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// Parses a time of `/status`.
fn parse_time(text: &str) -> SystemTime {
    text.parse::<jiff::Timestamp>().expect("a time").into()
}
