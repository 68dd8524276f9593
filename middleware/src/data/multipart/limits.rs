//! What a multipart body may cost.

/// The limits of a multipart body, checked as its bytes are received.
///
/// The limits of a field and of a file are those of their content; all others count headers and boundaries too.
///
/// ```
/// # mod enfilade { pub use enfilade_middleware as middleware; }
/// use enfilade::middleware::MultipartLimits;
///
/// // Up to 50 pictures of 10 MiB each, and short fields.
/// let limits = MultipartLimits::new().files(50).file_bytes(10 << 20).field_bytes(10_000);
/// # drop(limits);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "limits do nothing until a multipart body is read with them"]
pub struct MultipartLimits {
    pub(super) total_bytes: u64,
    pub(super) preamble_bytes: usize,
    pub(super) head_bytes: usize,
    pub(super) head_lines: usize,
    pub(super) parts: usize,
    pub(super) files: usize,
    pub(super) field_bytes: u64,
    pub(super) fields_bytes: u64,
    pub(super) file_bytes: u64,
}

impl MultipartLimits {
    /// The defaults, which each setter names.
    pub fn new() -> MultipartLimits {
        MultipartLimits {
            total_bytes: 100 << 20,
            preamble_bytes: 16 << 10,
            head_bytes: 8 << 10,
            head_lines: 16,
            parts: 1_000,
            files: 20,
            field_bytes: 1 << 20,
            fields_bytes: 2 << 20,
            file_bytes: 50 << 20,
        }
    }

    /// Sets the maximum length of the whole body, in bytes; 100 MiB by default.
    pub fn total_bytes(mut self, bytes: u64) -> MultipartLimits {
        self.total_bytes = bytes;
        self
    }

    /// Sets the maximum length of the text before the first part, and of that after the last, in bytes; 16 KiB by
    /// default. Both are ignored (RFC 2046, section 5.1.1).
    pub fn preamble_bytes(mut self, bytes: usize) -> MultipartLimits {
        self.preamble_bytes = bytes;
        self
    }

    /// Sets the maximum length of the headers of a part, in bytes; 8 KiB by default.
    pub fn head_bytes(mut self, bytes: usize) -> MultipartLimits {
        self.head_bytes = bytes;
        self
    }

    /// Sets the maximum number of headers of a part; 16 by default.
    pub fn head_lines(mut self, lines: usize) -> MultipartLimits {
        self.head_lines = lines;
        self
    }

    /// Sets the maximum number of parts, fields and files together; 1,000 by default.
    pub fn parts(mut self, parts: usize) -> MultipartLimits {
        self.parts = parts;
        self
    }

    /// Sets the maximum number of parts with a file name; 20 by default.
    pub fn files(mut self, files: usize) -> MultipartLimits {
        self.files = files;
        self
    }

    /// Sets the maximum length of a part without a file name, in bytes; 1 MiB by default.
    pub fn field_bytes(mut self, bytes: u64) -> MultipartLimits {
        self.field_bytes = bytes;
        self
    }

    /// Sets the maximum length of all parts without a file name together, with their headers, in bytes; 2 MiB by default.
    pub fn fields_bytes(mut self, bytes: u64) -> MultipartLimits {
        self.fields_bytes = bytes;
        self
    }

    /// Sets the maximum length of a part with a file name, in bytes; 50 MiB by default.
    pub fn file_bytes(mut self, bytes: u64) -> MultipartLimits {
        self.file_bytes = bytes;
        self
    }
}

impl Default for MultipartLimits {
    fn default() -> MultipartLimits {
        MultipartLimits::new()
    }
}
