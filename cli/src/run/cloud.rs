//! Sets up the AWS that the sidecar uses: an embedded S3 and STS, or the real AWS.

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

/// The S3 and STS that the sidecar calls.
pub enum Cloud {
    /// The real AWS, or the endpoints that the function names.
    Real,
    /// An S3 and an STS in this process.
    Embedded(Box<Embedded>),
}

/// An S3 and an STS in this process.
pub struct Embedded {
    /// The server; its clones share one state.
    pub aws: LocalAws,
    /// The socket that it serves: a free port of 127.0.0.1.
    pub listener: TcpListener,
    /// The directory of its objects.
    pub data: PathBuf,
    /// Where its accounts come from, shown at the start.
    pub note: String,
    identity: Identity,
    accounts: Option<WatchedFile>,
}

impl Cloud {
    /// The real AWS, or the endpoints that the function names, with AWS's default credential chain.
    pub fn real() -> Self {
        Self::Real
    }

    /// An embedded AWS with the accounts of the file or, without one, accounts that match the function.
    ///
    /// # Errors
    /// One line: the accounts file is wrong, the directory can't be created, or no port is free.
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

    /// The base identity, with which the sidecar assumes the role.
    pub fn identity(&self) -> BaseIdentity {
        match self {
            Self::Real => BaseIdentity::Chain,
            Self::Embedded(embedded) => BaseIdentity::Given(SharedCredentialsProvider::new(embedded.identity.clone())),
        }
    }

    /// URLs of the embedded S3 and STS; none for the real AWS, where the function's endpoints apply.
    pub fn endpoints(&self) -> Endpoints {
        match self {
            Self::Real => Endpoints::default(),
            Self::Embedded(embedded) => {
                let url = embedded.listener.local_addr().ok().map(|address| format!("http://{address}"));
                Endpoints { s3: url.clone(), sts: url }
            }
        }
    }

    /// Applies an edit of the accounts file, or returns why it is invalid; `None` if there was no edit.
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
    /// The file that a successful PutObject wrote; `None` for any other call.
    pub fn file_of(&self, call: &Call) -> Option<PathBuf> {
        let stored = call.operation == "PutObject" && call.status == Some(200);
        let (bucket, key) = (call.bucket.as_ref()?, call.key.as_ref()?);
        stored.then(|| self.data.join(bucket).join(key))
    }
}

/// The accounts that match the function, and a sentence about them for the user.
fn matching(function: &Function) -> Result<(AccountBook, String), String> {
    if let Some(external_id) = function.external_id() {
        return Ok((AccountBook::matching(function, external_id.reveal())?, "set up to match the file".to_owned()));
    }
    // Without an external ID to match, the role requires a random one, which the note shows.
    let external_id = crate::external_id::random().map_err(|error| error.to_string())?;
    let reference = &function.config.spec.external_id_secret_ref;
    let note = format!(
        "the file has no Secret {} with an external ID under the key {}; the embedded role demands the external ID {external_id}",
        reference.name, reference.key
    );
    Ok((AccountBook::matching(function, &external_id)?, note))
}

/// Provides the base identity's credentials, which an edit of the accounts file may change.
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
