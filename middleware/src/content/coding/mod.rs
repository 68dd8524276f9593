//! Content codings (RFC 9110, section 8.4.1), and the negotiation of them.

mod negotiation;

#[cfg(any(feature = "compression", feature = "files"))]
pub(crate) use self::negotiation::negotiate;
pub(crate) use self::negotiation::parse_weight;
pub use self::negotiation::{Negotiated, negotiate_coding};

/// A content coding, for responses and request bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// `gzip` (RFC 1952).
    Gzip,
    /// `deflate`, which is the zlib format (RFC 9110, section 8.4.1.2).
    Deflate,
    /// `br` (RFC 7932); with the feature `brotli`.
    #[cfg(feature = "brotli")]
    Brotli,
    /// `zstd` (RFC 8878); with the feature `zstd`.
    #[cfg(feature = "zstd")]
    Zstd,
}

impl Coding {
    /// All codings in this build, ordered by output size for the least work.
    pub const ALL: &'static [Coding] = &[
        #[cfg(feature = "zstd")]
        Coding::Zstd,
        #[cfg(feature = "brotli")]
        Coding::Brotli,
        Coding::Gzip,
        Coding::Deflate,
    ];

    /// Returns the name in `Accept-Encoding` and `Content-Encoding`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Deflate => "deflate",
            #[cfg(feature = "brotli")]
            Coding::Brotli => "br",
            #[cfg(feature = "zstd")]
            Coding::Zstd => "zstd",
        }
    }

    /// Returns the coding of this name, without case; `x-gzip` is gzip (RFC 9110, section 8.4.1.3).
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Coding;
    ///
    /// assert_eq!(Coding::from_name("X-GZip"), Some(Coding::Gzip));
    /// assert_eq!(Coding::from_name("identity"), None);
    /// ```
    #[must_use]
    pub fn from_name(name: &str) -> Option<Coding> {
        let mut all = Coding::ALL.iter().copied();
        all.find(|coding| negotiation::is_coding(name, coding.name()))
    }
}
