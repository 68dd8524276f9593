//! Request bodies that can be read again.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use enfilade_core::headers::members;
use enfilade_core::{
    Application, Body, Description, HttpError, Middleware, OptionValue, Reply, Request, Wrapper,
    wrapped,
};
use http::{HeaderMap, HeaderName, StatusCode};
use sha2::{Digest, Sha256, Sha512};

use crate::shared::spooled::{SpoolOptions, SpoolWriter, Spooled};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// Base64 with padding or without (RFC 9651, section 4.2.7).
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bodies up to this length stay in memory.
const MEMORY: usize = 256 * 1024;

/// Reads each request body before the application is called, so that it can be read again: for retries, signatures, and digests.
///
/// A body of at most 256 KiB is kept in memory, and a longer one in a temporary file, which is removed with the request. One
/// that is longer than the limit is a 413. The application reads the body as usual; [`SpooledBody`] in the request's extensions
/// makes further ones of the same content. Trailers are dropped.
///
/// A client that sends slowly holds no thread and no handler meanwhile.
///
/// # Order
///
/// Inside a `BodyLimit` and a `Decompression`, so that it keeps what the application reads. For a digest of the bytes that were
/// sent, outside `Decompression`.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{Spool, SpooledBody};
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// let app = Application::new(async |mut request: Request| {
///     let first = request.take_body().collect(100).await?;
///     let spooled = request.extensions().get::<SpooledBody>().expect("a Spool is outside").clone();
///     let second = spooled.body().await?.collect(100).await?;
///     Ok::<_, HttpError>(format!("{} {}", first.len(), second.len()))
/// });
/// let client = Client::new(app.wrap(Spool::new(1 << 20)));
/// assert_eq!(client.post("/").body("salon").send().text(), "5 5");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct Spool {
    limit: u64,
    options: SpoolOptions,
    checks_digest: bool,
}

/// The body of a request that a [`Spool`] has read: a request extension. Clones share the content.
#[derive(Clone, Debug)]
pub struct SpooledBody(Spooled);

impl SpooledBody {
    /// Returns its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Returns whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes a body of the content, from its start.
    ///
    /// # Errors
    ///
    /// If its temporary file cannot be opened.
    pub async fn body(&self) -> std::io::Result<Body> {
        self.0.body().await
    }
}

impl Spool {
    /// Keeps bodies of at most `limit` bytes; longer ones are a 413.
    pub fn new(limit: u64) -> Spool {
        let options = SpoolOptions {
            memory: MEMORY,
            folder: None,
        };
        Spool {
            limit,
            options,
            checks_digest: false,
        }
    }

    /// Sets the maximum length of a body in memory, in bytes; 256 KiB by default. A longer one is a temporary file.
    pub fn memory(mut self, bytes: usize) -> Spool {
        self.options.memory = bytes;
        self
    }

    /// Sets the folder of temporary files; that of the system by default.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Spool {
        self.options.folder = Some(folder.into());
        self
    }

    /// Responds with 400 if the content does not have the digest that `Content-Digest` states (RFC 9530): `sha-256`, `sha-512`, or
    /// both. A request without the header, or with other algorithms only, passes. By default nothing is checked.
    pub fn check_digest(mut self) -> Spool {
        self.checks_digest = true;
        self
    }

    async fn read(&self, request: &mut Request) -> Result<SpooledBody, HttpError> {
        if request
            .body()
            .known_length()
            .is_some_and(|length| length > self.limit)
        {
            return Err(self.too_long());
        }
        let mut digests = match self.checks_digest {
            true => Digests::stated(request.headers())?,
            false => Digests::default(),
        };
        let mut body = request.take_body();
        let mut spool = SpoolWriter::new(self.options.clone());
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            length += data.len() as u64;
            if length > self.limit {
                return Err(self.too_long());
            }
            digests.update(&data);
            spool.write(&data).await?;
        }
        digests.check()?;
        Ok(SpooledBody(spool.finish().await?))
    }

    fn too_long(&self) -> HttpError {
        let text = format!("the body is longer than {} bytes", self.limit);
        HttpError::new(StatusCode::PAYLOAD_TOO_LARGE).message(text)
    }
}

impl Wrapper for Spool {
    fn call(self: &Arc<Self>, inner: &Application, mut request: Request) -> Reply {
        let (spool, inner) = (self.clone(), inner.clone());
        Reply::from_future(async move {
            let spooled = spool.read(&mut request).await?;
            *request.body_mut() = spooled.body().await?;
            request.extensions_mut().insert(spooled);
            Ok::<_, HttpError>(inner.call(request).await)
        })
    }

    fn describe(&self) -> Description {
        Description::new("Spool")
            .option("limit", OptionValue::size(self.limit))
            .option("check_digest", self.checks_digest)
    }
}

impl Middleware for Spool {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

/// The digests that a request states, and those of what was read.
#[derive(Default)]
struct Digests {
    sha256: Option<(Vec<u8>, Sha256)>,
    sha512: Option<(Vec<u8>, Sha512)>,
}

impl Digests {
    /// Reads the dictionary of byte sequences (RFC 9651, section 3.2); the last of equal keys counts.
    fn stated(headers: &HeaderMap) -> Result<Digests, HttpError> {
        let mut digests = Digests::default();
        for member in members(headers, &CONTENT_DIGEST) {
            let Some((algorithm, value)) = member.split_once('=') else {
                continue;
            };
            match algorithm {
                "sha-256" => digests.sha256 = Some((bytes(value)?, Sha256::new())),
                "sha-512" => digests.sha512 = Some((bytes(value)?, Sha512::new())),
                _ => {}
            }
        }
        Ok(digests)
    }

