//! Entries of a tree: files, with what a response says about them, and directories.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use enfilade_core::conditional::{EntityTag, Validators};
use enfilade_core::{Body, ReadAt, Segment};
use http::HeaderMap;
use time::OffsetDateTime;

use crate::files::file_source::FileSource;

/// What is at a path of a [`FileTree`](crate::FileTree).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Entry {
    /// A file.
    File(FileEntry),
    /// A directory.
    Directory,
}

/// A file of a tree: its content, and what a response says about it. A clone copies no content.
///
/// ```
/// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
/// use enfilade::conditional::EntityTag;
/// use enfilade::middleware::FileEntry;
///
/// let file = FileEntry::from_bytes("hall").tag(EntityTag::strong("v1").unwrap());
/// assert_eq!(file.len(), 4);
/// assert_eq!(pollster::block_on(file.body().collect(100)).unwrap(), "hall");
/// ```
#[derive(Clone, Debug)]
pub struct FileEntry(Arc<Facts>);

#[derive(Clone)]
struct Facts {
    content: Content,
    length: u64,
    modified: Option<OffsetDateTime>,
    tag: Option<EntityTag>,
    /// `ETag` and `Last-Modified`, made once.
    headers: HeaderMap,
    encoded: Vec<(Precompressed, FileEntry)>,
    only_encoded: bool,
    /// Which of several trees has it.
    origin: u64,
}

#[derive(Clone)]
enum Content {
    Memory(Bytes),
    /// An open file.
    File(FileSource),
    Segments(Arc<[Segment]>),
}

impl FileEntry {
    /// A file whose content is in memory.
    #[must_use]
    pub fn from_bytes(content: impl Into<Bytes>) -> FileEntry {
        let content = content.into();
        let length = content.len() as u64;
        FileEntry::of(Content::Memory(content), length)
    }

    /// A file whose content is read while it is sent.
    #[must_use]
    pub fn new(source: Arc<dyn ReadAt>, length: u64) -> FileEntry {
        FileEntry::from_segments([Segment::new(source, 0..length)])
    }

    /// A file whose content is made of segments.
    #[must_use]
    pub fn from_segments(segments: impl IntoIterator<Item: Into<Segment>>) -> FileEntry {
        let segments: Arc<[Segment]> = segments.into_iter().map(Into::into).collect();
        let length = segments.iter().map(Segment::len);
        let length = length.fold(0, u64::saturating_add);
        FileEntry::of(Content::Segments(segments), length)
    }

    /// An open file.
    pub(super) fn from_file(file: FileSource) -> FileEntry {
        let length = file.len();
        FileEntry::of(Content::File(file), length)
    }

    fn of(content: Content, length: u64) -> FileEntry {
        FileEntry(Arc::new(Facts {
            content,
            length,
            modified: None,
            tag: None,
            headers: HeaderMap::new(),
            encoded: Vec::new(),
            only_encoded: false,
            origin: 0,
        }))
    }

    /// Sets when the file was last modified; unknown by default.
    #[must_use]
    pub fn modified(self, time: OffsetDateTime) -> FileEntry {
        self.change(|facts| facts.modified = Some(time))
    }

    /// Sets the tag, which changes whenever the content does; without a tag by default.
    #[must_use]
    pub fn tag(self, tag: EntityTag) -> FileEntry {
        self.change(|facts| facts.tag = Some(tag))
    }

    /// Adds the same content in a content coding, for clients that accept it.
    ///
    /// Its tag must differ from those of the other representations.
    #[must_use]
    pub fn encoded(self, coding: Precompressed, file: FileEntry) -> FileEntry {
        self.change(|facts| facts.encoded.push((coding, file)))
    }

    /// Sends it only in its content codings: clients that accept none of them get a 406.
    #[must_use]
    pub fn only_encoded(self) -> FileEntry {
        self.change(|facts| facts.only_encoded = true)
    }

    fn change(mut self, change: impl FnOnce(&mut Facts)) -> FileEntry {
        let facts = Arc::make_mut(&mut self.0);
        change(facts);
        facts.headers.clear();
        let mut validators = Validators::new();
        if let Some(tag) = facts.tag.clone() {
            validators = validators.entity_tag(tag);
        }
        if let Some(time) = facts.modified {
            validators = validators.last_modified(time);
        }
        validators.set_on(&mut facts.headers);
        self
    }

