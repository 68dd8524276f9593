//! 64 requests of one session at the same time, each of which counts one further.

use std::sync::Arc;
use std::time::Duration;

use enfilade::middleware::{MemorySessions, Session, Sessions};
use enfilade::{Application, HttpError, Request};
use http::HeaderValue;
use salvo::prelude::{Depot, Router, Service, handler};
use salvo::session::{MemoryStore as SalvoStore, SessionDepotExt, SessionHandler};
use salvo::test::TestClient;
use tower::ServiceExt;

const REQUESTS: usize = 64;

/// What a handler does between reading and writing.
async fn work() {
    tokio::time::sleep(Duration::from_millis(5)).await;
}

pub(crate) fn compare() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    println!("| | counted, of {REQUESTS} |\n|---|---|");
    println!("| Enfilade | {} |", runtime.block_on(ours()));
    println!(
        "| tower-sessions | {} |",
        runtime.block_on(tower_sessions())
    );
    println!("| salvo | {} |", runtime.block_on(salvo()));
}

fn pair(set: &HeaderValue) -> HeaderValue {
    let text = set
        .to_str()
        .expect("ASCII")
        .split(';')
        .next()
        .unwrap_or_default();
    HeaderValue::from_str(text).expect("a cookie")
}

async fn ours() -> String {
    let app = Application::new(async |request: Request| -> Result<String, HttpError> {
        let session = Session::load(&request).await?;
        work().await;
        let count = session.update("count", |count: Option<u64>| count.unwrap_or(0) + 1)?;
        Ok(count.to_string())
    });
    let app = app.wrap(Sessions::new(MemorySessions::new(1_000)));
    let first = app.call(Request::get("/")).await;
    let cookie = pair(&first.headers()["set-cookie"]);
    let call = |app: Application, cookie: HeaderValue| async move {
        let mut request = Request::get("/");
        request.headers_mut().insert("cookie", cookie);
        let response = app.call(request).await;
        let body = response.into_body().collect(100).await.expect("a number");
        String::from_utf8_lossy(&body)
            .parse::<usize>()
            .expect("a number")
    };
    let tasks: Vec<_> = (0..REQUESTS)
        .map(|_| tokio::spawn(call(app.clone(), cookie.clone())))
        .collect();
    for task in tasks {
        task.await.expect("a response");
    }
    (call(app, cookie).await - 2).to_string()
}

async fn tower_sessions() -> String {
    use axum::body::Body;
    use tower_sessions::{MemoryStore, SessionManagerLayer};

    async fn count(session: tower_sessions::Session) -> String {
        let count: usize = session.get("count").await.expect("a store").unwrap_or(0);
        work().await;
        session.insert("count", count + 1).await.expect("a store");
        (count + 1).to_string()
    }
    let layer = SessionManagerLayer::new(MemoryStore::default());
    let app = axum::Router::new()
        .route("/", axum::routing::get(count))
        .layer(layer);
    let request = |cookie: Option<HeaderValue>| {
        let mut request = http::Request::new(Body::empty());
        cookie.map(|cookie| request.headers_mut().insert("cookie", cookie));
        request
    };
    let first = app
        .clone()
        .oneshot(request(None))
        .await
        .expect("a response");
    let cookie = pair(&first.headers()["set-cookie"]);
    let tasks: Vec<_> = (0..REQUESTS)
        .map(|_| tokio::spawn(app.clone().oneshot(request(Some(cookie.clone())))))
        .collect();
    for task in tasks {
        task.await.expect("a task").expect("a response");
    }
    let last = app
        .oneshot(request(Some(cookie)))
        .await
        .expect("a response");
    let body = axum::body::to_bytes(last.into_body(), 100)
        .await
        .expect("a number");
    let count: usize = String::from_utf8_lossy(&body).parse().expect("a number");
    (count - 2).to_string()
}

#[handler]
async fn salvo_count(depot: &mut Depot) -> String {
    let session = depot.session_mut().expect("a session");
    let count: usize = session.get("count").unwrap_or(0);
    work().await;
    session.insert("count", count + 1).expect("a number");
    (count + 1).to_string()
}

async fn salvo() -> String {
    let sessions = SessionHandler::builder(SalvoStore::new(), &[7; 64])
        .build()
        .expect("a secret");
    let router = Router::new().hoop(sessions).get(salvo_count);
    let service = Arc::new(Service::new(router));
    let first = TestClient::get("http://localhost/").send(&*service).await;
    let cookie = pair(&first.headers()["set-cookie"]);
    let call = |cookie: HeaderValue| {
        let service = service.clone();
        async move {
            let request = TestClient::get("http://localhost/").add_header("cookie", cookie, true);
            let mut response = request.send(&*service).await;
            let text = salvo::test::ResponseExt::take_string(&mut response).await;
            text.expect("a number").parse::<usize>().expect("a number")
        }
    };
    let tasks: Vec<_> = (0..REQUESTS)
        .map(|_| tokio::spawn(call(cookie.clone())))
        .collect();
    for task in tasks {
        task.await.expect("a response");
    }
    (call(cookie).await - 2).to_string()
}
