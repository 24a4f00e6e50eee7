//! Tests every misconfiguration of a function and every outage of AWS: a condition reports it and how to fix it, and
//! once it is fixed events are stored again without a restart.

mod bucket;
mod fairness;
mod role;
mod store;
mod sts;

use std::time::Duration;

use serde_json::json;
use tributary_crds::conditions::ConditionType::{BucketWritable, ExternalIdAvailable, ExternalIdEnforced, RoleAssumed};
use tributary_crds::conditions::{ConditionStatus, ConditionType, Reason};
use tributary_local_aws::Fault;
use tributary_tests::aws::{error, puts, respond, sts};
use tributary_tests::event::{EVENT_TIME, message_id, track};
use tributary_tests::stored::assert_stored_once;
use tributary_tests::traffic::acknowledged;
use tributary_tests::wait::{DEFAULT_TIMEOUT, until};
use tributary_tests::world::{
    ACCESS_KEY_ID, BASE_ACCOUNT, EXTERNAL_ID, OTHER_ACCOUNT, PRINCIPAL, ROLE, SECRET_ACCESS_KEY, policy,
};
use tributary_tests::{Aws, ClosedPort, Function, Setup, SidecarProcess, Traffic, World};

/// How soon a fault is reported.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// How soon events are stored again after a fault is fixed, while events come in.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// The interval of events.
const EVENT_INTERVAL: Duration = Duration::from_millis(100);

/// The number of the event that is sent to see its answer; traffic counts from 0.
const ANSWER_PROBE: usize = 500_000;

/// A fault, and how a condition must report it.
struct ExpectedFault {
    condition: ConditionType,
    reason: Reason,
    /// Parts of the message: the wrong value, and what to do about it.
    message_parts: Vec<&'static str>,
}

fn fault(condition: ConditionType, reason: Reason, message_parts: &[&'static str]) -> ExpectedFault {
    ExpectedFault { condition, reason, message_parts: message_parts.to_vec() }
}

impl ExpectedFault {
    /// Asserts that the fault is reported in a condition and in answers; then calls `fix` to fix it, and asserts that
    /// the same process stores events again.
    async fn assert_reported_until(
        &self,
        aws: &Aws,
        mut sidecar: SidecarProcess,
        fix: impl AsyncFnOnce(&SidecarProcess),
    ) {
        let pid = sidecar.pid();
        let traffic = Traffic::start(&sidecar, EVENT_INTERVAL);
        let reported =
            sidecar.wait_condition(self.condition, ConditionStatus::False, self.reason, REPORT_TIMEOUT).await;
        for part in &self.message_parts {
            assert!(reported.message.contains(part), "{part:?} is not in {:?}", reported.message);
        }
        assert!(!reported.message.contains(EXTERNAL_ID), "{:?}", reported.message);
        assert_eq!(reported.message.lines().count(), 1, "more than one line: {:?}", reported.message);
        self.assert_answered_503(&sidecar).await;
        assert!(sidecar.status().await.last_error.is_some());

        fix(&sidecar).await;
        traffic.wait_stored(RECOVERY_TIMEOUT).await;
        sidecar.wait_condition(self.condition, ConditionStatus::True, Reason::Ok, DEFAULT_TIMEOUT).await;
        assert_eq!(sidecar.status().await.last_error, None);
        sidecar.wait_ready().await;
        assert!(sidecar.is_alive() && sidecar.pid() == pid, "it was restarted");
        let outcomes = traffic.finish().await;
        let odd: Vec<_> = outcomes.iter().filter(|o| !matches!(o.status, Some(200 | 503))).collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert_stored_once(&aws.objects(), &acknowledged(&outcomes));
    }

    /// Asserts that a valid event is answered 503 with the condition's reason, without the details that only the
    /// function's owner may see.
    async fn assert_answered_503(&self, sidecar: &SidecarProcess) {
        until("an event is answered with the condition's reason", REPORT_TIMEOUT, async || {
            let answer = sidecar.send("/v1/track", &track(ANSWER_PROBE)).await;
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.has_valid_retry_after(), "{:?}", answer.headers);
            assert!(answer.hides_owner_details(), "{}", answer.text());
            (answer.code() == self.reason.to_string()).then_some(())
        })
        .await;
    }
}