    /// Returns the length of the content, in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.length
    }

    /// Returns whether the file is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.length == 0
    }

    /// Returns when the file was last modified.
    #[must_use]
    pub fn last_modified(&self) -> Option<OffsetDateTime> {
        self.0.modified
    }

    /// Returns the tag.
    #[must_use]
    pub fn entity_tag(&self) -> Option<&EntityTag> {
        self.0.tag.as_ref()
    }

    /// Returns the whole content as a body; nothing is read yet.
    #[must_use]
    pub fn body(&self) -> Body {
        match &self.0.content {
            Content::Memory(bytes) => Body::from(bytes.clone()),
            Content::File(file) => Body::from(file.clone()),
            Content::Segments(segments) => Body::from_segments(segments.iter().cloned()),
        }
    }

    /// The validators as headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }

    /// Whether it is sent only in its content codings.
    pub(crate) fn is_only_encoded(&self) -> bool {
        self.0.only_encoded
    }

    /// The same content in content codings.
    pub(crate) fn encodings(&self) -> &[(Precompressed, FileEntry)] {
        &self.0.encoded
    }

    /// The file of the tree at this place of an overlay.
    pub(super) fn in_tree(self, at: usize) -> FileEntry {
        self.change(|facts| {
            let outside = (at as u64).wrapping_add(1);
            facts.origin = facts.origin.wrapping_mul(1_000).wrapping_add(outside);
        })
    }

    /// Whether both are in the same tree of an overlay.
    pub(crate) fn is_beside(&self, other: &FileEntry) -> bool {
        self.0.origin == other.0.origin
    }

    /// Whether it has the content in other content codings too.
    pub(super) fn has_encodings(&self) -> bool {
        !self.0.encoded.is_empty()
    }

    /// Whether the content is in memory.
    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.0.content, Content::Memory(_))
    }

    /// The same file with its content in memory.
    pub(super) fn with_content(self, content: Bytes) -> FileEntry {
        self.change(|facts| {
            facts.length = content.len() as u64;
            facts.content = Content::Memory(content);
        })
    }

    /// Whether both have the same content, as far as their tags, times and lengths say.
    pub(super) fn is_same(&self, other: &FileEntry) -> bool {
        let facts = |file: &FileEntry| (file.0.length, file.0.modified, file.0.tag.clone());
        self.0.tag.is_some() && facts(self) == facts(other)
    }
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("length", &self.length)
            .field("modified", &self.modified)
            .field("tag", &self.tag)
            .field("encoded", &self.encoded)
            .finish_non_exhaustive()
    }
}

/// A content coding of a file that was compressed before it is served.
///
/// Unlike [`Coding`](crate::Coding) it needs no feature, because nothing is compressed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precompressed {
    /// `zstd`: the sibling `app.js.zst` of `app.js`.
    Zstd,
    /// `br`: the sibling `app.js.br`.
    Brotli,
    /// `gzip`: the sibling `app.js.gz`.
    Gzip,
}

impl Precompressed {
    /// Returns the name in `Accept-Encoding` and `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Precompressed::Zstd => "zstd",
            Precompressed::Brotli => "br",
            Precompressed::Gzip => "gzip",
        }
    }

    /// Returns the extension of siblings, with its dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Precompressed::Zstd => ".zst",
            Precompressed::Brotli => ".br",
            Precompressed::Gzip => ".gz",
        }
    }
}

/// An entry of a directory, for a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    name: String,
    is_directory: bool,
    length: Option<u64>,
    modified: Option<OffsetDateTime>,
}

impl ListedEntry {
    /// A file; the name is one segment, decoded.
    #[must_use]
    pub fn file(name: impl Into<String>) -> ListedEntry {
        ListedEntry {
            name: name.into(),
            is_directory: false,
            length: None,
            modified: None,
        }
    }

    /// A directory; the name is one segment, decoded, without a slash.
    #[must_use]
    pub fn directory(name: impl Into<String>) -> ListedEntry {
        ListedEntry {
            is_directory: true,
            ..ListedEntry::file(name)
        }
    }

    /// Sets the length in bytes; unknown by default.
    #[must_use]
    pub fn length(mut self, bytes: u64) -> ListedEntry {
        self.length = Some(bytes);
        self
    }

    /// Sets when it was last modified; unknown by default.
    #[must_use]
    pub fn modified(mut self, time: OffsetDateTime) -> ListedEntry {
        self.modified = Some(time);
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.is_directory
    }

    pub(crate) fn known_length(&self) -> Option<u64> {
        self.length
    }

    pub(crate) fn last_modified(&self) -> Option<OffsetDateTime> {
        self.modified
    }
}
