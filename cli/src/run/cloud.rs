//! Sets up the AWS that the sidecar uses: an embedded S3 and STS, or the real AWS. It gives the sidecar its base
//! identity and endpoints, and applies edits of the accounts file to the embedded AWS.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use parking_lot::Mutex;
use tributary_local_aws::{Call, LocalAws, Options, Store};
use tributary_sidecar::{BaseIdentity, Endpoints, Network};

use super::embedded_accounts::{AccessKey, EmbeddedAccounts};
use super::function::Function;
use super::watched_file::WatchedFile;

/// The S3 and STS that the sidecar calls.
pub enum Cloud {
    /// The real AWS, or the endpoints that the function names; reached as the environment says.
    Real(Network),
    /// An S3 and an STS in this process.
    Embedded(Box<Embedded>),
}

/// An S3 and an STS in this process.
pub struct Embedded {
    /// The server; its clones share one state.
    pub aws: LocalAws,
    /// The listening socket of the server, on a free port of 127.0.0.1.
    pub listener: TcpListener,
    /// The directory in which the embedded S3 stores objects.
    pub data: PathBuf,
    /// Where the accounts come from, printed at the start.
    pub description: String,
    identity: EmbeddedIdentity,
    accounts_file: Option<WatchedFile>,
    /// Whether the accounts file was invalid when it was last read.
    accounts_are_invalid: bool,
}

/// An edit of the accounts file.
pub enum AccountsEdit {
    /// It is applied.
    Applied,
    /// The file was invalid; now it is valid and applied.
    Restored,
    /// The file is invalid, for this reason; the embedded AWS continues unchanged.
    Invalid(String),
}

impl Cloud {
    /// The real AWS, or the endpoints that the function names, with AWS's default credential chain.
    ///
    /// # Errors
    /// One line, if a variable of the environment can't be used.
    pub fn real() -> Result<Self, String> {
        Ok(Self::Real(Network::of_environment()?))
    }

    /// An embedded AWS with the accounts of the file or, without a file, accounts that match the function.
    ///
    /// # Errors
    /// One line, if the accounts file is invalid, the directory can't be created, or no port is free.
    pub fn embedded(data: &Path, accounts: Option<&Path>, function: &Function) -> Result<Self, String> {
        let (accounts, file, description) = match accounts {
            Some(path) => {
                let (file, text) = WatchedFile::open(path)?;
                let accounts = EmbeddedAccounts::parse(&text);
                let accounts = accounts.map_err(|error| format!("{}: {error}", path.display()))?;
                (accounts, Some(file), format!("configured by {}", path.display()))
            }
            None => {
                let external_id = function.external_id().ok_or("the function's file has no external ID")?;
                let accounts = EmbeddedAccounts::for_function(function, external_id.reveal())?;
                (accounts, None, "configured to match the file".to_owned())
            }
        };
        let store = Store::files(data).map_err(|error| format!("--data {}: {error}", data.display()))?;
        let options = Options { store, ..Options::new(accounts.accounts) };
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .map_err(|error| format!("the embedded AWS can't listen: {error}"))?;
        Ok(Self::Embedded(Box::new(Embedded {
            aws: LocalAws::new(options),
            listener,
            data: data.to_owned(),
            description,
            identity: EmbeddedIdentity(Arc::new(Mutex::new(accounts.base_key))),
            accounts_file: file,
            accounts_are_invalid: false,
        })))
    }

    /// The base identity, which the sidecar uses to assume the role.
    pub fn identity(&self) -> BaseIdentity {
        match self {
            Self::Real(_) => BaseIdentity::Chain,
            Self::Embedded(embedded) => BaseIdentity::Given(SharedCredentialsProvider::new(embedded.identity.clone())),
        }
    }

    /// The URLs of the embedded S3 and STS. For the real AWS there are none, and the function's own endpoints apply.
    pub fn endpoints(&self) -> Endpoints {
        match self {
            Self::Real(_) => Endpoints::default(),
            Self::Embedded(embedded) => {
                let url = embedded.listener.local_addr().ok().map(|address| format!("http://{address}"));
                Endpoints { s3: url.clone(), sts: url }
            }
        }
    }

    /// Where objects of the bucket are whose keys begin with the prefix: a URL, or a folder of this machine.
    pub fn location(&self, bucket: &str, prefix: &str) -> String {
        match self {
            Self::Real(_) => format!("s3://{bucket}/{prefix}"),
            Self::Embedded(embedded) => embedded.data.join(bucket).join(prefix).display().to_string(),
        }
    }

    /// How the sidecar reaches it.
    pub fn network(&self) -> Network {
        match self {
            Self::Real(network) => network.clone(),
            Self::Embedded(_) => Network::default(),
        }
    }

    /// Applies an edit of the accounts file, if it was edited and is valid.
    pub fn apply_edit(&mut self) -> Option<AccountsEdit> {
        let Self::Embedded(embedded) = self else { return None };
        let text = embedded.accounts_file.as_mut()?.read_if_edited()?;
        let accounts = text.and_then(|text| EmbeddedAccounts::parse(&text));
        let was_invalid = std::mem::replace(&mut embedded.accounts_are_invalid, accounts.is_err());
        Some(match accounts {
            Ok(accounts) => {
                *embedded.identity.0.lock() = accounts.base_key;
                embedded.aws.set_accounts(accounts.accounts);
                if was_invalid { AccountsEdit::Restored } else { AccountsEdit::Applied }
            }
            Err(why) => AccountsEdit::Invalid(why),
        })
    }
}

impl Embedded {
    /// The file that a successful PutObject wrote; `None` for any other call.
    pub fn stored_file(&self, call: &Call) -> Option<PathBuf> {
        let stored = call.operation == "PutObject" && call.status == Some(200);
        let (bucket, key) = (call.bucket.as_ref()?, call.key.as_ref()?);
        stored.then(|| self.data.join(bucket).join(key))
    }
}

/// Provides the base identity's credentials, which an edit of the accounts file may change.
#[derive(Clone, Debug)]
struct EmbeddedIdentity(Arc<Mutex<Option<AccessKey>>>);

impl ProvideCredentials for EmbeddedIdentity {
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
