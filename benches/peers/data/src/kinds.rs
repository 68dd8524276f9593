//! What is read, and by whom.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use actix_web::FromRequest;
use axum::extract::FromRequest as _;
use bytes::Bytes;
use enfilade::middleware::{FormData, FormDataOptions, Multipart, MultipartLimits};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

/// A reader, and how much it found.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) read: Box<dyn Fn() -> usize>,
}

pub(crate) type Group = (&'static str, usize, Vec<Kind>);

#[derive(Deserialize, Serialize)]
struct Order {
    customer: String,
    items: Vec<Item>,
}

#[derive(Deserialize, Serialize)]
struct Item {
    name: String,
    price: f64,
    count: u32,
}

#[derive(Deserialize)]
struct Guest {
    name: String,
    street: String,
    city: String,
    note: String,
    age: u32,
}

impl Guest {
    fn size(&self) -> usize {
        self.name.len() + self.street.len() + self.city.len() + self.note.len() + self.age as usize
    }
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
pub(crate) const MULTIPART: &str = "multipart/form-data; boundary=edge";
const PARTS: usize = 1_000;

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return value;
        }
    }
}

fn kind(name: &'static str, read: impl Fn() -> usize + 'static) -> Kind {
    assert!(read() > 0, "{name} reads nothing");
    Kind {
        name,
        read: Box::new(read),
    }
}

pub(crate) fn ours(content_type: &'static str, body: Bytes) -> enfilade::Request {
    let mut request = enfilade::Request::get("/");
    *request.method_mut() = enfilade::http::Method::POST;
    let content_type = enfilade::http::HeaderValue::from_static(content_type);
    request.headers_mut().insert("content-type", content_type);
    *request.body_mut() = body.into();
    request
}

fn axums(content_type: &'static str, body: Bytes) -> axum::extract::Request {
    let request = axum::http::Request::post("/").header("content-type", content_type);
    request.body(axum::body::Body::from(body)).expect("valid")
}

fn actixs(
    content_type: &'static str,
    body: Bytes,
) -> (actix_web::HttpRequest, actix_web::dev::Payload) {
    let request =
        actix_web::test::TestRequest::post().insert_header(("content-type", content_type));
    request.set_payload(body).to_http_parts()
}

pub(crate) fn kinds() -> Vec<Group> {
    let mut form =
        "name=Ada+Lovelace&street=St.+James%27s+Square+12&city=London&age=36&note=".to_owned();
    form += &"x".repeat(200 - form.len());
    let form = Bytes::from(form);
    let item = |number: u32| Item {
        name: format!("door {number}"),
        price: 12.5,
        count: number,
    };
    let order = Order {
        customer: "Ada".to_owned(),
        items: (0..20).map(item).collect(),
    };
    let json = Bytes::from(serde_json::to_vec(&order).expect("JSON"));
    let part = "--edge\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\ntiny\r\n";
    let parts = Bytes::from(part.repeat(PARTS) + "--edge--\r\n");
    vec![
        ("form of 200 bytes", 5_000, forms(&form)),
        ("JSON of 1 KB", 2_000, jsons(&json)),
        ("1,000 tiny parts", 20, multiparts(&parts)),
    ]
}

fn forms(body: &Bytes) -> Vec<Kind> {
    let [a, b, c] = [body.clone(), body.clone(), body.clone()];
    vec![
        kind("Enfilade", move || {
            block_on(ours(FORM, a.clone()).form::<Guest>())
                .expect("a form")
                .size()
        }),
        kind("axum", move || {
            let form = axum::Form::<Guest>::from_request(axums(FORM, b.clone()), &());
            block_on(form).expect("a form").0.size()
        }),
        kind("actix-web", move || {
            let (request, mut payload) = actixs(FORM, c.clone());
            let form = actix_web::web::Form::<Guest>::from_request(&request, &mut payload);
            block_on(form).expect("a form").size()
        }),
    ]
}

fn jsons(body: &Bytes) -> Vec<Kind> {
    let [a, b, c, d] = [body.clone(), body.clone(), body.clone(), body.clone()];
    vec![
        kind("Enfilade", move || {
            block_on(ours(JSON, a.clone()).json::<Order>())
                .expect("JSON")
                .items
                .len()
        }),
        kind("serde_json, and our request", move || {
            let request = ours(JSON, d.clone());
            let body = request.body().as_bytes().expect("in memory");
            serde_json::from_slice::<Order>(body)
                .expect("JSON")
                .items
                .len()
        }),
        kind("axum", move || {
            let json = axum::Json::<Order>::from_request(axums(JSON, b.clone()), &());
            block_on(json).expect("JSON").items.len()
        }),
        kind("actix-web", move || {
            let (request, mut payload) = actixs(JSON, c.clone());
            let json = actix_web::web::Json::<Order>::from_request(&request, &mut payload);
            block_on(json).expect("JSON").items.len()
        }),
    ]
}

fn multiparts(body: &Bytes) -> Vec<Kind> {
    let [a, b, c, d] = [body.clone(), body.clone(), body.clone(), body.clone()];
    vec![
        kind("Enfilade", move || {
            block_on(async {
                let mut request = ours(MULTIPART, a.clone());
                let mut form =
                    Multipart::from_request(&mut request, MultipartLimits::new()).expect("a form");
                let mut size = 0;
                while let Some(mut part) = form.next_part().await.expect("a part") {
                    while let Some(chunk) = part.chunk().await.expect("content") {
                        size += chunk.len();
                    }
                }
                size
            })
        }),
        kind("Enfilade, `FormData`", move || {
            block_on(async {
                let mut request = ours(MULTIPART, d.clone());
                let form = FormData::from_request(&mut request, &FormDataOptions::new())
                    .await
                    .expect("a form");
                form.fields().map(|(_, text)| text.len()).sum()
            })
        }),
        kind("axum (multer)", move || {
            block_on(async {
                let form = axum::extract::Multipart::from_request(axums(MULTIPART, b.clone()), &());
                let mut form = form.await.expect("a form");
                let mut size = 0;
                while let Some(mut part) = form.next_field().await.expect("a part") {
                    while let Some(chunk) = part.chunk().await.expect("content") {
                        size += chunk.len();
                    }
                }
                size
            })
        }),
        kind("actix-multipart", move || {
            block_on(async {
                let (request, mut payload) = actixs(MULTIPART, c.clone());
                let mut form = actix_multipart::Multipart::from_request(&request, &mut payload)
                    .await
                    .expect("a form");
                let mut size = 0;
                while let Some(part) = form.next().await {
                    let mut part = part.expect("a part");
                    while let Some(chunk) = part.next().await {
                        size += chunk.expect("content").len();
                    }
                }
                size
            })
        }),
    ]
}
