//! Finds what a request is for.

use std::io;

use enfilade_core::Request;
use enfilade_core::path::{self, match_prefix};

use super::Files;
use super::coding::Chosen;
use crate::files::tree::entry::{Entry, FileEntry, ListedEntry};
use crate::files::tree::path::TreePath;
use crate::matching::accept::accepts;

/// What a request is for.
pub(super) enum Found {
    /// A file in the representation that the client wants.
    File(FoundFile),
    /// Another path of the same file.
    Redirect(String),
    /// The entries of a directory.
    Listing(Listing),
    /// A file in no representation that the client accepts.
    NotAcceptable,
    Nothing,
}

pub(super) struct Listing {
    pub(super) entries: Vec<ListedEntry>,
    /// Whether the directory has more.
    pub(super) more: bool,
}

pub(super) struct FoundFile {
    /// The path of the file; that of its type.
    pub(super) path: TreePath<'static>,
    pub(super) chosen: Chosen,
}

impl Files {
    pub(super) async fn find(&self, request: &Request) -> io::Result<Found> {
        let Some(path) = TreePath::new(request.path()).filter(|path| self.shows(path)) else {
            return Ok(Found::Nothing);
        };
        // The root of a mount has no slash at its end if the request has none. Without a mount there is always one.
        let is_mount = request.path().is_empty() && !request.script_name().is_empty();
        let is_slashed = request.path().ends_with('/') || (path.is_root() && !is_mount);
        let found = match self.tree.look_up(&path).wait().await? {
            Some(Entry::Directory) => self.find_directory(request, &path, is_slashed).await?,
            Some(Entry::File(file)) if !is_slashed => self.find_file(request, path, file).await?,
            Some(Entry::File(_)) => return Ok(Found::Nothing),
            None => Found::Nothing,
        };
        let found = match found {
            Found::Nothing if !is_slashed => self.find_page(request).await?,
            found => found,
        };
        match found {
            Found::Nothing => self.find_single_page(request).await,
            found => Ok(respelled(request, is_slashed).map_or(found, Found::Redirect)),
        }
    }

    /// Whether no segment is hidden.
    fn shows(&self, path: &TreePath<'_>) -> bool {
        let is_shown = |segment: &str| !segment.starts_with('.') || segment == ".well-known";
        self.options.show_hidden || path.segments().all(is_shown)
    }

    async fn find_directory(
        &self,
        request: &Request,
        path: &TreePath<'_>,
        is_slashed: bool,
    ) -> io::Result<Found> {
        for name in &self.options.index {
            let index = path.join(name);
            if let Some(Entry::File(file)) = self.tree.look_up(&index).wait().await? {
                return match is_slashed {
                    true => self.choose(request, index, file).await,
                    false => Ok(Found::Redirect(moved(request, |path| format!("{path}/")))),
                };
            }
        }
        let Some(limit) = self.options.listing else {
            return Ok(Found::Nothing);
        };
        if !is_slashed {
            return Ok(Found::Redirect(moved(request, |path| format!("{path}/"))));
        }
        // One more shows that there are more.
        let listed = self.tree.list(path, limit.saturating_add(1)).wait().await?;
        Ok(listed.map_or(Found::Nothing, |mut entries| {
            let more = entries.len() > limit;
            entries.truncate(limit);
            entries.retain(|entry| self.shows(&path.join(entry.name())));
            Found::Listing(Listing { entries, more })
        }))
    }

    async fn find_file(
        &self,
        request: &Request,
        path: TreePath<'_>,
        file: FileEntry,
    ) -> io::Result<Found> {
        if self.is_sibling(&path).await? {
            return Ok(Found::Nothing);
        }
        if let Some(place) = self.shorter(request, &path) {
            return Ok(Found::Redirect(place));
        }
        self.choose(request, path.into_owned(), file).await
    }

