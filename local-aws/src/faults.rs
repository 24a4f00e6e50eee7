//! What goes wrong on demand: errors, lost answers, broken answers and latency.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::answer::status_of;
use crate::calls::Service;
use crate::request::{OPERATIONS, Target};

/// A rule: which calls it hits, what it does to them, and how often. The fields left out
/// match everything.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The service called.
    pub service: Option<Service>,
    /// The operation called, as `PutObject`.
    #[serde(default, deserialize_with = "operation")]
    pub operation: Option<String>,
    /// The bucket asked for.
    pub bucket: Option<String>,
    /// The ARN of the role asked for, of AssumeRole and its like.
    pub role: Option<String>,
    /// What the object's key begins with, as it stands in the request's path.
    pub key_prefix: Option<String>,
    /// Whether the call carries `If-None-Match`.
    pub conditional: Option<bool>,
    /// What happens.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub action: Action,
    /// The share of the calls that it happens to, 0 to 1; absent: all.
    #[serde(default, deserialize_with = "probability")]
    pub probability: Option<f64>,
    /// How many times it happens; absent: for ever.
    pub count: Option<u64>,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// The service's error of this code, as `SlowDown`, with the status that AWS gives it.
    #[serde(deserialize_with = "code")]
    Error(String),
    /// The connection is cut before anything is done.
    Refuse,
    /// The call is done, so that PutObject has stored, and the connection is cut instead
    /// of an answer.
    StoreThenDrop,
    /// The call is done and the connection is cut in the middle of the answer's body.
    CutBody,
    /// The call is done and the answer is good HTTP whose body ends in the middle.
    TruncateBody,
    /// The call is done and the answer's body is no XML (nor JSON).
    InvalidBody,
    /// The call is not done, and this is the whole answer: what a proxy or another server would say.
    Respond(CannedResponse),
    /// Nothing is done and no answer comes, until the client ends the connection.
    Hang,
    /// The call takes this many milliseconds more; rules that follow apply too.
    LatencyMs(u64),
}

/// An answer to give as it stands, without the headers that AWS adds to its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CannedResponse {
    /// The HTTP status.
    pub status: u16,
    /// The headers, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body.
    #[serde(default)]
    pub body: String,
}

impl Fault {
    /// A fault that hits every call, to be narrowed by its fields.
    #[must_use]
    pub fn new(action: Action) -> Fault {
        Fault {
            service: None,
            operation: None,
            bucket: None,
            role: None,
            key_prefix: None,
            conditional: None,
            action,
            probability: None,
            count: None,
        }
    }

    fn hits(&self, target: &Target) -> bool {
        fn fits(wanted: Option<&String>, actual: Option<&str>) -> bool {
            wanted.is_none_or(|wanted| Some(wanted.as_str()) == actual)
        }
        self.service.is_none_or(|service| service == target.service)
            && fits(self.operation.as_ref(), Some(target.operation))
            && fits(self.bucket.as_ref(), target.bucket.as_deref())
            && fits(self.role.as_ref(), target.role.as_deref())
            && self.key_prefix.as_ref().is_none_or(|prefix| target.key.starts_with(prefix.as_str()))
            && self.conditional.is_none_or(|conditional| conditional == target.conditional)
    }
}

fn operation<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if OPERATIONS.contains(&name.as_str()) {
        Ok(Some(name))
    } else {
        Err(D::Error::custom(format!("operation {name:?} is none of {}", OPERATIONS.join(", "))))
    }
}

fn probability<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&share) {
        Ok(Some(share))
    } else {
        Err(D::Error::custom(format!("probability {share} is not from 0 to 1")))
    }
}

fn code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let code = String::deserialize(deserializer)?;
    let known = [Service::S3, Service::Sts].map(|service| status_of(service, &code));
    if known.iter().any(Option::is_some) {
        Ok(code)
    } else {
        Err(D::Error::custom(format!("error code {code:?} is not one of S3's or STS's")))
    }
}

/// What is to happen to one call.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How long it waits first.
    pub(crate) latency: Duration,
    /// What else happens, if anything.
    pub(crate) action: Option<Action>,
}

