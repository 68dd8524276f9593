//! Forms with files: what handlers get, what stays on disk, and what clients that break off leave behind.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use enfilade_core::{Application, Body, BodyError, HttpError, IntoResponse, Request, Response};
use enfilade_middleware::{FormData, FormDataOptions, Multipart, MultipartLimits};
use enfilade_testing::{Client, Lint};
use http_body::{Frame, SizeHint};

const TYPE: &str = "multipart/form-data; boundary=edge";

/// A folder that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("enfilade-uploads-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the test");
        Folder(folder)
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(&self.0).expect("the folder");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("UTF-8")
            })
            .collect()
    }

    fn options(&self) -> FormDataOptions {
        FormDataOptions::new().memory(10).folder(&self.0)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn part(name: &str, file_name: Option<&str>, content: &str) -> String {
    let file_name = file_name
        .map(|file_name| format!("; filename=\"{file_name}\""))
        .unwrap_or_default();
    format!(
        "--edge\r\ncontent-disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n{content}\r\n"
    )
}

/// The pieces of a body, and then its end, an error, or nothing more.
struct Pieces {
    pieces: std::vec::IntoIter<Bytes>,
    end: End,
}

enum End {
    Fails,
    NeverComes,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match (self.pieces.next(), &self.end) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, End::Fails) => {
                Poll::Ready(Some(Err(BodyError::new("the client has disconnected"))))
            }
            (None, End::NeverComes) => Poll::Pending,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

fn streamed(text: &str, end: End) -> Body {
    let pieces: Vec<Bytes> = text
        .as_bytes()
        .chunks(7)
        .map(Bytes::copy_from_slice)
        .collect();
    Body::new(Pieces {
        pieces: pieces.into_iter(),
        end,
    })
}

fn request(body: impl Into<Body>) -> Request {
    let mut request = Request::get("/");
    *request.method_mut() = http::Method::POST;
    request
        .headers_mut()
        .insert("content-type", TYPE.parse().expect("a header value"));
    *request.body_mut() = body.into();
    request
}

/// Tells what it got, and keeps each file under a name of its own.
async fn summary(
    mut request: Request,
    options: FormDataOptions,
    folder: PathBuf,
) -> Result<String, HttpError> {
    let form = FormData::from_request(&mut request, &options).await?;
    let mut text = String::new();
    for (name, value) in form.fields() {
        text += &format!("{name}={value}\n");
    }
    for file in form.files("file") {
        let content = file.body().await?.collect(1_000).await?;
        text += &format!(
            "{:?} {} {}\n",
            file.safe_name(),
            file.len(),
            String::from_utf8(content.to_vec())?
        );
        assert_eq!(file.as_bytes().is_some(), file.len() <= 10);
    }
    let files: Vec<_> = form.files("file").cloned().collect();
    drop((form, request));
    for (number, file) in files.into_iter().enumerate() {
        file.persist(folder.join(format!("kept-{number}"))).await?;
    }
    Ok(text)
}

#[test]
fn a_form_has_its_fields_and_its_files() {
    let folder = Folder::new();
    let (options, place) = (folder.options(), folder.0.clone());
    let app =
        Application::new(async move |request: Request| summary(request, options, place).await);
    let client = Client::new(app.wrap(Lint::new()));
    let body = [
        part("title", None, "The salon"),
        part("file", Some("../short.txt"), "short"),
        part("file", Some("long.txt"), "longer than ten bytes"),
        part("file", Some(""), ""),
        part("title", None, "again"),
        "--edge--\r\n".to_owned(),
    ];
    let sent = client
        .post("/")
        .header("content-type", TYPE)
        .body(body.concat());
    assert_eq!(
        sent.send().text(),
        "title=The salon\ntitle=again\nSome(\"short.txt\") 5 short\nSome(\"long.txt\") 21 longer than ten bytes\n"
    );
    // What is kept, and nothing else.
    assert_eq!(
        folder.names(),
        BTreeSet::from(["kept-0".to_owned(), "kept-1".to_owned()])
    );
    assert_eq!(
        fs::read_to_string(folder.0.join("kept-1")).unwrap(),
        "longer than ten bytes"
    );
}

#[test]
fn a_file_never_replaces_another() {
    let folder = Folder::new();
    fs::write(folder.0.join("there"), "before").unwrap();
    for content in ["short", "longer than ten bytes"] {
        let body = part("file", Some("a"), content) + "--edge--";
        let refused = async {
            let form = FormData::from_request(&mut request(body), &folder.options())
                .await
                .unwrap();
            let file = form.file("file").unwrap().clone();
            drop(form);
            file.persist(folder.0.join("there")).await
        };
        let error = pollster::block_on(refused).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    }
    assert_eq!(
        fs::read_to_string(folder.0.join("there")).unwrap(),
        "before"
    );
    assert_eq!(folder.names().len(), 1);
}

#[test]
fn a_clone_keeps_its_file_when_another_is_persisted() {
    let folder = Folder::new();
    let body = part("file", Some("a"), "longer than ten bytes") + "--edge--";
    pollster::block_on(async {
        let form = FormData::from_request(&mut request(body), &folder.options())
            .await
            .unwrap();
        let file = form.file("file").unwrap();
        file.persist(folder.0.join("copy")).await.unwrap();
        let content = file.body().await.unwrap().collect(100).await.unwrap();
        assert_eq!(content, "longer than ten bytes");
    });
    assert_eq!(folder.names(), BTreeSet::from(["copy".to_owned()]));
}

#[test]
fn the_form_stays_with_its_request() {
    let body = part("a", None, "b") + "--edge--";
    let mut request = request(body);
    pollster::block_on(async {
        let options = FormDataOptions::new();
        let first = FormData::from_request(&mut request, &options)
            .await
            .unwrap();
        let second = FormData::from_request(&mut request, &options)
            .await
            .unwrap();
        assert_eq!((first.text("a"), second.text("a")), (Some("b"), Some("b")));
    });
}

#[test]
fn a_thousand_uploads_that_break_off_leave_nothing() {
    let folder = Folder::new();
    let options = folder.options();
    let body = part("file", Some("a"), "longer than ten bytes")
        + &part("file", Some("b"), "longer than that");
    for number in 0..1_000 {
        let end = if number % 2 == 0 {
            End::Fails
        } else {
            End::NeverComes
        };
        let mut request = request(streamed(&body, end));
        let mut reading = pin!(FormData::from_request(&mut request, &options));
        // Until the body has no more to give: it failed, or it waits. Then the client is gone.
        let outcome = loop {
            match reading
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                Poll::Ready(outcome) => break Some(outcome),
                Poll::Pending if number % 2 == 1 && folder.names().len() == 2 => break None,
                Poll::Pending => std::thread::yield_now(),
            }
        };
        if let Some(outcome) = outcome {
            assert_eq!(outcome.unwrap_err().status(), 400);
        }
    }
    // A write that was running when its client left ends on its own thread, and then drops its file.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) && !folder.names().is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(folder.names(), BTreeSet::new());
}

