//! Enfilade: `synchronous | asynchronous | inserts | passing | passing-asynchronous` and a depth.
//!
//! `inserts` is an application without wrappers that sets the headers itself; `passing` are wrappers that do nothing.

use enfilade::middleware::Headers;
use enfilade::{Application, Request, Response, around};
use http::{HeaderName, HeaderValue};

fn header(number: usize) -> (HeaderName, HeaderValue) {
    let name = HeaderName::try_from(layers::name(number)).expect("a name");
    (name, HeaderValue::from_static(layers::VALUE))
}

fn inserts(depth: usize) -> Application {
    let headers: Vec<_> = (0..depth).map(header).collect();
    Application::new(move |_: Request| {
        let mut response = Response::new(layers::TEXT.into());
        for (name, value) in &headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response
    })
}

fn set(app: Application, number: usize) -> Application {
    let (name, value) = header(number);
    app.wrap(Headers::new().set(name, value).expect("a header"))
}

fn pass(app: Application, _: usize) -> Application {
    app.wrap(around("Pass", |inner, request| inner.call(request)))
}

fn main() {
    let (kind, depth) = layers::arguments();
    // Both return a `Response`, so that depth 0 of `inserts` is the same.
    let now = Application::new(|_: Request| Response::new(layers::TEXT.into()));
    let later = Application::new(|_: Request| async { Response::new(layers::TEXT.into()) });
    let app = match &*kind {
        "synchronous" => (0..depth).fold(now, set),
        "asynchronous" => (0..depth).fold(later, set),
        "passing" => (0..depth).fold(now, pass),
        "passing-asynchronous" => (0..depth).fold(later, pass),
        "inserts" => inserts(depth),
        _ => panic!("no such kind: {kind}"),
    };
    let headers = if kind.starts_with("passing") {
        0
    } else {
        depth
    };
    layers::measure(headers, || {
        pollster::block_on(app.call(Request::get("/")))
            .headers()
            .len()
    });
}
