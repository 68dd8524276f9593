//! The options of [`Files`], and their setters.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use enfilade_core::{Description, OptionValue};
use http::{HeaderName, HeaderValue};
use time::OffsetDateTime;

use super::Files;
use super::policy::{CachePolicy, HeaderRule};
use super::types::Types;
use crate::content::ranges::Ranges;
use crate::error::{Error, ErrorKind};
use crate::files::tree::FileTree;
use crate::files::tree::entry::Precompressed;
use crate::files::tree::path::TreePath;
use crate::matching::path_glob::PathGlob;
use crate::matching::prefix::mount_prefix;

/// The maximum number of entries in a listing by default.
const LISTED: usize = 1_000;

#[derive(Clone)]
pub(super) struct Options {
    pub(super) index: Vec<String>,
    pub(super) canonical: bool,
    pub(super) show_hidden: bool,
    pub(super) html_extension: bool,
    pub(super) single_page: Option<SinglePage>,
    pub(super) precompressed: Vec<Precompressed>,
    pub(super) serve_siblings: bool,
    pub(super) listing: Option<usize>,
    pub(super) pass_methods: bool,
    pub(super) untrusted: bool,
    pub(super) types: Types,
    pub(super) cache: CachePolicy,
    pub(super) headers: Vec<HeaderRule>,
    pub(super) ranges: Ranges,
    pub(super) now: Arc<dyn Fn() -> OffsetDateTime + Send + Sync>,
}

/// The page of an application that routes in the browser.
#[derive(Clone, Debug)]
pub(super) struct SinglePage {
    pub(super) page: TreePath<'static>,
    /// Prefixes of paths that it does not stand for.
    pub(super) except: Vec<String>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            index: vec!["index.html".to_owned()],
            canonical: false,
            show_hidden: false,
            html_extension: false,
            single_page: None,
            precompressed: Vec::new(),
            serve_siblings: false,
            listing: None,
            pass_methods: false,
            untrusted: false,
            types: Types::default(),
            cache: CachePolicy::default(),
            headers: Vec::new(),
            ranges: Ranges::new(),
            now: Arc::new(system_time),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the default clock; an option replaces it"
)]
fn system_time() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

impl Files {
    fn set(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(Arc::make_mut(&mut self.options));
        self
    }

