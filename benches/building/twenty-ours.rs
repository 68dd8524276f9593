//! An application with twenty wrappers: Enfilade.

use std::error::Error;
use std::time::Duration;

use enfilade::middleware::{
    AccessLog, BodyLimit, CatchPanic, Compression, Cors, Headers, Propagate, RequestId, Router,
    Timeout,
};
use enfilade::{Request, Server};
use http::HeaderName;

fn main() -> Result<(), Box<dyn Error>> {
    let app = Router::new()
        .get("/", |_: Request| "Hello, world!")
        .get("/users/{id}", |request: Request| {
            format!("user {}", request.params().get("id").unwrap_or_default())
        })
        .post("/users", async |_: Request| "made")
        .build()?
        .wrap(BodyLimit::new(1 << 20))
        .wrap(Compression::new())
        .wrap(Headers::new().set("x-one", "1")?)
        .wrap(Headers::new().set("x-two", "2")?)
        .wrap(Headers::new().set("x-three", "3")?)
        .wrap(Headers::new().set("x-four", "4")?)
        .wrap(Headers::new().set("x-five", "5")?)
        .wrap(Headers::new().set("x-six", "6")?)
        .wrap(Headers::new().set("x-seven", "7")?)
        .wrap(Headers::new().set("x-eight", "8")?)
        .wrap(Headers::new().set("x-nine", "9")?)
        .wrap(Headers::new().set("x-ten", "10")?)
        .wrap(Headers::new().set("x-eleven", "11")?)
        .wrap(Headers::new().set("x-twelve", "12")?)
        .wrap(Cors::any_origin())
        .wrap(Timeout::new(Duration::from_secs(10)))
        .wrap(Propagate::new([HeaderName::from_static("x-tenant")])?)
        .wrap(RequestId::new())
        .wrap(CatchPanic::new())
        .wrap(AccessLog::combined());
    Server::bind("127.0.0.1:8000")?.serve_forever(app)?;
    Ok(())
}
