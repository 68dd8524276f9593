//! What other readers of bodies had to mend: one test for each advisory.

use bytes::Bytes;
use enfilade_core::{Application, Body, HttpError, Request};
use enfilade_middleware::{
    FormData, FormDataOptions, Multipart, MultipartDecoder, MultipartError, MultipartEvent,
    MultipartLimits,
};
use enfilade_testing::{Client, Lint};

const TYPE: &str = "multipart/form-data; boundary=edge";
const FIELD: &str = "--edge\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n";

/// Feeds pieces until there is an error; returns it and how many bytes were fed.
fn fails_after(pieces: impl Iterator<Item = Bytes>) -> (MultipartError, usize) {
    let mut decoder = MultipartDecoder::new(b"edge", MultipartLimits::new()).expect("a boundary");
    let mut fed = 0;
    for piece in pieces {
        fed += piece.len();
        if let Err(error) = decoder.feed(piece) {
            return (error, fed);
        }
        loop {
            match decoder.next_event() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return (error, fed),
            }
        }
    }
    let error = decoder.finish().expect_err("an error");
    (error, fed)
}

fn endless(start: &'static str, piece: &'static str) -> impl Iterator<Item = Bytes> {
    std::iter::once(Bytes::from(start)).chain(std::iter::repeat_n(Bytes::from(piece), 10_000_000))
}

/// The status of a form, with the default limits.
fn status(content_type: &str, body: impl Into<Body>) -> u16 {
    let app = Application::new(async |mut request: Request| {
        FormData::from_request(&mut request, &FormDataOptions::new()).await?;
        Ok::<_, HttpError>(())
    });
    let client = Client::new(app.wrap(Lint::new()));
    client
        .post("/")
        .header("content-type", content_type)
        .body(body)
        .send()
        .status()
        .as_u16()
}

/// Werkzeug: any number of parts, each of which costs more than its bytes.
#[test]
fn cve_2023_25577_parts_are_counted() {
    let parts = |count: usize| format!("{FIELD}\r\n").repeat(count) + "--edge--";
    assert_eq!(status(TYPE, parts(1_000)), 200);
    assert_eq!(status(TYPE, parts(1_001)), 413);
}

/// Werkzeug: a part that begins with CR or LF and megabytes of content was searched again with every chunk.
#[test]
fn cve_2023_46136_runs_of_line_ends_are_searched_once() {
    let content = "\r\n\r\r\n-".repeat(1_000_000);
    let body = format!(
        "{}{content}\r\n--edge--",
        FIELD.replace("\"a\"", "\"a\"; filename=b")
    );
    let mut decoder = MultipartDecoder::new(b"edge", MultipartLimits::new()).expect("a boundary");
    let (mut events, mut found) = (0, 0);
    for piece in body.as_bytes().chunks(64) {
        decoder
            .feed(Bytes::copy_from_slice(piece))
            .expect("below the limits");
        while let Some(event) = decoder.next_event().expect("a valid body") {
            events += 1;
            if let MultipartEvent::Data(data) = event {
                found += data.len();
            }
        }
    }
    decoder.finish().expect("it is complete");
    assert_eq!(found, content.len());
    // At most two for each piece: its own, and what had waited before it.
    assert!(events <= 2 * body.len() / 64 + 10, "{events}");
}

/// Werkzeug: fields took several times their bytes, without a limit of their own (CVE-2024-49767).
#[test]
fn cve_2024_49767_fields_have_a_limit_in_memory() {
    let fields = |count: usize, bytes: usize| {
        format!("{FIELD}{}\r\n", "x".repeat(bytes)).repeat(count) + "--edge--"
    };
    assert_eq!(status(TYPE, fields(2, (1 << 20) - 100)), 200);
    assert_eq!(status(TYPE, fields(2, 1 << 20)), 413);
    assert_eq!(status(TYPE, fields(1, (1 << 20) + 1)), 413);
    assert_eq!(status(TYPE, fields(3, 1 << 20)), 413);
}

/// Rack: a preamble was kept in memory whole.
#[test]
fn cve_2025_61770_a_preamble_is_bounded() {
    let (error, fed) = fails_after(endless("", "no boundary here\r\n"));
    assert!(
        error.is_limit() && fed <= (16 << 10) + 32,
        "{error} after {fed}"
    );
}

/// Rack: a field that is not a file was kept in memory whole.
#[test]
fn cve_2025_61771_a_field_is_bounded() {
    let (error, fed) = fails_after(endless(FIELD, "0123456789abcdef"));
    assert!(
        error.is_limit() && fed <= (1 << 20) + 128,
        "{error} after {fed}"
    );
}

/// Rack: the headers of a part were kept in memory whole.
#[test]
fn cve_2025_61772_the_headers_of_a_part_are_bounded() {
    for piece in ["x: yyyyyyyyyyyy\r\n", "yyyyyyyyyyyyyyyy", " "] {
        let (error, fed) = fails_after(endless("--edge\r\n", piece));
        assert!(
            error.is_limit() && fed <= (8 << 10) + 128,
            "{error} after {fed}"
        );
    }
}

