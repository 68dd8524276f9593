//! Lets the web server in front send whole files: `X-Accel-Redirect` and `X-Sendfile`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use enfilade_core::{
    Application, Description, Middleware, Reply, Request, Response, Wrapper, path, wrapped,
};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderName, HeaderValue, StatusCode};

use crate::error::{Error, ErrorKind};

/// Sends only the name of a file in a header, so that the web server in front sends the file.
///
/// A response is changed if its body is one whole file ([`Body::whole_file`](enfilade_core::Body::whole_file), for
/// example a [`FileSource`](crate::FileSource)) below one of the directories, its status is 200, it has no
/// `Content-Encoding` and does not have the header yet. Its `Content-Length` is removed, and the body ends as complete,
/// with no bytes. Every other response passes unchanged.
///
/// | web server | header | value |
/// |---|---|---|
/// | nginx | `X-Accel-Redirect` | the URL of an `internal` location |
/// | lighttpd, Apache with mod_xsendfile | `X-Sendfile` | the path of the file |
///
/// It works behind CGI, FastCGI, SCGI and HTTP alike.
///
/// # Order
///
/// Inside wrappers that read each frame of a body ([`Inspect`](crate::Inspect), `Trace`, `Profile`) and inside
/// [`Compression`](crate::Compression): they turn the file into a stream, which is sent as bytes. Logs outside see no
/// bytes.
///
/// # Security
///
/// Links are followed before the path is compared with a directory, so a file behind a link that leads out of the
/// directory is sent as bytes. The location must be `internal`: otherwise, clients can request its files.
///
/// nginx passes on few headers of such a response: `Content-Type`, `Content-Disposition`, `Set-Cookie`, `Cache-Control`,
/// `Expires` and `Accept-Ranges`. Set others, such as `Content-Security-Policy`, in its location too.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::http::HeaderName;
/// use enfilade::middleware::{FileSource, SendFile};
/// use enfilade::{Application, Body, HttpError, Request};
/// use enfilade_testing::Client;
///
/// // location /protected/ { internal; alias /path/of/the/package/; }
/// # fn main() -> Result<(), enfilade::middleware::Error> {
/// let send_file = SendFile::new(HeaderName::from_static("x-accel-redirect")).directory(".", "/protected")?;
/// let app = Application::new(async |_: Request| {
///     Ok::<_, HttpError>(Body::from(FileSource::open("src/lib.rs").await?))
/// });
/// let response = Client::new(app.wrap(send_file)).get("/").send();
/// assert_eq!(response.header("x-accel-redirect"), Some("/protected/src/lib.rs"));
/// assert_eq!(response.text(), "");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a middleware does nothing until it is put around an application"]
pub struct SendFile {
    header: HeaderName,
    directories: Vec<Directory>,
}

#[derive(Clone, Debug)]
struct Directory {
    path: PathBuf,
    prefix: String,
}

impl SendFile {
    /// Sends file names in this header; add directories, there are none by default.
    pub fn new(header: HeaderName) -> Self {
        SendFile {
            header,
            directories: Vec::new(),
        }
    }

    /// Adds a directory: files below `path` are named as `prefix` and their path inside the directory, percent-encoded.
    ///
    /// Directories are tried in order. For `X-Sendfile`, the prefix is the path of the directory itself.
    ///
    /// # Errors
    ///
    /// If the directory does not exist, or if the prefix does not begin with a slash or ends with one.
    pub fn directory(mut self, path: impl AsRef<Path>, prefix: &str) -> Result<Self, Error> {
        if !prefix.starts_with('/') || prefix.ends_with('/') {
            let text = format!(
                "{prefix:?} is not a valid prefix: begin it with a slash, and end it without one"
            );
            return Err(Error::new(ErrorKind::Rule, text));
        }
        let found = path.as_ref().canonicalize();
        let path = found.map_err(|error| {
            let text = format!("no directory {}: {error}", path.as_ref().display());
            Error::new(ErrorKind::Rule, text)
        })?;
        if !path.is_dir() {
            let text = format!("{} is not a directory", path.display());
            return Err(Error::new(ErrorKind::Rule, text));
        }
        let prefix = prefix.to_owned();
        self.directories.push(Directory { path, prefix });
        Ok(self)
    }

