//! The AWS around the sidecar: an embedded one, or the real one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use parking_lot::Mutex;
use tributary_local_aws::{Call, LocalAws, Options, Store};
use tributary_sidecar::{BaseIdentity, Endpoints};

use super::account_book::{AccountBook, Keys};
use super::function::Function;
use super::watched::WatchedFile;

/// The AWS that the sidecar talks to.
pub enum Cloud {
    /// AWS itself, or what the function names.
    Real,
    /// One in this process.
    Embedded(Box<Embedded>),
}

/// An S3 and an STS in this process.
pub struct Embedded {
    /// The server.
    pub aws: LocalAws,
    /// Where it listens.
    pub listener: TcpListener,
    /// Where its objects are.
    pub data: PathBuf,
    /// What to tell about it at the start.
    pub note: String,
    identity: Identity,
    accounts: Option<WatchedFile>,
}

impl Cloud {
    /// AWS itself, or what the function names, with the usual credentials.
    pub fn real() -> Self {
        Self::Real
    }

    /// An AWS of its own that matches the function, or is as the accounts file says.
    ///
    /// # Errors
    /// One line that says what is wrong with the file or the folder.
    pub fn embedded(data: &Path, accounts: Option<&Path>, function: &Function) -> Result<Self, String> {
        let (book, file, note) = match accounts {
            Some(path) => {
                let (file, text) = WatchedFile::open(path)?;
                let says = |error| format!("{}: {error}", path.display());
                (AccountBook::parse(&text).map_err(says)?, Some(file), format!("as {} says", path.display()))
            }
            None => {
                let (book, note) = matching(function)?;
                (book, None, note)
            }
        };
        let store = Store::files(data).map_err(|error| format!("--data {}: {error}", data.display()))?;
        let options = Options { store, ..Options::new(book.accounts) };
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .map_err(|error| format!("the embedded AWS can't listen: {error}"))?;
        Ok(Self::Embedded(Box::new(Embedded {
            aws: LocalAws::new(options),
            listener,
            data: data.to_owned(),
            note,
            identity: Identity(Arc::new(Mutex::new(book.base))),
            accounts: file,
        })))
    }

    /// What the sidecar is before it assumes the role.
    pub fn identity(&self) -> BaseIdentity {
        match self {
            Self::Real => BaseIdentity::Chain,
            Self::Embedded(embedded) => BaseIdentity::Given(SharedCredentialsProvider::new(embedded.identity.clone())),
        }
    }

    /// Where S3 and STS are, if not where the function says.
    pub fn endpoints(&self) -> Endpoints {
        match self {
            Self::Real => Endpoints::default(),
            Self::Embedded(embedded) => {
                let url = embedded.listener.local_addr().ok().map(|address| format!("http://{address}"));
                Endpoints { s3: url.clone(), sts: url }
            }
        }
    }

    /// Takes up an edit of the accounts file: what came of it, if there was one.
    pub fn look(&mut self) -> Option<Result<(), String>> {
        let Self::Embedded(embedded) = self else { return None };
        let text = embedded.accounts.as_mut()?.changed()?;
        Some(text.and_then(|text| AccountBook::parse(&text)).map(|book| {
            *embedded.identity.0.lock() = book.base;
            embedded.aws.set_accounts(book.accounts);
        }))
    }
}

impl Embedded {
    /// The file that a call stored, if it stored one.
    pub fn file_of(&self, call: &Call) -> Option<PathBuf> {
        let stored = call.operation == "PutObject" && call.status == Some(200);
        let (bucket, key) = (call.bucket.as_ref()?, call.key.as_ref()?);
        stored.then(|| self.data.join(bucket).join(key))
    }
}

/// The accounts that match the function, and what to tell about them.
fn matching(function: &Function) -> Result<(AccountBook, String), String> {
    if let Some(external_id) = function.external_id() {
        return Ok((AccountBook::matching(function, external_id.reveal())?, "set up to match the file".to_owned()));
    }
    // There is nothing to match: the role gets an ID that the file does not have.
    let external_id = crate::external_id::random().map_err(|error| error.to_string())?;
    let reference = &function.config.spec.external_id_secret_ref;
    let note = format!(
        "the file has no Secret {} with an external ID under the key {}; the embedded role demands the external ID {external_id}",
        reference.name, reference.key
    );
    Ok((AccountBook::matching(function, &external_id)?, note))
}

/// The base identity, which an edit of the accounts file may change.
#[derive(Clone, Debug)]
struct Identity(Arc<Mutex<Option<Keys>>>);

impl ProvideCredentials for Identity {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let keys = self.0.lock().clone();
        future::ProvideCredentials::ready(match keys {
            Some(keys) => Ok(Credentials::new(keys.id, keys.secret, None, None, "embedded")),
            None => Err(CredentialsError::not_loaded("the accounts file has no user")),
        })
    }
}