    /// Whether the path is that of a precompressed sibling, which is not served by itself.
    async fn is_sibling(&self, path: &TreePath<'_>) -> io::Result<bool> {
        if self.options.serve_siblings {
            return Ok(false);
        }
        for coding in &self.options.precompressed {
            if let Some(original) = path.without_suffix(coding.extension()) {
                let found = self.tree.look_up(&original).wait().await?;
                return Ok(matches!(found, Some(Entry::File(_))));
            }
        }
        Ok(false)
    }

    /// The place of a page, if it has a shorter one.
    fn shorter(&self, request: &Request, path: &TreePath<'_>) -> Option<String> {
        if !self.options.canonical {
            return None;
        }
        let name = path.name();
        if self.options.index.iter().any(|index| index == name) {
            let cut = |path: &str| match path.rsplit_once('/') {
                Some((directory, _)) => format!("{directory}/"),
                None => "/".to_owned(),
            };
            return Some(moved(request, cut));
        }
        let cut = |path: &str| path.strip_suffix(".html").unwrap_or(path).to_owned();
        let is_page = name
            .strip_suffix(".html")
            .is_some_and(|stem| !stem.is_empty() && !stem.contains('.'));
        (self.options.html_extension && is_page).then(|| moved(request, cut))
    }

    /// The page with `.html` at the end of its name.
    async fn find_page(&self, request: &Request) -> io::Result<Found> {
        let path = TreePath::new(request.path());
        let wanted = |path: &TreePath<'_>| !path.is_root() && !path.name().contains('.');
        let Some(path) = path.filter(wanted).filter(|_| self.options.html_extension) else {
            return Ok(Found::Nothing);
        };
        let page = path.with_suffix(".html");
        match self.tree.look_up(&page).wait().await? {
            Some(Entry::File(file)) => self.choose(request, page, file).await,
            _ => Ok(Found::Nothing),
        }
    }

    async fn find_single_page(&self, request: &Request) -> io::Result<Found> {
        let Some(single) = &self.options.single_page else {
            return Ok(Found::Nothing);
        };
        let path = request.path();
        let has_extension = path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.contains('.'));
        let is_excepted = |prefix: &String| match_prefix(path, prefix).is_some();
        if has_extension
            || single.except.iter().any(is_excepted)
            || !accepts(request.headers(), "text/html")
        {
            return Ok(Found::Nothing);
        }
        match self.tree.look_up(&single.page).wait().await? {
            Some(Entry::File(file)) => self.choose(request, single.page.clone(), file).await,
            _ => Ok(Found::Nothing),
        }
    }

    /// Chooses the representation of a file.
    async fn choose(
        &self,
        request: &Request,
        path: TreePath<'static>,
        file: FileEntry,
    ) -> io::Result<Found> {
        let chosen = self.negotiate(request.headers(), &path, file).await?;
        Ok(chosen.map_or(Found::NotAcceptable, |chosen| {
            Found::File(FoundFile { path, chosen })
        }))
    }
}

/// The path that guards and routers compare with the name of the file, if the request has another spelling of it.
///
/// `/a%40b` and `/a@b` are different paths (RFC 3986, section 2.2), but both are decoded to the name `a@b`. If both were
/// served, a guard of one could be avoided by the other.
fn respelled(request: &Request, is_slashed: bool) -> Option<String> {
    let given = request.path();
    if !given.contains('%') {
        return None;
    }
    let path = TreePath::new(given)?;
    let slash = if is_slashed { "/" } else { "" };
    let spelled = format!("/{}{slash}", path::encode(path.as_str()));
    (spelled != given).then(|| moved(request, |_| spelled.clone()))
}

/// The path of the request with another end, as the target of a redirect: with the mounts and the query.
fn moved(request: &Request, change: impl Fn(&str) -> String) -> String {
    let changed = change(request.path());
    let full = format!("{}{changed}", request.script_name());
    // A target that begins with two slashes names another host.
    let full = format!("/{}", full.trim_start_matches('/'));
    let query = request.query_string().map(|query| format!("?{query}"));
    path::encode_invalid(&format!("{full}{}", query.unwrap_or_default())).into_owned()
}