    /// Sets the names of the files that stand for their directory, the first that exists; `index.html` by default.
    ///
    /// With an empty list, the path of a directory is not found, unless directories are [listed](Files::listing).
    pub fn index<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        self.set(|options| options.index = names.into_iter().map(Into::into).collect())
    }

    /// Redirects `/docs/index.html` to `/docs/`, and with [`html_extension`](Files::html_extension) `/page.html` to
    /// `/page`, so that a page has one URL; off by default.
    pub fn canonical(self) -> Self {
        self.set(|options| options.canonical = true)
    }

    /// Serves names that begin with a dot; by default they are hidden, and so is all that is in such directories.
    ///
    /// Such files often are not meant for others: `.git`, `.env`, `.htpasswd`. `.well-known` is always served.
    pub fn insecure_show_hidden(self) -> Self {
        self.set(|options| options.show_hidden = true)
    }

    /// Serves `page.html` for the path `/page`, if nothing else is there and the name has no extension; off by default.
    pub fn html_extension(self) -> Self {
        self.set(|options| options.html_extension = true)
    }

    /// Serves this page, such as `index.html`, for each path without a file: for applications that route in the browser.
    ///
    /// It stands for paths whose last segment has no dot, if the client accepts HTML. So a missing script stays a 404.
    /// `except` lists prefixes that stay a 404 as well, such as `/api`.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::Application;
    /// use enfilade::middleware::{Files, MemoryTree};
    /// use enfilade_testing::Client;
    ///
    /// # fn main() -> Result<(), enfilade::middleware::Error> {
    /// let tree = MemoryTree::new().file("index.html", "<div id=app>")?;
    /// let client = Client::new(Application::new(Files::new(tree).single_page("index.html", ["/api"])?));
    /// assert_eq!(client.get("/users/7").send().text(), "<div id=app>");
    /// assert_eq!(client.get("/missing.js").send().status(), 404);
    /// assert_eq!(client.get("/api/users").send().status(), 404);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the page is not the path of a file, without a slash at its front, or a prefix is not one.
    pub fn single_page<T: AsRef<str>>(
        self,
        page: &str,
        except: impl IntoIterator<Item = T>,
    ) -> Result<Self, Error> {
        let path = TreePath::from_text(page).filter(|path| !path.is_root());
        let Some(path) = path.map(TreePath::into_owned) else {
            let text = format!("{page:?} is not the path of a file, such as `index.html`");
            return Err(Error::new(ErrorKind::Rule, text));
        };
        let except = except.into_iter();
        let except = except.map(|prefix| mount_prefix(prefix.as_ref()).map(str::to_owned));
        let except = except.collect::<Result<_, _>>()?;
        Ok(self.set(|options| options.single_page = Some(SinglePage { page: path, except })))
    }

    /// Sends siblings that were compressed before, such as `app.js.br` for `app.js`, to clients that accept them; none by
    /// default.
    ///
    /// The codings are in the order of preference for clients that accept several equally. A sibling that is older than
    /// its file is not used. Responses get `Vary: Accept-Encoding`, also those without a sibling; a range counts in the
    /// bytes of the sibling. The path of a sibling itself is a 404 if the file is there;
    /// [`serve_siblings`](Files::serve_siblings) changes that.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::Application;
    /// use enfilade::middleware::{Files, MemoryTree, Precompressed};
    /// use enfilade_testing::Client;
    ///
    /// # fn main() -> Result<(), enfilade::middleware::Error> {
    /// let tree = MemoryTree::new().file("a.js", "alert()")?.file("a.js.gz", &b"\x1f\x8b..."[..])?;
    /// let files = Files::new(tree).precompressed([Precompressed::Brotli, Precompressed::Gzip]);
    /// let client = Client::new(Application::new(files));
    /// let response = client.get("/a.js").header("accept-encoding", "gzip, br").send();
    /// assert_eq!(response.header("content-encoding"), Some("gzip"));
    /// assert_eq!(response.header("content-type"), Some("text/javascript; charset=utf-8"));
    /// assert_eq!(response.header("vary"), Some("accept-encoding"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn precompressed(self, codings: impl IntoIterator<Item = Precompressed>) -> Self {
        self.set(|options| options.precompressed = codings.into_iter().collect())
    }

    /// Serves precompressed siblings by their own paths too: `/app.js.gz` as a file of the type gzip; off by default.
    pub fn serve_siblings(self) -> Self {
        self.set(|options| options.serve_siblings = true)
    }

    /// Lists directories without an index, as HTML or JSON as the client prefers; off by default.
    ///
    /// At most 1,000 entries are listed; [`listing_limit`](Files::listing_limit) changes that. Hidden entries are left
    /// out, directories come first, and links show neither length nor time.
    ///
    /// ```
    /// # mod enfilade { pub use enfilade_core::*; pub use enfilade_middleware as middleware; }
    /// use enfilade::Application;
    /// use enfilade::middleware::{Files, MemoryTree};
    /// use enfilade_testing::Client;
    ///
    /// # fn main() -> Result<(), enfilade::middleware::Error> {
    /// let tree = MemoryTree::new().file("a & b.txt", "text")?.file("more/c.txt", "text")?;
    /// let client = Client::new(Application::new(Files::new(tree).listing()));
    /// let html = client.get("/").send();
    /// assert!(html.text().contains(r#"<a href="./a%20&amp;%20b.txt">a &amp; b.txt</a>"#));
    /// let json = client.get("/").header("accept", "application/json").send();
    /// assert_eq!(
    ///     json.text(),
    ///     r#"[{"name":"more","type":"directory"},{"name":"a & b.txt","type":"file","size":4}]"#
    /// );
    /// # Ok(())
    /// # }
    /// ```
    pub fn listing(self) -> Self {
        self.listing_limit(LISTED)
    }

    /// Lists directories as [`listing`](Files::listing) does, with at most this many entries.
    ///
    /// A directory with more shows some of them, and says so in HTML.
    pub fn listing_limit(self, entries: usize) -> Self {
        self.set(|options| options.listing = Some(entries))
    }

    /// Leaves requests with other methods than GET and HEAD to the wrapped application, also if there is a file; off by
    /// default.
    pub fn pass_methods(self) -> Self {
        self.set(|options| options.pass_methods = true)
    }

    /// Treats the files as uploads of users: what a browser could run is sent as a download; off by default.
    ///
    /// HTML, SVG and other XML, and scripts get `Content-Disposition: attachment`. Opened as pages, they could act in the
    /// name of a user who is logged in to the site.
    pub fn untrusted(self) -> Self {
        self.set(|options| options.untrusted = true)
    }

    /// Sets the type of files with this extension, which is compared without case.
    ///
    /// By default the type comes from a table of about 120 extensions, with `charset=utf-8` for text. All other files are
    /// `application/octet-stream`.
    ///
    /// # Errors
    ///
    /// If the extension is empty or contains a slash, or the type is not a media type.
    pub fn content_type(self, extension: &str, media_type: &str) -> Result<Self, Error> {
        let mut types = self.options.types.clone();
        types.set(extension, media_type)?;
        Ok(self.set(|options| options.types = types))
    }

    /// Lets caches keep all files for this long: `Cache-Control: public, max-age=…`; no such header by default.
    pub fn max_age(self, age: Duration) -> Self {
        self.set(|options| options.cache.max_age = Some(age))
    }

    /// Lets caches keep files with a hash in their names for a year, and check pages each time; off by default.
    ///
    /// A name has a hash if a dot, a hyphen or an underscore precedes at least eight hexadecimal digits, of which one is a
    /// letter, before a dot: `app.3f2a9c1b.js`. Such files get `public, max-age=31536000, immutable` (RFC 8246), and HTML
    /// gets `no-cache`.
    pub fn hashed_names(self) -> Self {
        self.set(|options| options.cache.hashed = Some(Arc::new(super::policy::has_hash)))
    }

    /// As [`hashed_names`](Files::hashed_names), with a test of your own: of the path in the tree, such as
    /// `assets/app.js`.
    pub fn hashed_if(self, test: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        self.set(|options| options.cache.hashed = Some(Arc::new(test)))
    }

    /// Sets a header on the responses with files, also on 304 and 206.
    pub fn header(self, name: HeaderName, value: HeaderValue) -> Self {
        self.set(|options| options.headers.push(HeaderRule::new(None, name, value)))
    }

    /// Sets a header on the responses with files whose request path below mounts matches a pattern, such as
    /// `/fonts/**`, `**/*.{png,jpg}`.
    ///
    /// Of several values for one name the last counts.
    ///
    /// # Errors
    ///
    /// If the pattern is malformed; see [`Guard::path`](crate::Guard::path) for patterns.
    pub fn header_for(
        self,
        pattern: &str,
        name: HeaderName,
        value: HeaderValue,
    ) -> Result<Self, Error> {
        let rule = HeaderRule::new(Some(PathGlob::new(pattern)?), name, value);
        Ok(self.set(|options| options.headers.push(rule)))
    }

    /// Sets the maximum number of ranges in a response; 16 by default.
    pub fn max_ranges(self, ranges: usize) -> Self {
        self.set(|options| options.ranges = options.ranges.clone().max_parts(ranges))
    }

    /// Sets the clock, with which a time of a file is compared; the system's by default.
    ///
    /// `Last-Modified` is never in the future (RFC 9110, section 8.8.2.1).
    pub fn clock(self, now: impl Fn() -> OffsetDateTime + Send + Sync + 'static) -> Self {
        let now: Arc<dyn Fn() -> OffsetDateTime + Send + Sync> = Arc::new(now);
        self.set(|options| {
            let for_ranges = now.clone();
            options.ranges = options.ranges.clone().clock(move || for_ranges());
            options.now = now;
        })
    }
}

impl Options {
    pub(super) fn describe(&self, tree: &dyn FileTree) -> Description {
        let mut description = Description::new("Files")
            .option("tree", tree.describe().to_line())
            .option("index", self.index.clone())
            .option("hidden", if self.show_hidden { "shown" } else { "404" });
        if !self.precompressed.is_empty() {
            let names = self.precompressed.iter().map(|coding| coding.name());
            description = description.option("precompressed", names.collect::<OptionValue>());
        }
        if let Some(single) = &self.single_page {
            description = description.option("single_page", single.page.as_str());
        }
        if let Some(limit) = self.listing {
            description = description.option("listing", limit);
        }
        if self.untrusted {
            description = description.option("untrusted", true);
        }
        description
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("index", &self.index)
            .field("show_hidden", &self.show_hidden)
            .field("html_extension", &self.html_extension)
            .field("single_page", &self.single_page)
            .field("precompressed", &self.precompressed)
            .field("listing", &self.listing)
            .field("untrusted", &self.untrusted)
            .finish_non_exhaustive()
    }
}
