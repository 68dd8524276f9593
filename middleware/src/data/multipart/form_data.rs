//! Whole forms, with their files in memory or in temporary files.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::{Body, HttpError, Request};

use super::file_name;
use super::limits::MultipartLimits;
use super::part_head::PartHead;
use super::persist::persist;
use super::reader::{Multipart, text};
use crate::shared::spooled::{SpoolOptions, SpoolWriter, Spooled};

/// Files up to this length stay in memory.
const MEMORY: usize = 256 * 1024;

/// Options for reading a whole form: its limits, and where files are kept.
///
/// ```
/// # mod enfilade { pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{FormDataOptions, MultipartLimits};
///
/// let options = FormDataOptions::new().limits(MultipartLimits::new().files(1)).folder("/var/spool/house");
/// # drop(options);
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until a form is read with them"]
pub struct FormDataOptions {
    limits: MultipartLimits,
    spool: SpoolOptions,
}

impl FormDataOptions {
    /// The default limits; files above 256 KiB are in the system's folder for temporary files.
    pub fn new() -> FormDataOptions {
        let spool = SpoolOptions {
            memory: MEMORY,
            folder: None,
        };
        FormDataOptions {
            limits: MultipartLimits::new(),
            spool,
        }
    }

    /// Sets the limits.
    pub fn limits(mut self, limits: MultipartLimits) -> FormDataOptions {
        self.limits = limits;
        self
    }

    /// Sets the maximum length of a file in memory, in bytes; 256 KiB by default. A longer one is a temporary file.
    pub fn memory(mut self, bytes: usize) -> FormDataOptions {
        self.spool.memory = bytes;
        self
    }

    /// Sets the folder of temporary files; that of the system by default. A file that is
    /// [persisted](Upload::persist) on the same file system is not copied.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> FormDataOptions {
        self.spool.folder = Some(folder.into());
        self
    }
}

impl Default for FormDataOptions {
    fn default() -> FormDataOptions {
        FormDataOptions::new()
    }
}

/// A whole form with its fields and files (`multipart/form-data`).
///
/// Fields are text in memory. A file is in memory up to 256 KiB, and otherwise in a temporary file that only this user can
/// read. It is removed when the form and its clones are dropped, so also if the handler panics or the client disconnects.
///
/// # Errors
///
/// As for [`Multipart`], and 500 if a temporary file cannot be written.
///
/// # Example
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::{FormData, FormDataOptions};
/// use enfilade::{Application, HttpError, Request};
/// use enfilade_testing::Client;
///
/// async fn upload(mut request: Request) -> Result<String, HttpError> {
///     let form = FormData::from_request(&mut request, &FormDataOptions::new()).await?;
///     let title = form.text("title").unwrap_or("no title");
///     Ok(match form.file("photo") {
///         // `photo.persist("photos/7.jpg").await?` would keep it.
///         Some(photo) => format!("{title}: {} bytes, {:?}", photo.len(), photo.safe_name()),
///         None => format!("{title}: no photo"),
///     })
/// }
///
/// let body = "--edge\r\ncontent-disposition: form-data; name=\"title\"\r\n\r\nThe salon\r\n\
///     --edge\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"../a.jpg\"\r\n\
///     content-type: image/jpeg\r\n\r\n123\r\n--edge--\r\n";
/// let client = Client::new(Application::new(upload));
/// let form = client.post("/").header("content-type", "multipart/form-data; boundary=edge");
/// assert_eq!(form.body(body).send().text(), "The salon: 3 bytes, Some(\"a.jpg\")");
/// ```
#[derive(Clone, Debug, Default)]
pub struct FormData {
    fields: Arc<Vec<(String, String)>>,
    files: Arc<Vec<(String, Upload)>>,
}

impl FormData {
    /// Reads the form of a request. It stays with the request: a second call returns the same form without reading.
    ///
    /// # Errors
    ///
    /// As the type's.
    pub async fn from_request(
        request: &mut Request,
        options: &FormDataOptions,
    ) -> Result<FormData, HttpError> {
        if let Some(form) = request.extensions().get::<FormData>() {
            return Ok(form.clone());
        }
        let multipart = Multipart::from_request(request, options.limits)?;
        let form = FormData::read(multipart, options).await?;
        request.extensions_mut().insert(form.clone());
        Ok(form)
    }

    async fn read(
        mut multipart: Multipart,
        options: &FormDataOptions,
    ) -> Result<FormData, HttpError> {
        let (mut fields, mut files) = (Vec::new(), Vec::new());
        while let Some(mut part) = multipart.next_part().await? {
            if !part.head().is_file() {
                // The decoder has limited it.
                let content = part.bytes(usize::MAX).await?;
                let name = part.head().name().to_owned();
                let content = text(&name, content.into())?;
                fields.push((name, content));
                continue;
            }
            let mut spool = SpoolWriter::new(options.spool.clone());
            while let Some(chunk) = part.chunk().await? {
                spool.write(&chunk).await?;
            }
            let head = part.head().detached();
            let content = spool.finish().await?;
            // A browser sends a file field without a file with an empty name and no content.
            if content.len() > 0 || head.untrusted_file_name() != Some("") {
                files.push((head.name().to_owned(), Upload { head, content }));
            }
        }
        Ok(FormData {
            fields: Arc::new(fields),
            files: Arc::new(files),
        })
    }

    /// Returns the first field of this name.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// Returns all fields of this name, in order.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter().filter(move |(field, _)| field == name);
        fields.map(|(_, text)| text.as_str())
    }

    /// Returns all fields, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// Returns the first file of this name; none if the user chose no file.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Upload> {
        self.files(name).next()
    }

    /// Returns all files of this name, in order.
    pub fn files(&self, name: &str) -> impl Iterator<Item = &Upload> {
        let files = self.files.iter().filter(move |(field, _)| field == name);
        files.map(|(_, file)| file)
    }
}

/// A file of a [`FormData`]. Clones share its content.
#[derive(Clone, Debug)]
pub struct Upload {
    head: PartHead,
    content: Spooled,
}

impl Upload {
    /// Returns its length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.content.len()
    }

    /// Returns whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the media type that the client sent; it may lie.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.head.content_type()
    }

    /// Returns the headers of the part, and the file name as the client sent it.
    #[must_use]
    pub fn head(&self) -> &PartHead {
        &self.head
    }

    /// Returns a file name made from the client's that is safe on every system; `None` if nothing of it remains.
    ///
    /// It has no path, no control characters, at most 255 bytes, and is not a device of Windows. Several uploads can have the
    /// same: use a name of your own on disk, and this one to show.
    #[must_use]
    pub fn safe_name(&self) -> Option<String> {
        file_name::safe(self.head.untrusted_file_name()?)
    }

    /// Returns the content, if it is in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.content {
            Spooled::Memory(content) => Some(content),
            Spooled::File(..) => None,
        }
    }

    /// Returns the content as a body: to send it on, or to read it with `collect` or `frame`.
    ///
    /// # Errors
    ///
    /// If its temporary file cannot be opened.
    pub async fn body(&self) -> io::Result<Body> {
        self.content.body().await
    }

    /// Makes a file of it that stays, at `path`.
    ///
    /// On the same file system a temporary file is not copied: it gets another name. Only the user of this process can read it.
    ///
    /// # Errors
    ///
    /// If `path` exists ([`AlreadyExists`](io::ErrorKind::AlreadyExists)), or cannot be written.
    pub async fn persist(&self, path: impl Into<PathBuf>) -> io::Result<()> {
        persist(self.content.clone(), path.into()).await
    }
}
