//! Ours, with its defaults: `none | combined | json`.

use enfilade::middleware::AccessLog;
use enfilade::{Application, Connection, Request};
use http::HeaderValue;

fn main() {
    let app = Application::new(|_: Request| logging::TEXT);
    let app = match std::env::args().nth(1).as_deref() {
        Some("combined") => app.wrap(AccessLog::combined().writer(std::io::sink())),
        Some("json") => app.wrap(AccessLog::json().writer(std::io::sink())),
        _ => app,
    };
    let connection = Connection::default().with_peer(logging::PEER.parse().expect("an address"));
    logging::measure(|| {
        let mut request = Request::get("/library/shelves/3?page=2");
        request.set_connection(connection.clone());
        for (name, value) in logging::HEADERS {
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        pollster::block_on(async {
            let response = app.call(request).await;
            let body = response.into_body().collect(usize::MAX).await;
            body.expect("no failure").len()
        })
    });
}
