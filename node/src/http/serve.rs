//! Serving connections: bounded in number, in the time that a client may take to say what it wants,
//! and in the time that the end may take.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Connections at once; more wait in the backlog of the system.
const CONNECTIONS_MAX: usize = 512;
/// How long a client may take to send the head of a request; also how long a connection may idle.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// The most headers of a request.
const HEADERS_MAX: usize = 64;
/// The most bytes of the head of a request.
const HEAD_BYTES: usize = 64 << 10;
/// The pause after the system refused a connection, for example because no file is left.
const PAUSE: Duration = Duration::from_millis(100);
/// How long requests under way may take to finish when the node stops.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `shutdown` is done; then requests under way are finished, within bounds.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    http.max_headers(HEADERS_MAX).max_buf_size(HEAD_BYTES);
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            next = next => next,
            () = &mut shutdown => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Answers are written whole; waiting for more to send would only delay them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY cannot be set");
        }
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection broke off");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were cut off because they took too long to finish");
    }
}
