//! Every way in which a function can be set up wrong, or AWS be away: it is said, with what to do,
//! and once it is mended events flow again, with nothing restarted.

mod bucket;
mod fairness;
mod role;
mod sts;

use std::time::Duration;

use serde_json::json;
use tributary_crds::conditions::ConditionType::{BucketWritable, ExternalIdAvailable, ExternalIdEnforced, RoleAssumed};
use tributary_crds::conditions::{ConditionType, Reason, Truth};
use tributary_tests::aws::{error, puts, respond, sts};
use tributary_tests::event::{HAPPENED, message_id, track};
use tributary_tests::stored::assert_stored_once;
use tributary_tests::traffic::acknowledged;
use tributary_tests::wait::{SOON, until};
use tributary_tests::world::{
    ACCESS_KEY_ID, BASE_ACCOUNT, EXTERNAL_ID, OTHER_ACCOUNT, PRINCIPAL, ROLE, SECRET_ACCESS_KEY, policy,
};
use tributary_tests::{Aws, Door, Function, Setup, SidecarProcess, Traffic, World};

/// How soon a fault is shown.
const SHOWN: Duration = Duration::from_secs(10);

/// How soon a mended one is over, while events come in.
const OVER: Duration = Duration::from_secs(30);

/// Between two events.
const EVERY: Duration = Duration::from_millis(100);

/// The number of the event that is looked at; traffic counts from 0.
const LOOKED_AT: usize = 500_000;

/// A fault, and what is said of it.
struct Fault {
    condition: ConditionType,
    reason: Reason,
    /// What the sentence holds: the value that is wrong, and what to do about it.
    says: &'static [&'static str],
}

fn fault(condition: ConditionType, reason: Reason, says: &'static [&'static str]) -> Fault {
    Fault { condition, reason, says }
}

impl Fault {
    /// It is shown and told; then `mend` ends it, and events are stored again by the same process.
    async fn is_told_until(&self, aws: &Aws, mut sidecar: SidecarProcess, mend: impl AsyncFnOnce(&SidecarProcess)) {
        let pid = sidecar.pid();
        let traffic = Traffic::start(&sidecar, EVERY);
        let said = sidecar.wait_condition(self.condition, Truth::False, self.reason, SHOWN).await;
        for part in self.says {
            assert!(said.message.contains(part), "{part:?} is not in {:?}", said.message);
        }
        assert!(!said.message.contains(EXTERNAL_ID), "{:?}", said.message);
        assert_eq!(said.message.lines().count(), 1, "no sentence: {:?}", said.message);
        self.is_answered(&sidecar).await;
        assert!(sidecar.status().await.last_error.is_some());

        mend(&sidecar).await;
        traffic.wait_stored(OVER).await;
        sidecar.wait_condition(self.condition, Truth::True, Reason::Ok, SOON).await;
        assert_eq!(sidecar.status().await.last_error, None);
        sidecar.wait_ready().await;
        assert!(sidecar.is_alive() && sidecar.pid() == pid, "it was restarted");
        let outcomes = traffic.finish().await;
        let odd: Vec<_> = outcomes.iter().filter(|o| !matches!(o.status, Some(200 | 503))).collect();
        assert!(odd.is_empty(), "{odd:?}");
        assert_stored_once(&aws.objects(), &acknowledged(&outcomes));
    }

    /// A good event is answered 503 with the condition's reason; what the condition says of the role,
    /// the bucket and AWS is not for whoever sent it.
    async fn is_answered(&self, sidecar: &SidecarProcess) {
        until("an event is answered with the condition's reason", SHOWN, async || {
            let answer = sidecar.send("/v1/track", &track(LOOKED_AT)).await;
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(answer.says_when_to_retry(), "{:?}", answer.headers);
            assert!(answer.tells_no_details(), "{}", answer.text());
            (answer.code() == self.reason.to_string()).then_some(())
        })
        .await;
    }
}