    /// Returns the path of the response's file, if the web server may send it.
    fn file(&self, response: &Response) -> Option<PathBuf> {
        let headers = response.headers();
        let is_plain = response.status() == StatusCode::OK
            && !headers.contains_key(CONTENT_ENCODING)
            && !headers.contains_key(&self.header);
        let file = response.body().whole_file()?;
        is_plain.then(|| file.to_owned())
    }

    /// Returns the web server's name for this file, whose links are resolved.
    fn name(&self, file: &Path) -> Option<HeaderValue> {
        let mut names = self.directories.iter().filter_map(|directory| {
            let inside = file.strip_prefix(&directory.path).ok()?;
            let segments: Option<Vec<&str>> = inside.iter().map(|name| name.to_str()).collect();
            let name = format!("{}/{}", directory.prefix, segments?.join("/"));
            HeaderValue::from_str(&path::encode(&name)).ok()
        });
        names.next()
    }

    async fn replace(&self, mut response: Response, file: PathBuf) -> Response {
        let resolved = blocking::unblock(move || file.canonicalize()).await;
        // A deleted file is still open here.
        let name = resolved.ok().and_then(|file| self.name(&file));
        if let Some(name) = name {
            let headers = response.headers_mut();
            headers.remove(CONTENT_LENGTH);
            headers.insert(self.header.clone(), name);
            std::mem::take(response.body_mut()).discard();
        }
        response
    }
}

impl Middleware for SendFile {
    fn wrap(self, app: Application) -> Application {
        wrapped(app, self)
    }
}

impl Wrapper for SendFile {
    fn call(self: &Arc<Self>, inner: &Application, request: Request) -> Reply {
        let this = self.clone();
        inner
            .call(request)
            .then(move |response| match this.file(&response) {
                Some(file) => Reply::from_future(async move { this.replace(response, file).await }),
                None => response.into(),
            })
    }

    fn describe(&self) -> Description {
        let description = Description::new("SendFile").option("header", &self.header);
        self.directories.iter().fold(description, |all, directory| {
            all.option(directory.path.display().to_string(), &directory.prefix)
        })
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use enfilade_core::{Body, HttpError, IntoResponse, Outcome};
    use enfilade_testing::{Client, Lint};

    use super::*;
    use crate::FileSource;

    const HEADER: HeaderName = HeaderName::from_static("x-accel-redirect");

    /// A directory that is removed at the end of its test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let name = format!("enfilade-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(path.join("tree/deep")).unwrap();
            fs::write(path.join("tree/a b%é.txt"), "inside").unwrap();
            fs::write(path.join("tree/deep/c"), "deep inside").unwrap();
            fs::write(path.join("tree/a\r\nx-b: 1"), "two lines").unwrap();
            fs::write(path.join("tree").join(OsStr::from_bytes(b"\xff")), "raw").unwrap();
            fs::write(path.join("tree/%2e%2e\\?#"), "odd").unwrap();
            fs::write(path.join("outside"), "outside").unwrap();
            symlink("../outside", path.join("tree/out")).unwrap();
            symlink("tree/deep/c", path.join("in")).unwrap();
            Folder(path)
        }