    fn update(&mut self, data: &[u8]) {
        if let Some((_, hash)) = &mut self.sha256 {
            hash.update(data);
        }
        if let Some((_, hash)) = &mut self.sha512 {
            hash.update(data);
        }
    }

    fn check(self) -> Result<(), HttpError> {
        let sha256 = self
            .sha256
            .is_none_or(|(stated, hash)| hash.finalize()[..] == stated[..]);
        let sha512 = self
            .sha512
            .is_none_or(|(stated, hash)| hash.finalize()[..] == stated[..]);
        match sha256 && sha512 {
            true => Ok(()),
            false => Err(bad(
                "the content does not have the digest that Content-Digest states",
            )),
        }
    }
}

/// A byte sequence: base64 between colons (RFC 9651, section 3.3.5).
fn bytes(value: &str) -> Result<Vec<u8>, HttpError> {
    let text = value
        .strip_prefix(':')
        .and_then(|value| value.split_once(':'));
    // Parameters may follow.
    let text = text.filter(|(_, rest)| rest.is_empty() || rest.starts_with(';'));
    let bytes = text.and_then(|(text, _)| LENIENT.decode(text).ok());
    bytes.ok_or_else(|| bad("the Content-Digest is malformed"))
}

fn bad(text: &'static str) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST).message(text)
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use enfilade_testing::{Client, Lint, laws};

    use super::*;

    fn echo() -> Application {
        Application::new(async |mut request: Request| {
            let first = request.take_body().collect(1_000).await?;
            let spooled = request
                .extensions()
                .get::<SpooledBody>()
                .expect("a Spool is outside")
                .clone();
            let again = spooled.body().await?.collect(1_000).await?;
            assert_eq!((first.len() as u64, &first), (spooled.len(), &again));
            Ok::<_, HttpError>(first)
        })
    }

    #[test]
    fn a_body_is_read_twice_from_memory_and_from_a_file() {
        for memory in [0, 3, 100] {
            let client = Client::new(echo().wrap(Spool::new(9).memory(memory)).wrap(Lint::new()));
            for (body, status) in [
                ("", 200),
                ("four", 200),
                ("123456789", 200),
                ("1234567890", 413),
            ] {
                let response = client.post("/").body(body).send();
                assert_eq!(response.status().as_u16(), status, "{memory} {body}");
                let pieces: Vec<&'static [u8]> = body.as_bytes().chunks(2).collect();
                let streamed = client.post("/").body(Body::from_iterator(pieces)).send();
                assert_eq!(streamed.status().as_u16(), status, "{memory} {body}");
                assert!(status != 200 || streamed.text() == body);
            }
        }
    }

    #[test]
    fn a_digest_is_checked_where_that_is_asked_for() {
        let client = Client::new(
            echo()
                .wrap(Spool::new(100).check_digest())
                .wrap(Lint::new()),
        );
        let stated = |digest: &[u8]| format!(":{}:", BASE64_STANDARD.encode(digest));
        let right = stated(&Sha256::digest(b"salon"));
        let long = stated(&Sha512::digest(b"salon"));
        let wrong = stated(&Sha256::digest(b"hall"));
        for (header, status) in [
            (format!("sha-256={right}"), 200),
            (format!("sha-512={long}, sha-256={right}"), 200),
            (format!("sha-256={wrong}"), 400),
            (format!("sha-512={long}, sha-256={wrong}"), 400),
            (format!("md5={wrong}"), 200),
            (format!("sha-256={right};p=1"), 200),
            (format!("sha-256={}", right.replace('=', "")), 200),
            (format!("sha-256={right}x"), 400),
            ("sha-256=x".to_owned(), 400),
            ("sha-256=:*:".to_owned(), 400),
        ] {
            let request = client
                .post("/")
                .header("content-digest", &header)
                .body("salon");
            assert_eq!(request.send().status().as_u16(), status, "{header}");
        }
        assert_eq!(client.post("/").body("salon").send().status(), 200);
    }

    #[test]
    fn a_body_that_breaks_off_is_the_clients_fault() {
        let broken = Body::from_stream(breaking_off());
        let client = Client::new(echo().wrap(Spool::new(100)));
        assert_eq!(client.post("/").body(broken).send().status(), 400);
    }

    fn breaking_off()
    -> impl futures_core::Stream<Item = Result<&'static str, &'static str>> + Send + 'static {
        struct Fails(u8);
        impl futures_core::Stream for Fails {
            type Item = Result<&'static str, &'static str>;
            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<Self::Item>> {
                self.0 += 1;
                std::task::Poll::Ready(Some(if self.0 == 1 { Ok("part") } else { Err("gone") }))
            }
        }
        Fails(0)
    }

    #[test]
    fn keeps_the_laws() {
        let check = laws::Check::new(Spool::new(1 << 20))
            .replaces(|response| response.status().is_client_error());
        check.run();
    }
}
