//! The door: accepts connections up to a limit, shakes hands where there is TLS, and serves HTTP/1.1 and HTTP/2.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use crate::api::Peer;
use crate::stopping::Stopping;

/// A client that takes longer to shake hands is let go.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// A client that takes longer to send a request's head, or to begin another request, is let go.
const HEAD: Duration = Duration::from_secs(30);
/// Between two tries where the system has no connection to give (file descriptors).
const PAUSE: Duration = Duration::from_millis(100);

/// Where clients come in.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// Most connections at once; others wait in the system's queue.
    pub(super) connections: usize,
    pub(super) stopping: Stopping,
}

impl Door {
    /// Serves until control stops, and then until the last connection has ended.
    pub(super) async fn serve(mut self, router: Router) {
        let permits = Arc::new(Semaphore::new(self.connections));
        let tls = self.tls.take().map(TlsAcceptor::from);
        let mut connections = JoinSet::new();
        while !self.stopping.said() {
            let Ok(permit) = permits.clone().acquire_owned().await else { break };
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = self.stopping.heard() => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let connection = one(stream, peer, tls.clone(), router.clone(), self.stopping.clone());
            connections.spawn(async move {
                connection.await;
                drop(permit);
            });
            while connections.try_join_next().is_some() {}
        }
        // Nobody is kept waiting in the system's queue by a control that will not answer.
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }
}

async fn one(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    stopping: Stopping,
) {
    // Answers are small: waiting to fill a segment would only delay them.
    let _ = stream.set_nodelay(true);
    match tls {
        None => http(stream, peer, router, stopping).await,
        // A handshake that fails is the client's affair.
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                http(stream, peer, router, stopping).await;
            }
        }
    }
}

async fn http<S>(stream: S, peer: SocketAddr, router: Router, mut stopping: Stopping)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = router.layer(Extension(Peer(peer)));
    let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request));
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(128)
        .keep_alive_interval(Duration::from_secs(30));
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    // What breaks off is the client's affair.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopping.heard() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
