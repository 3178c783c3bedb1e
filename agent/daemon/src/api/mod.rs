//! The HTTP API: how people and tools reach a running daemon.
//!
//! **In:** requests over a Unix socket (identity from the kernel) and over TLS
//! (identity from a hashed token).
//! **Out:** JSON; *enforced* or *failed* for what changes something, never just
//! "accepted".
//! **Not here:** what a request may do ([`evenkeel_core::request`]), the loop
//! that does it ([`crate::event_loop`]), the command line (its own crate).

mod admission;
mod alerts;
mod answer;
mod body;
mod budgets;
mod endpoint;
mod forecast;
mod healing;
mod identity;
mod journal;
mod limits;
mod listen;
mod openapi;
mod overrides;
mod refusals;
mod routes;
mod runs;
mod service;
mod socket;
mod stall;
mod status;
#[cfg(test)]
mod tests;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use evenkeel_core::documents::Documents;
use evenkeel_core::ids::Region;
use evenkeel_store::VerifyingKey;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use crate::forecasters::Forecasters;
use crate::mailbox::Mailbox;
use crate::metrics::Metrics;

pub use alerts::AlertsAnswer;
pub use endpoint::{Endpoint, Needs};
pub use forecast::{ForecastAnswer, ForecastStep, SignalForecast};
pub use journal::VerifyAnswer;
pub use listen::{Bound, bind};
pub use openapi::document as openapi_document;
pub use service::ReloadAnswer;

/// Everything the API needs of the rest of the daemon.
#[derive(Clone, Debug)]
pub struct ApiState {
    /// The loop.
    pub mailbox: Mailbox,
    /// The daemon's region.
    pub region: Region,
    /// The daemon's version.
    pub version: &'static str,
    /// The journal's file, which is opened to read for each request that needs it.
    pub journal: PathBuf,
    /// Under which the journal must verify: the daemon's own, not the one that
    /// the file names.
    pub verifying_key: VerifyingKey,
    /// The documents in force, to tell who is asking.
    pub documents: watch::Receiver<Arc<Documents>>,
    /// Faults that keep newer documents out of force; empty when all is well.
    pub documents_faults: watch::Receiver<Vec<String>>,
    /// Where to ask for the documents to be read again.
    pub reload: mpsc::Sender<ReloadWanted>,
    /// Wakes who looks at the targets, so that it looks at once.
    pub look_now: Arc<Notify>,
    /// What is expected of the targets' loads.
    pub forecasters: Forecasters,
    /// Counted here and shown at `/metrics`.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` says.
    pub readiness: watch::Receiver<Readiness>,
}

/// Somebody wants the documents to be read again now.
#[derive(Debug)]
pub struct ReloadWanted {
    /// How many documents are in force now, or the faults for which the older
    /// ones stay in force.
    pub reply: oneshot::Sender<Result<usize, Vec<String>>>,
}

/// What has to be done before the daemon does its work. All false at the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The journal is open and replayed.
    pub store_open: bool,
    /// Documents are in force.
    pub documents_loaded: bool,
    /// Every due target was evaluated once.
    pub first_evaluation_done: bool,
}

impl Readiness {
    /// What is still missing, in words; empty when ready.
    pub fn missing(self) -> Vec<&'static str> {
        let Readiness { store_open, documents_loaded, first_evaluation_done } = self;
        [
            (store_open, "the journal is not open yet"),
            (documents_loaded, "no documents are in force yet"),
            (first_evaluation_done, "the first evaluation is not done yet"),
        ]
        .into_iter()
        .filter_map(|(is_done, what)| (!is_done).then_some(what))
        .collect()
    }
}

/// Where to listen.
#[derive(Clone, Debug)]
pub struct ApiSettings {
    /// Path of the Unix socket. Its directory must exist.
    pub socket: PathBuf,
    /// Group, by name or number, that may connect; without one, only the
    /// daemon's own.
    pub socket_group: Option<String>,
    /// Where to listen with TLS; `None` for only the socket.
    pub tls: Option<TlsSettings>,
}

/// Where to listen with TLS and as whom.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// PEM file with the certificate, followed by its intermediates.
    pub certificate_file: PathBuf,
    /// PEM file with the private key.
    pub key_file: PathBuf,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The socket's directory is not there.
    #[error("directory `{}` of the API's socket does not exist", directory.display())]
    NoDirectory { directory: PathBuf },
    /// Somebody answers on the socket already.
    #[error("another evenkeeld listens on `{}`", path.display())]
    InUse { path: PathBuf },
    /// Something that is no socket has the name.
    #[error("`{}` exists and is not a socket", path.display())]
    NotASocket { path: PathBuf },
    /// The group is not known.
    #[error("group `{group}` of the API's socket is not in /etc/group")]
    NoGroup { group: String },
    /// The socket cannot be set up.
    #[error("cannot {what} the API's socket `{}`", path.display())]
    Socket {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// A PEM file is unreadable or has not what it should.
    #[error("cannot read the API's {what} from `{}`", path.display())]
    Pem {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// Certificate and key cannot be used (together).
    #[error("cannot use the API's certificate `{}` with key `{}`", certificate.display(), key.display())]
    Certificate {
        certificate: PathBuf,
        key: PathBuf,
        #[source]
        source: rustls::Error,
    },
}

impl ApiError {
    /// What to do about it, without a full stop.
    pub fn hint(&self) -> &'static str {
        match self {
            ApiError::NoDirectory { .. } => {
                "create it, owned by the daemon's account (the systemd unit does with `RuntimeDirectory=evenkeel`)"
            }
            ApiError::InUse { .. } => {
                "stop that daemon first, or give this one its own socket and journal"
            }
            ApiError::NotASocket { .. } => "move it away, or configure another path",
            ApiError::NoGroup { .. } => "create the group, or give its number",
            ApiError::Socket { .. } => {
                "check that the daemon's account may write to the directory, and that the path is shorter than 100 bytes"
            }
            ApiError::Listen { .. } => {
                "check that the address is one of this host's and that nothing else listens there"
            }
            ApiError::Pem { .. } => "check the path, its permissions, and that it is PEM",
            ApiError::Certificate { .. } => {
                "check that the key belongs to the first certificate of the file"
            }
        }
    }
}

/// Listens and serves until `shutdown` is true. Requests that are being answered
/// then may finish, for at most 5 s.
///
/// # Errors
///
/// [`ApiError`] when it cannot listen. Once it listens it does not fail.
pub async fn serve(
    settings: ApiSettings,
    state: ApiState,
    shutdown: watch::Receiver<bool>,
) -> Result<(), ApiError> {
    bind(settings).await?.serve(state, shutdown).await;
    Ok(())
}
