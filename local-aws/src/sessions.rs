//! Issues temporary credentials, and remembers them by access key ID until well after they expire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::RwLock;
use s3s::auth::SecretKey;

use crate::accounts::Role;
use crate::arn;
use crate::policy::Policy;

/// How long an expired session is remembered, so that its credentials are reported as expired
/// rather than unknown.
const EXPIRED_RETENTION: Duration = Duration::from_secs(6 * 3600);
/// Maximum number of sessions; beyond it, the one that expires first is dropped.
const MAX_SESSIONS: usize = 10_000;

/// An assumed role, with its temporary credentials.
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    pub(crate) secret: SecretKey,
    pub(crate) token: String,
    pub(crate) expires: SystemTime,
    pub(crate) account: String,
    pub(crate) role_arn: String,
    pub(crate) name: String,
    pub(crate) assumed_role_arn: String,
    /// The session policy, which restricts what the role's policy allows.
    pub(crate) policy: Option<Policy>,
    /// Whether it has transitive session tags, which are passed on when it assumes another role.
    pub(crate) transitive_tags: bool,
}

/// The parameters of a new session.
pub(crate) struct NewSession<'a> {
    pub(crate) role: &'a Role,
    pub(crate) name: &'a str,
    pub(crate) expires: SystemTime,
    pub(crate) policy: Option<Policy>,
    pub(crate) transitive_tags: bool,
}

/// All sessions, by access key ID.
#[derive(Default)]
pub(crate) struct Sessions(RwLock<HashMap<String, Arc<Session>>>);

impl Sessions {
    pub(crate) fn get(&self, access_key_id: &str) -> Option<Arc<Session>> {
        let sessions = self.0.read();
        sessions.get(access_key_id).cloned()
    }

    /// Creates a session; if there are too many, drops those that expired long ago.
    pub(crate) fn issue(&self, new: NewSession<'_>, now: SystemTime) -> Arc<Session> {
        let NewSession { role, name, .. } = new;
        let session = Arc::new(Session {
            access_key_id: format!("ASIA{}", random_alphanumeric(16).to_uppercase()),
            secret: SecretKey::from(random_alphanumeric(40)),
            token: random_alphanumeric(356),
            expires: new.expires,
            account: role.account.clone(),
            role_arn: role.arn.clone(),
            name: name.to_owned(),
            assumed_role_arn: arn::assumed_role(role.partition, &role.account, &role.name, name),
            policy: new.policy,
            transitive_tags: new.transitive_tags,
        });
        let mut sessions = self.0.write();
        if sessions.len() >= MAX_SESSIONS {
            sessions.retain(|_, old| old.expires + EXPIRED_RETENTION > now);
        }
        if sessions.len() >= MAX_SESSIONS {
            let first = sessions.values().min_by_key(|old| old.expires);
            if let Some(id) = first.map(|old| old.access_key_id.clone()) {
                sessions.remove(&id);
            }
        }
        sessions.insert(session.access_key_id.clone(), Arc::clone(&session));
        session
    }
}

fn random_alphanumeric(count: usize) -> String {
    (0..count).map(|_| fastrand::alphanumeric()).collect()
}
