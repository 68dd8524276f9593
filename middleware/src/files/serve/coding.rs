//! Chooses a representation of a file: as it is, or in a content coding.

use std::io;

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

use super::Files;
use crate::content::coding::{Negotiated, negotiate};
use crate::files::tree::entry::{Entry, FileEntry, Precompressed};
use crate::files::tree::path::TreePath;

/// A representation.
pub(super) struct Chosen {
    pub(super) file: FileEntry,
    /// The value of `Content-Encoding`.
    pub(super) coding: Option<&'static str>,
    /// Whether another client may get another representation.
    pub(super) varies: bool,
}

impl Chosen {
    /// The file as it is.
    fn itself(path: &TreePath<'_>, file: FileEntry, varies: bool) -> Chosen {
        // A drawing that is compressed by its type is one only together with its coding.
        let is_gzip = path.extension().eq_ignore_ascii_case("svgz");
        let coding = is_gzip.then_some("gzip");
        Chosen {
            file,
            coding,
            varies,
        }
    }
}

impl Files {
    /// The representation that the client prefers of those that are there; `None` if it accepts none.
    pub(super) async fn negotiate(
        &self,
        headers: &HeaderMap,
        path: &TreePath<'_>,
        file: FileEntry,
    ) -> io::Result<Option<Chosen>> {
        if self.options.precompressed.is_empty() && file.encodings().is_empty() {
            return Ok((!file.is_only_encoded()).then(|| Chosen::itself(path, file, false)));
        }
        let own = file.encodings().iter().map(|(coding, _)| *coding);
        let mut offered: Vec<Precompressed> = self.options.precompressed.clone();
        offered.extend(own.filter(|coding| !self.options.precompressed.contains(coding)));
        let varies = !offered.is_empty();
        loop {
            let names: Vec<&str> = offered.iter().map(|coding| coding.name()).collect();
            let name = match negotiate(headers.get_all(ACCEPT_ENCODING), &names) {
                Negotiated::Coding(name) => name,
                Negotiated::NotAcceptable if varies => return Ok(None),
                _ if file.is_only_encoded() => return Ok(None),
                _ => return Ok(Some(Chosen::itself(path, file, varies))),
            };
            let Some(at) = offered.iter().position(|coding| coding.name() == name) else {
                return Ok(None);
            };
            let coding = offered.remove(at);
            if let Some(file) = self.encoded(coding, path, &file).await? {
                let coding = Some(coding.name());
                return Ok(Some(Chosen {
                    file,
                    coding,
                    varies,
                }));
            }
        }
    }

    /// The file in a coding, if it is there: of the tree, or a sibling.
    async fn encoded(
        &self,
        coding: Precompressed,
        path: &TreePath<'_>,
        file: &FileEntry,
    ) -> io::Result<Option<FileEntry>> {
        let mut own = file.encodings().iter();
        if let Some((_, encoded)) = own.find(|(known, _)| *known == coding) {
            return Ok(Some(encoded.clone()));
        }
        if !self.options.precompressed.contains(&coding) {
            return Ok(None);
        }
        let sibling = path.with_suffix(coding.extension());
        let found = self.tree.look_up(&sibling).wait().await?;
        Ok(match found {
            Some(Entry::File(sibling)) if is_current(&sibling, file) => Some(sibling),
            _ => None,
        })
    }
}

/// Whether a sibling was made of this file, as far as their times say.
fn is_current(sibling: &FileEntry, file: &FileEntry) -> bool {
    let is_older = match (sibling.last_modified(), file.last_modified()) {
        (Some(sibling), Some(file)) => sibling < file,
        _ => false,
    };
    sibling.is_beside(file) && !is_older
}