#[test]
fn a_handler_that_panics_leaves_nothing() {
    let folder = Folder::new();
    let options = folder.options();
    let app = Application::new(
        async move |mut request: Request| -> Result<Response, HttpError> {
            let form = FormData::from_request(&mut request, &options).await?;
            assert!(form.file("file").is_none(), "a panic of the test");
            Ok(().into_response())
        },
    );
    let body = part("file", Some("a"), "longer than ten bytes") + "--edge--";
    let response = Client::new(app)
        .post("/")
        .header("content-type", TYPE)
        .body(body)
        .send();
    assert_eq!(response.status(), 500);
    assert_eq!(folder.names(), BTreeSet::new());
}

#[test]
fn each_mistake_has_its_status_and_a_text_that_says_what() {
    let app = Application::new(async |mut request: Request| {
        let limits = MultipartLimits::new().field_bytes(5).total_bytes(1_000);
        let form =
            FormData::from_request(&mut request, &FormDataOptions::new().limits(limits)).await?;
        Ok::<_, HttpError>(form.fields().count().to_string())
    });
    let client = Client::new(app.wrap(Lint::new()));
    let part_of_not_text =
        b"--edge\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--edge--".to_vec();
    for (media_type, body, status, text) in [
        (
            "application/json",
            "{}".into(),
            415,
            "the content type must be multipart/form-data",
        ),
        (
            "multipart/form-data",
            "x".into(),
            400,
            "the multipart body is malformed: the content type has no boundary",
        ),
        (
            TYPE,
            part("a", None, "123456").into_bytes(),
            413,
            "the multipart body has more than 5 bytes in a field",
        ),
        (
            TYPE,
            vec![b'x'; 1_001],
            413,
            "the multipart body has more than 1000 bytes",
        ),
        (
            TYPE,
            part("a", None, "1").into_bytes(),
            400,
            "the multipart body ends before its last boundary",
        ),
        (TYPE, part_of_not_text, 400, "the field \"a\" is not UTF-8"),
    ] {
        let response = client
            .post("/")
            .header("content-type", media_type)
            .body(Body::from(body))
            .send();
        assert_eq!(
            (response.status().as_u16(), &*response.text()),
            (status, text)
        );
        let accept = (status == 415).then_some("multipart/form-data");
        assert_eq!(response.header("accept"), accept);
    }
}

#[test]
fn a_folder_that_is_not_there_is_a_500() {
    let options = FormDataOptions::new()
        .memory(1)
        .folder(Path::new("/nowhere/at/all"));
    let body = part("file", Some("a"), "long") + "--edge--";
    let mut request = request(body);
    let error = pollster::block_on(FormData::from_request(&mut request, &options)).unwrap_err();
    assert_eq!(error.status(), 500);
}

#[test]
fn a_part_that_is_not_read_is_skipped() {
    let body =
        part("a", Some("a"), "x") + &part("b", None, "y") + &part("c", None, "z") + "--edge--";
    pollster::block_on(async {
        let mut request = request(body);
        let mut multipart = Multipart::from_request(&mut request, MultipartLimits::new()).unwrap();
        let first = multipart.next_part().await.unwrap().unwrap();
        assert_eq!((first.head().name(), first.head().is_file()), ("a", true));
        let mut second = multipart.next_part().await.unwrap().unwrap();
        assert_eq!(second.text(1).await.unwrap(), "y");
        let mut third = multipart.next_part().await.unwrap().unwrap();
        assert_eq!(third.text(0).await.unwrap_err().status(), 413);
        assert!(multipart.next_part().await.unwrap().is_none());
        assert!(multipart.next_part().await.unwrap().is_none());
    });
}
