use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use enfilade_core::{Body, BodyError};
use enfilade_testing::{Client, Lint, TestResponse};
use http_body::{Body as HttpBody, Frame};

use super::*;

type Lines<'a> = &'a [(&'a str, &'a str)];

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn client(options: MethodOverride) -> Client {
    let app = Application::new(|mut request: Request| async move {
        let method = request.method().clone();
        let content = request
            .take_body()
            .collect(1_000_000)
            .await
            .unwrap_or_default();
        format!("{method} {}", String::from_utf8_lossy(&content))
    });
    Client::new(app.wrap(Lint::new()).wrap(options).wrap(Lint::new()))
}

fn post(options: MethodOverride, target: &str, headers: Lines<'_>, body: Body) -> TestResponse {
    let client = client(options);
    let request = client.post(target).body(body);
    let add = |request: enfilade_testing::RequestBuilder, (name, value): &(&str, &str)| {
        request.header(*name, *value)
    };
    headers.iter().fold(request, add).send()
}

#[test]
fn a_post_becomes_what_it_names_where_that_is_allowed() {
    let all = || MethodOverride::new().query("m").form_field("_method");
    let header = "x-http-method-override";
    let cases: [(MethodOverride, &str, Lines<'_>, &str, &str); 16] = [
        (all(), "/", &[(header, "PATCH")], "", "PATCH "),
        (all(), "/", &[(header, "patch")], "", "PATCH "),
        (
            all(),
            "/",
            &[(header, "PUT"), (header, "DELETE")],
            "",
            "POST ",
        ),
        (all(), "/", &[(header, "CONNECT")], "", "POST "),
        (all(), "/?m=delete", &[], "", "DELETE "),
        (all(), "/?m=delete", &[(header, "PUT")], "", "PUT "),
        (
            MethodOverride::new(),
            "/?m=delete",
            &[FORM],
            "_method=PUT",
            "POST _method=PUT",
        ),
        (
            all(),
            "/",
            &[FORM],
            "_method=put&a=1",
            "PUT _method=put&a=1",
        ),
        (
            all(),
            "/",
            &[FORM],
            "a=1&%5Fmethod=DELETE",
            "DELETE a=1&%5Fmethod=DELETE",
        ),
        (
            all(),
            "/",
            &[FORM],
            "_method=GET&_method=PUT",
            "POST _method=GET&_method=PUT",
        ),
        (all(), "/", &[FORM], "(%bad-params%)", "POST (%bad-params%)"),
        (
            all(),
            "/",
            &[("content-type", "text/plain")],
            "_method=PUT",
            "POST _method=PUT",
        ),
        (
            all(),
            "/",
            &[(
                "content-type",
                "Application/X-WWW-Form-Urlencoded; charset=UTF-8",
            )],
            "_method=PUT",
            "PUT _method=PUT",
        ),
        (
            all().allow([Method::OPTIONS]),
            "/",
            &[FORM],
            "_method=options",
            "OPTIONS _method=options",
        ),
        (all().header(None), "/", &[(header, "PUT")], "", "POST "),
        (
            all().form_limit(10),
            "/",
            &[FORM],
            "_method=PUT",
            "POST _method=PUT",
        ),
    ];
    for (options, target, headers, body, expected) in cases {
        let bodies = [
            Body::from(body),
            Body::from_iterator(body.as_bytes().chunks(3)),
        ];
        for body in bodies {
            let response = post(options.clone(), target, headers, body);
            assert_eq!(response.text(), expected, "{target} {headers:?}");
        }
    }
    let client = client(all());
    for request in [client.get("/?m=put"), client.put("/?m=delete")] {
        let response = request.header(header, "DELETE").send();
        let method = response.text();
        assert!(["GET ", "PUT "].contains(&&*method), "{method}");
    }
}

#[test]
fn a_long_form_is_not_held() {
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = taken.clone();
    let app = Application::new(move |_: Request| {
        counted
            .load(std::sync::atomic::Ordering::SeqCst)
            .to_string()
    });
    let app = app.wrap(MethodOverride::new().form_field("_method"));
    let body = Body::from_iterator((0..1_000).map(move |_| {
        taken.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        vec![b'a'; 1024]
    }));
    let response = Client::new(app)
        .post("/")
        .header(FORM.0, FORM.1)
        .body(body)
        .send();
    // The first chunk that is beyond the limit is the last that is read.
    assert_eq!(response.text(), "65");
}

#[test]
fn a_form_that_breaks_off_does_so_for_the_application() {
    let failing = Body::new(Failing(2));
    let response = post(
        MethodOverride::new().form_field("_method"),
        "/",
        &[FORM],
        failing,
    );
    assert_eq!(response.text(), "POST ");
}

/// Some chunks, and then an error.
struct Failing(u8);

impl HttpBody for Failing {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0 = self.0.wrapping_sub(1);
        Poll::Ready(match self.0 {
            u8::MAX => None,
            0 => Some(Err(BodyError::new("cable cut"))),
            _ => Some(Ok(Frame::data("_method=PUT".into()))),
        })
    }
}

#[test]
fn keeps_the_laws() {
    let options = MethodOverride::new().query("m").form_field("_method");
    // Its header names methods, so without those that it allows nothing may change.
    enfilade_testing::laws::check(options.clone().allow([]));
    enfilade_testing::laws::Check::new(options).rewrites().run();
}
