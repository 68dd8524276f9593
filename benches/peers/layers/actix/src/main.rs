//! actix-web with a `DefaultHeaders` for each header: `wrap` and a depth. Only a few depths, because each is a type.

use actix_web::middleware::DefaultHeaders;
use actix_web::{App, test, web};

fn header(number: usize) -> DefaultHeaders {
    DefaultHeaders::new().add((layers::name(number), layers::VALUE))
}

/// Measures an application with as many wrappers as numbers.
macro_rules! wrapped {
    ($depth:expr, $app:expr;) => {{
        let runtime = actix_web::rt::Runtime::new().expect("a runtime");
        let service = runtime.block_on(test::init_service($app));
        layers::measure($depth, || {
            let request = test::TestRequest::get().uri("/").to_request();
            runtime.block_on(async {
                let response = test::call_service(&service, request).await;
                // Without its own header of the media type.
                response.headers().len() - 1
            })
        });
    }};
    ($depth:expr, $app:expr; $number:literal $($rest:literal)*) => {
        wrapped!($depth, $app.wrap(header($number)); $($rest)*)
    };
}

fn main() {
    let (kind, depth) = layers::arguments();
    assert_eq!(kind, "wrap", "the only kind");
    let app = App::new().route("/", web::get().to(async || layers::TEXT));
    match depth {
        0 => wrapped!(depth, app;),
        1 => wrapped!(depth, app; 0),
        5 => wrapped!(depth, app; 0 1 2 3 4),
        10 => wrapped!(depth, app; 0 1 2 3 4 5 6 7 8 9),
        20 => wrapped!(depth, app; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19),
        _ => panic!("no such depth: {depth}"),
    }
}
