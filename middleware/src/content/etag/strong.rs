//! Strong tags of content.

use enfilade_core::conditional::EntityTag;
use sha2::{Digest, Sha256};

use super::{Etag, hexadecimal};

impl Etag {
    /// Makes strong tags: 128 bits of SHA-256, so that content cannot be made to have the tag of other content.
    ///
    /// `If-Match` and `If-Range` need a strong tag. Everything outside this wrapper must leave the bytes alone, except
    /// [`Compression`](crate::Compression), which [changes the tag](crate::Compression::etags) with the content. It takes
    /// about ten times as long as a weak tag.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::middleware::Etag;
    /// use enfilade::{Application, Request};
    /// use enfilade_testing::Client;
    ///
    /// let client = Client::new(Application::new(|_: Request| "abc").wrap(Etag::new().strong()));
    /// let tag = client.get("/").send().header("etag").map(str::to_owned);
    /// assert_eq!(tag.as_deref(), Some("\"ba7816bf8f01cfea414140de5dae2223\""));
    /// ```
    #[cfg_attr(docsrs, doc(cfg(feature = "strong-etags")))]
    pub fn strong(mut self) -> Self {
        self.strong = Some(of_content);
        self
    }
}

fn of_content(buffers: &[bytes::Bytes]) -> Option<EntityTag> {
    let mut hash = Sha256::new();
    for buffer in buffers {
        hash.update(buffer);
    }
    let hash = hash.finalize();
    EntityTag::strong(hexadecimal(hash.get(..16)?)).ok()
}
