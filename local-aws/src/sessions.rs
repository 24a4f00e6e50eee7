//! Temporary credentials: made by STS, known by their access key id until well after they end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use s3s::auth::SecretKey;

use crate::accounts::Role;
use crate::arn;
use crate::policy::Policy;

/// How long an ended session is remembered, so that its credentials are told to have
/// expired rather than to be unknown.
const REMEMBERED: Duration = Duration::from_secs(6 * 3600);
/// Sessions held at most; beyond it the one that ends first goes.
const MOST: usize = 10_000;

/// A role assumed by somebody for some time.
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    pub(crate) secret: SecretKey,
    pub(crate) token: String,
    pub(crate) expires: SystemTime,
    pub(crate) account: String,
    pub(crate) role_arn: String,
    pub(crate) name: String,
    pub(crate) assumed_role_arn: String,
    /// What narrows the role's own policy down.
    pub(crate) policy: Option<Policy>,
    /// Whether it carries tags that go along into the next role.
    pub(crate) transitive_tags: bool,
}

/// What a session is made of.
pub(crate) struct NewSession<'a> {
    pub(crate) role: &'a Role,
    pub(crate) name: &'a str,
    pub(crate) expires: SystemTime,
    pub(crate) policy: Option<Policy>,
    pub(crate) transitive_tags: bool,
}

/// All sessions, by access key id.
#[derive(Default)]
pub(crate) struct Sessions(RwLock<HashMap<String, Arc<Session>>>);

impl Sessions {
    pub(crate) fn get(&self, access_key_id: &str) -> Option<Arc<Session>> {
        let sessions = self.0.read();
        sessions.get(access_key_id).cloned()
    }

    /// Makes a session and lets go of those that ended long ago.
    pub(crate) fn issue(&self, new: NewSession<'_>, now: SystemTime) -> Arc<Session> {
        let NewSession { role, name, .. } = new;
        let session = Arc::new(Session {
            access_key_id: format!("ASIA{}", letters(16).to_uppercase()),
            secret: SecretKey::from(letters(40)),
            token: letters(356),
            expires: new.expires,
            account: role.account.clone(),
            role_arn: role.arn.clone(),
            name: name.to_owned(),
            assumed_role_arn: arn::assumed_role(role.partition, &role.account, &role.name, name),
            policy: new.policy,
            transitive_tags: new.transitive_tags,
        });
        let mut sessions = self.0.write();
        if sessions.len() >= MOST {
            sessions.retain(|_, old| old.expires + REMEMBERED > now);
        }
        if sessions.len() >= MOST {
            let first = sessions.values().min_by_key(|old| old.expires);
            if let Some(id) = first.map(|old| old.access_key_id.clone()) {
                sessions.remove(&id);
            }
        }
        sessions.insert(session.access_key_id.clone(), Arc::clone(&session));
        session
    }
}

fn letters(count: usize) -> String {
    (0..count).map(|_| fastrand::alphanumeric()).collect()
}
