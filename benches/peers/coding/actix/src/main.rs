//! actix-web's `Compress` around a service, with its defaults: `case [none]`.

use std::convert::Infallible;

use actix_web::middleware::{Compress, Condition};
use actix_web::{App, HttpResponse, body, test, web};
use coding::Content;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let content = web::Data::new(Content::of(&arguments.next().expect("a case")));
    let is_coded = arguments.next().as_deref() != Some("none");
    let runtime = actix_web::rt::Runtime::new().expect("a runtime");
    let response = |content: web::Data<Content>| async move {
        let mut response = HttpResponse::Ok();
        response.content_type(content.media_type);
        match content.is_stream {
            true => response.streaming(futures_util::stream::iter(
                content.chunks().map(Ok::<_, Infallible>),
            )),
            false => response.body(content.bytes.clone()),
        }
    };
    let app = App::new()
        .app_data(content)
        .wrap(Condition::new(is_coded, Compress::default()))
        .route("/", web::get().to(response));
    let service = runtime.block_on(test::init_service(app));
    coding::measure(|| {
        let request = coding::headers()
            .iter()
            .fold(test::TestRequest::get().uri("/"), |request, header| {
                request.insert_header(*header)
            });
        let request = request.to_request();
        runtime.block_on(async {
            let response = test::call_service(&service, request).await;
            let bytes = body::to_bytes(response.into_body()).await;
            bytes.unwrap_or_else(|_| panic!("no failure")).len()
        })
    });
}
