//! Wrappers that need a runtime, inside and outside one.

use std::time::Duration;

use enfilade_core::{Application, Reply, Request, around};
use http::Uri;

use super::*;
use crate::laws::check_async;

const NEEDS_RUNTIME: &str = "the component needs a runtime of tokio that runs while it waits: await `laws::check_async` or \
                             `Check::run_async` in a `#[tokio::test]`";

/// Sleeps with a timer of tokio, and then breaks the response if `breaks`.
fn sleeping(breaks: bool) -> impl Middleware + Clone + Send {
    around("sleeping", move |inner: &Application, request: Request| {
        let inner = inner.clone();
        Reply::from_future(async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            let response = inner.call(request).await;
            match breaks {
                true => Response::new(response.into_body()),
                false => response,
            }
        })
    })
}

#[tokio::test(start_paused = true)]
async fn a_wrapper_that_sleeps_keeps_the_laws() {
    check_async(sleeping(false)).await;
    let found = Check::new(sleeping(true)).counter_example_async().await;
    let found = found.expect("it loses the head");
    assert_eq!(
        (found.law(), found.message()),
        (
            Law::Unchanged,
            "the response's extensions are lost on the way out"
        )
    );
}

#[tokio::test]
async fn a_wrapper_that_uses_a_task_keeps_the_laws() {
    let spawning = around("spawning", |inner: &Application, request: Request| {
        let inner = inner.clone();
        let task = tokio::spawn(async move { inner.call(request).await });
        Reply::from_future(async move { task.await.expect("no panic") })
    });
    Check::new(spawning).cases(100).run_async().await;
}

#[tokio::test]
async fn one_that_never_wakes_is_found_in_a_runtime_too() {
    let asleep = around("asleep", |_: &Application, _: Request| {
        Reply::from_future(std::future::pending::<()>())
    });
    let check = Check::new(asleep).cases(1);
    let message = "the component waits, and its task is never woken";
    for found in [check.counter_example_async().await, check.counter_example()] {
        let found = found.expect("it hangs");
        assert_eq!((found.law(), found.message()), (Law::Robust, message));
    }
}

#[test]
fn outside_a_runtime_a_wrapper_that_needs_one_is_not_accused() {
    let found = found(sleeping(false));
    assert_eq!((found.law(), found.message()), (Law::Tested, NEEDS_RUNTIME));
}

#[tokio::test]
async fn on_the_thread_of_the_runtime_that_it_blocks_neither() {
    let found = found(sleeping(false));
    assert_eq!((found.law(), found.message()), (Law::Tested, NEEDS_RUNTIME));
}

#[tokio::test]
async fn nor_one_that_only_requests_of_the_author_reach() {
    let guarded = |app: Application| {
        let inner = app.clone().wrap(sleeping(false));
        Application::new(move |request: Request| match request.path() {
            "/vault" => inner.call(request),
            _ => app.call(request),
        })
    };
    let check = Check::new(guarded).request(|request| request.set_uri(Uri::from_static("/vault")));
    let found = check.counter_example().expect("it sleeps");
    assert_eq!((found.law(), found.message()), (Law::Tested, NEEDS_RUNTIME));
    check.cases(100).run_async().await;
}

#[test]
fn a_panic_of_the_component_itself_is_one() {
    let panicking = around("panicking", |_: &Application, _: Request| -> Reply {
        panic!("no reactor")
    });
    let found = found(panicking);
    assert_eq!(found.law(), Law::Robust);
    assert_eq!(found.message(), "the component panicked: no reactor");
}