        fn send_file(&self) -> SendFile {
            SendFile::new(HEADER)
                .directory(self.0.join("tree"), "/protected")
                .unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// The response to a request for `name` in a directory, changed before it reaches the wrapper.
    fn sent(
        name: impl AsRef<OsStr>,
        change: impl Fn(&mut Response) + Clone + Send + Sync + 'static,
    ) -> (Option<String>, String) {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = name.as_ref();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Folder::new(&format!("send-file-{count}"));
        let path = folder.0.join(name);
        let app = Application::new(move |_: Request| {
            let (path, change) = (path.clone(), change.clone());
            async move {
                let mut response = Body::from(FileSource::open(path).await?).into_response();
                change(&mut response);
                Ok::<_, HttpError>(response)
            }
        });
        let client = Client::new(app.wrap(folder.send_file()).wrap(Lint::new()));
        let response = client.get("/").send();
        let name = response.header("x-accel-redirect").map(str::to_owned);
        (name, response.text().into_owned())
    }

    #[test]
    fn a_whole_file_below_the_directory_is_left_to_the_web_server() {
        for (name, expected) in [
            ("tree/a b%é.txt", "/protected/a%20b%25%C3%A9.txt"),
            ("tree/deep/c", "/protected/deep/c"),
            ("tree/a\r\nx-b: 1", "/protected/a%0D%0Ax-b:%201"),
            ("tree/%2e%2e\\?#", "/protected/%252e%252e%5C%3F%23"),
            ("tree/deep/../deep/c", "/protected/deep/c"),
            ("in", "/protected/deep/c"),
        ] {
            let expected = (Some(expected.to_owned()), String::new());
            assert_eq!(sent(name, |_| ()), expected, "{name}");
        }
        for (name, expected) in [
            ("outside", "outside"),
            ("tree/out", "outside"),
            ("tree/../outside", "outside"),
        ] {
            assert_eq!(sent(name, |_| ()), (None, expected.to_owned()), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_no_text_is_sent_as_bytes() {
        assert_eq!(
            sent(OsStr::from_bytes(b"tree/\xff"), |_| ()),
            (None, "raw".to_owned())
        );
    }

    #[test]
    fn what_is_no_whole_plain_file_is_sent_as_it_is() {
        let name = "tree/deep/c";
        let header = |name: &'static str, value: &'static str| {
            move |response: &mut Response| {
                let value = HeaderValue::from_static(value);
                response.headers_mut().insert(name, value);
            }
        };
        let bytes = (None, "deep inside".to_owned());
        assert_eq!(sent(name, header("content-encoding", "gzip")), bytes);
        let created = |response: &mut Response| *response.status_mut() = StatusCode::CREATED;
        assert_eq!(sent(name, created), bytes);
        let sliced = |response: &mut Response| {
            let body = std::mem::take(response.body_mut());
            *response.body_mut() = body.slice(5..).unwrap();
        };
        assert_eq!(sent(name, sliced), (None, "inside".to_owned()));
        let own = header("x-accel-redirect", "/elsewhere");
        let expected = (Some("/elsewhere".to_owned()), "deep inside".to_owned());
        assert_eq!(sent(name, own), expected);
    }

    #[test]
    fn its_length_goes_and_its_end_is_complete() {
        let folder = Folder::new("send-file-end");
        let (sender, ends) = mpsc::channel();
        let path = folder.0.join("tree/deep/c");
        let app = Application::new(move |_: Request| {
            let (path, sender) = (path.clone(), sender.clone());
            async move {
                let body = Body::from(FileSource::open(path).await?);
                let body = body.on_end(move |end| sender.send(end).unwrap());
                Ok::<_, HttpError>(([("content-length", "11"), ("x-a", "1")], body))
            }
        });
        let app = app.wrap(folder.send_file());
        let response = pollster::block_on(app.call(Request::get("/")));
        assert!(!response.headers().contains_key("content-length"));
        assert_eq!(response.headers()["x-a"], "1");
        let end = ends.recv().unwrap();
        assert_eq!((end.bytes(), end.outcome()), (0, Outcome::Complete));
    }

    #[test]
    fn a_directory_that_is_none_and_a_prefix_that_is_no_path_are_mistakes() {
        let folder = Folder::new("send-file-mistakes");
        let try_directory = |path: &str, prefix: &str| {
            let path = folder.0.join(path);
            let error = SendFile::new(HEADER).directory(path, prefix).unwrap_err();
            error
                .to_string()
                .replace(&folder.0.display().to_string(), "")
        };
        let text = "no directory /nowhere: No such file or directory (os error 2)";
        assert_eq!(try_directory("nowhere", "/p"), text);
        assert_eq!(
            try_directory("outside", "/p"),
            "/outside is not a directory"
        );
        for prefix in ["", "p", "/", "/p/"] {
            let text = format!(
                "{prefix:?} is not a valid prefix: begin it with a slash, and end it without one"
            );
            assert_eq!(try_directory("tree", prefix), text);
        }
    }

    #[test]
    fn keeps_the_laws_and_says_what_it_does() {
        let folder = Folder::new("send-file-laws");
        let app = Application::new(|_: Request| "x").wrap(folder.send_file());
        let tree = folder.0.canonicalize().unwrap().join("tree");
        let expected = format!(
            "SendFile (header: x-accel-redirect, {}: /protected)",
            tree.display()
        );
        assert_eq!(app.describe().to_string().lines().next(), Some(&*expected));
        enfilade_testing::laws::Check::new(folder.send_file()).run();
    }
}