/// The rules in force.
pub(crate) struct Faults(Mutex<Rules>);

struct Rules {
    /// Each with the times that it may still happen.
    rules: Vec<(Fault, u64)>,
    dice: fastrand::Rng,
}

impl Faults {
    pub(crate) fn new(faults: Vec<Fault>) -> Faults {
        Faults(Mutex::new(Rules::new(faults)))
    }

    pub(crate) fn set(&self, faults: Vec<Fault>) {
        *self.0.lock() = Rules::new(faults);
    }

    /// Decides over one call: latencies add up, and the first other rule that hits ends it.
    pub(crate) fn plan(&self, target: &Target) -> Plan {
        let mut rules = self.0.lock();
        let Rules { rules, dice } = &mut *rules;
        let mut plan = Plan::default();
        for (fault, left) in rules.iter_mut() {
            if *left == 0 || !fault.hits(target) {
                continue;
            }
            if fault.probability.is_some_and(|share| dice.f64() >= share) {
                continue;
            }
            *left -= 1;
            match &fault.action {
                Action::LatencyMs(ms) => plan.latency += Duration::from_millis(*ms),
                other => {
                    plan.action = Some(other.clone());
                    return plan;
                }
            }
        }
        plan
    }
}

impl Rules {
    fn new(faults: Vec<Fault>) -> Rules {
        let times = |fault: &Fault| fault.count.unwrap_or(u64::MAX);
        Rules {
            rules: faults.into_iter().map(|f| (f.clone(), times(&f))).collect(),
            // The same calls in the same order meet the same faults, run after run.
            dice: fastrand::Rng::with_seed(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(bucket: &str) -> Target {
        Target { bucket: Some(bucket.to_owned()), ..Target::new(Service::S3, "PutObject") }
    }

    #[test]
    fn rules_in_order_with_counts() {
        let slow = Fault { count: Some(1), ..Fault::new(Action::LatencyMs(5)) };
        let drop = Fault { bucket: Some("a".to_owned()), count: Some(2), ..Fault::new(Action::StoreThenDrop) };
        let faults = Faults::new(vec![slow, drop]);
        assert_eq!(faults.plan(&put("b")).latency, Duration::from_millis(5));
        let action = Some(Action::StoreThenDrop);
        for expected in [action.clone(), action, None] {
            assert_eq!(faults.plan(&put("a")), Plan { latency: Duration::ZERO, action: expected });
        }
    }

    #[test]
    fn a_rule_may_be_for_some_keys_or_for_conditional_calls() {
        let some = Fault { key_prefix: Some("identify/".to_owned()), ..Fault::new(Action::Hang) };
        let conditional = Fault { conditional: Some(true), ..Fault::new(Action::Refuse) };
        let faults = Faults::new(vec![some, conditional]);
        let call = |key: &str, conditional| Target { key: key.to_owned(), conditional, ..put("a") };
        assert_eq!(faults.plan(&call("identify/1", false)).action, Some(Action::Hang));
        assert_eq!(faults.plan(&call("track/1", true)).action, Some(Action::Refuse));
        assert_eq!(faults.plan(&call("track/1", false)).action, None);
    }

    #[test]
    fn an_answer_is_read_from_a_file() {
        let text = "action: {respond: {status: 200, headers: {content-type: text/html}, body: <html>}}";
        let fault: Fault = serde_yaml::from_str(text).unwrap();
        let headers = BTreeMap::from([("content-type".to_owned(), "text/html".to_owned())]);
        assert_eq!(fault.action, Action::Respond(CannedResponse { status: 200, headers, body: "<html>".to_owned() }));
        assert_eq!(serde_yaml::from_str::<Fault>("action: hang").unwrap().action, Action::Hang);
    }

    #[test]
    fn probability_is_a_share() {
        let half = Fault { probability: Some(0.5), ..Fault::new(Action::Refuse) };
        let faults = Faults::new(vec![half]);
        let hit = (0..1000).filter(|_| faults.plan(&put("a")).action.is_some()).count();
        assert!((400..600).contains(&hit), "{hit}");
    }
}
