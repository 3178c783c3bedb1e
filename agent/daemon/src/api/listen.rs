//! Listening, and the life of a connection.
//!
//! **In:** [`ApiSettings`], connections.
//! **Out:** requests with the peer of their connection, for the router.
//! **Not here:** paths ([`super::routes`]), who may do what ([`super::admission`]),
//! the socket's file ([`super::socket`]), certificates ([`super::tls`]).

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt as _;
use tracing::{debug, info, warn};

use super::identity::{Accounts, Peer};
use super::limits::{
    CERTIFICATE_PERIOD, CONNECTION_AGE_MAX, CONNECTIONS_MAX, HANDSHAKE_TIMEOUT, HEAD_BYTES_MAX,
    HEAD_TIMEOUT, STALL_TIMEOUT, STOP_TIMEOUT,
};
use super::socket::SocketFile;
use super::stall::Impatient;
use super::tls::Certificate;
use super::{ApiError, ApiSettings, ApiState, routes};

/// Listens already; connections wait until [`Bound::serve`].
#[derive(Debug)]
pub struct Bound {
    local: Local,
    remote: Option<Remote>,
}

/// Listens.
///
/// # Errors
///
/// [`ApiError`].
pub async fn bind(settings: ApiSettings) -> Result<Bound, ApiError> {
    bind_with(settings, Accounts::of_this_host()).await
}

pub(crate) async fn bind_with(
    settings: ApiSettings,
    accounts: Accounts,
) -> Result<Bound, ApiError> {
    let ApiSettings { socket, socket_group, tls } = settings;
    // What changes nothing outside comes first.
    let tls = match tls {
        None => None,
        Some(tls) => {
            let certificate = Certificate::read(&tls)?;
            let acceptor = TlsAcceptor::from(Arc::new(certificate.server_config()?));
            Some((tls.listen, certificate, acceptor))
        }
    };
    // Before the port: that the socket is taken says who has both.
    let file = SocketFile::bind(&socket, socket_group.as_deref()).await?;
    info!(socket = %socket.display(), "API listens");
    let remote = match tls {
        None => None,
        Some((address, certificate, acceptor)) => {
            let listener = TcpListener::bind(address)
                .await
                .map_err(|source| ApiError::Listen { address, source })?;
            info!(address = %address, "API listens with TLS");
            Some(Remote { listener, acceptor, certificate })
        }
    };
    Ok(Bound { local: Local { file, accounts }, remote })
}

impl Bound {
    /// The address of the TLS listener, with the port that was free.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.remote.as_ref()?.listener.local_addr().ok()
    }

    /// Serves until `shutdown` is true (or its sender gone). Answers that are
    /// under way then may finish, for at most 5 s.
    pub async fn serve(self, state: ApiState, shutdown: watch::Receiver<bool>) {
        let Bound { local, remote } = self;
        let router = routes::router(state);
        let local = accept_all(Arc::new(local), router.clone(), shutdown.clone());
        match remote {
            None => local.await,
            Some(remote) => {
                let certificate = Arc::clone(&remote.certificate);
                let remote = accept_all(Arc::new(remote), router, shutdown.clone());
                let renewals = renew(certificate, shutdown);
                tokio::join!(local, remote, renewals);
            }
        }
    }
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // A sender that is gone cannot say it any more.
    let _ = shutdown.wait_for(|it| *it).await;
}

async fn renew(certificate: Arc<Certificate>, mut shutdown: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = tokio::time::sleep(CERTIFICATE_PERIOD) => (),
        }
        let certificate = Arc::clone(&certificate);
        if let Err(error) = tokio::task::spawn_blocking(move || certificate.renew()).await {
            warn!(error = %error, "cannot look at the API's certificate");
        }
    }
}

/// Something to listen on.
trait Door: Send + Sync + 'static {
    /// What comes in.
    type Raw: Send + 'static;
    /// What one can speak HTTP over.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next one who knocks.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Raw>> + Send;
    /// Lets it in, after whatever has to come first.
    fn open(&self, raw: Self::Raw)
    -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

#[derive(Debug)]
struct Local {
    file: SocketFile,
    accounts: Accounts,
}

impl Door for Local {
    type Raw = UnixStream;
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        self.file.listener.accept().await.map(|(stream, _)| stream)
    }

    async fn open(&self, stream: UnixStream) -> io::Result<(UnixStream, Peer)> {
        let uid = stream.peer_cred()?.uid();
        let identity = self.accounts.identity(uid).await;
        Ok((stream, Peer::Local(identity)))
    }
}

struct Remote {
    listener: TcpListener,
    acceptor: TlsAcceptor,
    certificate: Arc<Certificate>,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Remote").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl Door for Remote {
    type Raw = (TcpStream, SocketAddr);
    type Stream = TlsStream<TcpStream>;

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.listener.accept().await
    }

    async fn open(
        &self,
        (stream, address): (TcpStream, SocketAddr),
    ) -> io::Result<(TlsStream<TcpStream>, Peer)> {
        stream.set_nodelay(true)?;
        let handshake = self.acceptor.accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
        Ok((stream, Peer::Remote(address)))
    }
}

async fn accept_all<D: Door>(door: Arc<D>, router: Router, mut shutdown: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            // Whoever finds no place waits in the kernel's queue.
            let place = Arc::clone(&places).acquire_owned().await;
            (place, door.accept().await)
        };
        let (place, raw) = tokio::select! {
            () = stopped(&mut shutdown) => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            next = next => next,
        };
        let raw = match raw {
            Ok(raw) => raw,
            Err(error) => {
                warn!(error = %error, "cannot accept a connection");
                // Out of files, most likely: some will be closed meanwhile.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (door, router, shutdown) = (Arc::clone(&door), router.clone(), shutdown.clone());
        connections.spawn(async move {
            let _place = place;
            match door.open(raw).await {
                Ok((stream, peer)) => serve_connection(stream, peer, router, shutdown).await,
                Err(error) => debug!(error = %error, "connection not opened"),
            }
        });
    }
    let finishing = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_TIMEOUT, finishing).await.is_err() {
        warn!(connections = connections.len(), "connections cut off at the stop");
    }
}

pub(crate) async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    mut shutdown: watch::Receiver<bool>,
) {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let router = router.clone();
        async move { Ok::<_, Infallible>(answered(router, request).await) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .keep_alive(true);
    let stream = TokioIo::new(Impatient::new(stream, STALL_TIMEOUT));
    let mut connection = pin!(server.serve_connection(stream, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = until_old_or(&mut shutdown) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(error = %super::answer::chain(&error), "connection ended early");
    }
}

async fn until_old_or(shutdown: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = stopped(shutdown) => (),
        () = tokio::time::sleep(CONNECTION_AGE_MAX) => (),
    }
}

async fn answered(router: Router, request: hyper::Request<Incoming>) -> axum::response::Response {
    match router.oneshot(request.map(Body::new)).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
