//! The role's session: renewed in time, used for as long as it lives, replaced when it is refused.

mod lifetime;
mod refusals;

use std::time::{Duration, SystemTime};

use tributary_crds::conditions::ConditionType::{BucketWritable, ExternalIdAvailable, RoleAssumed};
use tributary_crds::conditions::{Reason, Truth};
use tributary_local_aws::{Action, Clock, Fault};
use tributary_tests::aws::{error, latency, puts, sts};
use tributary_tests::event::{message_id, track};
use tributary_tests::stored::{assert_exactly, assert_stored_once};
use tributary_tests::wait::{SOON, until};
use tributary_tests::world::EXTERNAL_ID;
use tributary_tests::{Aws, Function, InProcess, Setup, Traffic, World};

const MINUTE: Duration = Duration::from_secs(60);

const HOUR: Duration = Duration::from_secs(3600);

fn ids(count: usize) -> Vec<String> {
    (0..count).map(message_id).collect()
}

/// Between two events of traffic that calls must not follow.
const EVERY: Duration = Duration::from_millis(200);

/// How soon events are stored again once nothing is wrong any more.
const OVER: Duration = Duration::from_secs(30);

/// A time in `/status`.
fn time(text: &str) -> SystemTime {
    text.parse::<jiff::Timestamp>().expect("a time").into()
}
