//! State that handlers share: an async handler, a blocking one, and a wrapper that counts.
//!
//! ```sh
//! cargo run --example state
//! curl -i -d "a door" localhost:8000/notes
//! curl -i localhost:8000/notes
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::Duration;

use enfilade::http::StatusCode;
use enfilade::middleware::Router;
use enfilade::{HttpError, Request, Server, around_async, blocking};

/// Stands for a database: `add` is async, and `report` blocks its thread.
#[derive(Default)]
struct Notes(RwLock<Vec<String>>);

impl Notes {
    async fn add(&self, text: String) -> Result<usize, HttpError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut notes = self.0.write().map_err(|error| error.to_string())?;
        notes.push(text);
        Ok(notes.len())
    }

    fn report(&self) -> Result<String, HttpError> {
        let notes = self.0.read().map_err(|error| error.to_string())?;
        Ok(notes.join("\n") + "\n")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    // A closure captures its state: each has its own clone of the `Arc`. An async closure is cloned for each request.
    let notes = Arc::new(Notes::default());
    let report = {
        let notes = notes.clone();
        move |_: Request| notes.report()
    };
    let add = async move |mut request: Request| {
        let text = request.take_body().collect(1_000).await?;
        let number = notes.add(String::from_utf8(text.to_vec())?).await?;
        Ok::<_, HttpError>((StatusCode::CREATED, format!("Note {number}\n")))
    };
    let visits = Arc::new(AtomicU64::new(0));
    let counted = around_async("counted", async move |inner, request| {
        let number = visits.fetch_add(1, Ordering::Relaxed) + 1;
        let mut response = inner.call(request).await;
        response.headers_mut().insert("x-visit", number.into());
        response
    });
    let router = Router::new()
        .post("/notes", add)
        .get("/notes", blocking(report));
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    Ok(server.serve_forever(router.build()?.wrap(counted))?)
}
