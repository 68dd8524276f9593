//! Two wrappers, one a function and one a struct, in two stacks that are independent of each other.
//!
//! ```sh
//! cargo run --example component
//! curl -i localhost:8000/house
//! curl -i -X DELETE localhost:8000/garden
//! ```

#![expect(clippy::print_stdout, reason = "a program prints its address")]

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use enfilade::http::{HeaderValue, Method, StatusCode};
use enfilade::middleware::Router;
use enfilade::{Application, Middleware, Reply, Request, Server, Wrapper, around, wrapped};

/// A function from an application to an application is a wrapper: this one adds the duration of the call.
fn timed(app: Application) -> Application {
    app.wrap(around("timed", |inner, request| {
        let start = Instant::now();
        inner.call(request).update(move |response| {
            let value = format!("app;dur={:.3}", start.elapsed().as_secs_f64() * 1e3);
            let value = HeaderValue::try_from(value).expect("letters, digits and a dot");
            response.headers_mut().insert("server-timing", value);
        })
    }))
}

/// A struct with options is a wrapper too: this one rejects all methods but GET and HEAD.
struct ReadOnly(&'static str);

impl Wrapper for ReadOnly {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        match *request.method() {
            Method::GET | Method::HEAD => inner.call(request),
            _ => Reply::new((StatusCode::FORBIDDEN, self.0)),
        }
    }
}

impl Middleware for ReadOnly {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:8000".to_owned());
    let house = Application::new(|_: Request| "The house\n")
        .wrap(ReadOnly("Please do not touch\n"))
        .wrap(timed);
    let garden = Application::new(|_: Request| "The garden\n")
        .wrap(timed)
        .wrap(ReadOnly("Please do not touch\n"));
    let server = Server::bind(address)?;
    println!("Serving on http://{}", server.local_addr());
    let app = Router::new()
        .mount("/house", house)
        .mount("/garden", garden);
    server.serve_forever(app.build()?)?;
    Ok(())
}
