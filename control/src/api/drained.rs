//! Bodies that were refused before they were read are read to their end all the same: a connection that is closed
//! while a client writes to it is reset, and the refusal with it; and a client that keeps connections would find
//! this one gone at its next request.

use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};

/// Most that is read of a body which nobody wanted.
const MOST: usize = 256 << 20;
/// And for how long at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a lent body comes back to.
type Place = Arc<Mutex<Option<Body>>>;

/// A body that comes back when who it was lent to lets go of it.
struct Lent {
    body: Body,
    place: Place,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let body = mem::take(&mut self.body);
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
    }
}

/// Lends the body to whom the request is for, and reads what is left of it before the answer goes out.
pub async fn drained(request: Request, next: Next) -> Response {
    // Who waits for leave to send has sent nothing, and must not be given leave now.
    let waits = request.headers().contains_key(header::EXPECT);
    if waits || matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let place = Place::default();
    let lent = place.clone();
    let response = next.run(request.map(|body| Body::new(Lent { body, place: lent }))).await;
    let rest = place.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(rest) = rest.filter(|rest| !rest.is_end_stream()) {
        // Who is slower than that loses the answer.
        let _ = tokio::time::timeout(PATIENCE, drain(rest)).await;
    }
    response
}

async fn drain(body: Body) {
    let mut left = MOST;
    let mut stream = body.into_data_stream();
    while let Some(Ok(piece)) = stream.next().await {
        match left.checked_sub(piece.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
