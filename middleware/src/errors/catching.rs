//! Catches panics of an application's call and future; the contract catches panics of bodies.

use std::pin::Pin;
use std::task::Poll;

use enfilade_core::{Application, Panic, Reply, Request, Response};

/// Calls an application; `finish` gets its response, or the panic of its call or its future.
///
/// `enter` is called before the call and before each poll of the future. Its result is dropped when they end. `finish`
/// is called on the same thread right after.
pub(crate) fn call_catching<G: 'static>(
    app: &Application,
    request: Request,
    enter: fn() -> G,
    finish: impl FnOnce(Result<Response, Panic>) -> Response + Send + 'static,
) -> Reply {
    let reply = match catch(enter, || app.call(request)) {
        Ok(reply) => reply,
        Err(panic) => return finish(Err(panic)).into(),
    };
    match reply.try_into_response() {
        Ok(response) => finish(Ok(response)).into(),
        Err(pending) => {
            let mut future = pending.into_future();
            Reply::from_future(async move {
                let polled = std::future::poll_fn(|context| {
                    match catch(enter, || Pin::new(&mut future).poll(context)) {
                        Ok(poll) => poll.map(Ok),
                        Err(panic) => Poll::Ready(Err(panic)),
                    }
                });
                finish(polled.await)
            })
        }
    }
}

fn catch<G, T>(enter: fn() -> G, run: impl FnOnce() -> T) -> Result<T, Panic> {
    Panic::catch(|| {
        let _entered = enter();
        run()
    })
}