/// Rack: forms without files were read whole before their size was looked at.
#[test]
fn cve_2025_61919_a_form_is_bounded_before_it_is_read() {
    let app = Application::new(async |mut request: Request| {
        let read = request.take_body().collect(2 << 20).await?;
        Ok::<_, HttpError>(read.len().to_string())
    });
    let endless = Body::from_iterator(std::iter::repeat_n(Bytes::from("a=b&"), 10_000_000));
    assert_eq!(
        Client::new(app).post("/").body(endless).send().status(),
        413
    );
}

/// Rack: escapes in quoted strings, and parameters, cost more than they are long.
#[test]
fn cve_2026_34827_parameters_and_escapes_are_bounded() {
    let many = "; x=y".repeat(20);
    let body =
        format!("--edge\r\ncontent-disposition: form-data; name=a{many}\r\n\r\n\r\n--edge--");
    assert_eq!(status(TYPE, body), 413);
    let escapes = "\\\"".repeat(5_000);
    let body =
        format!("--edge\r\ncontent-disposition: form-data; name=\"{escapes}\"\r\n\r\n\r\n--edge--");
    assert_eq!(status(TYPE, body), 413);
}

/// Rack: a body without a length, or with another one than it has, was outside the limit of the whole.
#[test]
fn cve_2026_34829_the_whole_is_counted_without_a_length() {
    let limits = MultipartLimits::new().total_bytes(1_000);
    let app = Application::new(async move |mut request: Request| {
        let mut form = Multipart::from_request(&mut request, limits)?;
        while form.next_part().await?.is_some() {}
        Ok::<_, HttpError>(())
    });
    let pieces = std::iter::once(Bytes::from(FIELD))
        .chain(std::iter::repeat_n(Bytes::from("0123456789"), 1_000));
    let request = Client::new(app).post("/").header("content-type", TYPE);
    assert_eq!(
        request.body(Body::from_iterator(pieces)).send().status(),
        413
    );
}

/// Rack: two boundaries, of which a filter in front took the other one.
#[test]
fn cve_2026_26961_two_boundaries_are_refused() {
    let body = format!("{FIELD}x\r\n--edge--");
    assert_eq!(
        status(
            "multipart/form-data; boundary=edge; boundary=other",
            body.clone()
        ),
        400
    );
    assert_eq!(
        status(
            "multipart/form-data; boundary=other; Boundary=\"edge\"",
            body
        ),
        400
    );
}

/// Rack: a folded header was read as another name than a filter in front read.
#[test]
fn cve_2026_26962_a_folded_header_is_refused() {
    let body = "--edge\r\ncontent-disposition: form-data; name=\"a\";\r\n filename=\"b\"\r\n\r\nx\r\n--edge--";
    assert_eq!(status(TYPE, body), 400);
}

/// axum-core: no limit by default.
#[test]
fn rustsec_2022_0055_there_is_a_limit_by_default() {
    let head = FIELD.replace("\"a\"", "\"a\"; filename=b");
    let pieces = std::iter::once(Bytes::from(head))
        .chain(std::iter::repeat_n(Bytes::from(vec![0; 1 << 20]), 1_000));
    assert_eq!(status(TYPE, Body::from_iterator(pieces)), 413);
}

/// python-multipart: a negative length, or none that is a number, was taken for one that fits.
#[test]
fn a_length_in_a_part_is_not_believed() {
    for length in ["-1", "0", "18446744073709551616", "x"] {
        let head = FIELD.replace("\r\n\r\n", &format!("\r\ncontent-length: {length}\r\n\r\n"));
        let app = Application::new(async |mut request: Request| {
            let form = FormData::from_request(&mut request, &FormDataOptions::new()).await?;
            Ok::<_, HttpError>(form.text("a").unwrap_or_default().to_owned())
        });
        let request = Client::new(app).post("/").header("content-type", TYPE);
        assert_eq!(
            request
                .body(format!("{head}salon\r\n--edge--"))
                .send()
                .text(),
            "salon"
        );
    }
}

/// multer: a body that is always ready was read whole before the first part was passed on.
#[test]
fn a_body_that_is_always_ready_is_read_as_it_is_asked_for() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let pieces = std::iter::once(Bytes::from(FIELD))
        .chain(std::iter::repeat_n(Bytes::from("0123456789"), 1_000));
    let pieces = pieces.inspect(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut request = Request::get("/");
    request
        .headers_mut()
        .insert("content-type", TYPE.parse().expect("a header value"));
    *request.body_mut() = Body::from_iterator(pieces);
    pollster::block_on(async {
        let mut form =
            Multipart::from_request(&mut request, MultipartLimits::new()).expect("a form");
        let mut part = form.next_part().await.expect("valid").expect("a part");
        assert_eq!(taken.load(Ordering::Relaxed), 1);
        assert_eq!(
            part.chunk().await.expect("valid").expect("content"),
            "0123456789"
        );
        assert_eq!(taken.load(Ordering::Relaxed), 2);
    });
}
