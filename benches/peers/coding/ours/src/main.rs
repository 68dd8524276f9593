//! Ours: `case [level | memo | none | handover]`; `handover` only switches to another thread and back.

use coding::Content;
use enfilade::middleware::{Coding, Compression};
use enfilade::{Application, Body, Request, Response};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let content = Content::of(&arguments.next().expect("a case"));
    let option = arguments.next();
    if option.as_deref() == Some("handover") {
        return coding::measure(|| pollster::block_on(blocking::unblock(|| 0)));
    }
    let app = Application::new(move |_: Request| {
        let body = match content.is_stream {
            true => Body::from_iterator(content.chunks()),
            false => content.bytes.clone().into(),
        };
        let mut response = Response::new(body);
        let value = http::HeaderValue::from_static(content.media_type);
        response.headers_mut().insert("content-type", value);
        response
    });
    let compression = Compression::new().codings([Coding::Gzip]);
    let app = match option.as_deref() {
        None => app.wrap(compression),
        Some("none") => app,
        Some("memo") => app.wrap(compression.memo(64 * 1024 * 1024)),
        Some(level) => app.wrap(compression.level(Coding::Gzip, level.parse().expect("a level"))),
    };
    coding::measure(|| {
        let mut request = Request::get("/");
        for (name, value) in coding::headers() {
            request
                .headers_mut()
                .insert(*name, http::HeaderValue::from_static(value));
        }
        pollster::block_on(async {
            let response = app.call(request).await;
            response
                .into_body()
                .collect(usize::MAX)
                .await
                .expect("no failure")
                .len()
        })
    });
}
