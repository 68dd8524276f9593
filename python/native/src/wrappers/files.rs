//! Serves files, alone or around an application.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use enfilade::Application;
use enfilade::middleware::{self, CachedTree, DiskTree, Links, Precompressed};
use pyo3::prelude::*;

use super::unopened;
use crate::application::{PyApplication, based, taken};
use crate::arguments::{
    Given, MOST_SECONDS, choice, choices, optional_size, optional_texts, optional_whole, pairs,
    refused, seconds_or_zero,
};

/// What is kept of a directory, in bytes, by default: as in `middleware::Files::directory`.
const KEPT: u64 = 32 * 1024 * 1024;

const LINKS: [(&str, Links); 3] = [
    ("inside", Links::Inside),
    ("refuse", Links::Refuse),
    ("insecure_follow", Links::InsecureFollow),
];

const CODINGS: [(&str, Precompressed); 3] = [
    ("br", Precompressed::Brotli),
    ("gzip", Precompressed::Gzip),
    ("zstd", Precompressed::Zstd),
];

pub(super) fn add_to(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Files>()
}

/// Serves the files of a directory; around an application, it calls that for paths without a file.
///
/// It reads files without Python. The names of the options are those of the Rust component, and so are their defaults.
#[pyclass(frozen, extends = PyApplication, module = "enfilade")]
struct Files;

#[pymethods]
impl Files {
    /// `max_age` is in seconds, `cache_size` in bytes. What is kept is used for `check_after` seconds before the system is
    /// asked again; with a `cache_size` of 0 nothing is kept.
    #[new]
    #[pyo3(
        signature = (
            directory, app = None, *, index = None, canonical = false, html_extension = false, single_page = None,
            single_page_except = None, precompressed = None, serve_siblings = false, listing = false,
            listing_limit = None, pass_methods = false, untrusted = false, content_types = None, max_age = None,
            hashed_names = false, insecure_show_hidden = false, links = "inside", cache_size = None,
            check_after = None, max_ranges = None,
        ),
        text_signature = "(directory, app=None, *, index=..., canonical=False, html_extension=False, \
            single_page=None, single_page_except=(), precompressed=(), serve_siblings=False, listing=False, \
            listing_limit=1000, pass_methods=False, untrusted=False, content_types=None, max_age=None, \
            hashed_names=False, insecure_show_hidden=False, links='inside', cache_size=33554432, \
            check_after=1.0, max_ranges=16)",
    )]
    #[expect(
        clippy::fn_params_excessive_bools,
        clippy::too_many_arguments,
        reason = "Python passes these as keyword arguments, by name"
    )]
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        app: Given<'_, '_>,
        index: Given<'_, '_>,
        canonical: bool,
        html_extension: bool,
        single_page: Option<&str>,
        single_page_except: Given<'_, '_>,
        precompressed: Given<'_, '_>,
        serve_siblings: bool,
        listing: bool,
        listing_limit: Given<'_, '_>,
        pass_methods: bool,
        untrusted: bool,
        content_types: Given<'_, '_>,
        max_age: Given<'_, '_>,
        hashed_names: bool,
        insecure_show_hidden: bool,
        links: &str,
        cache_size: Given<'_, '_>,
        check_after: Given<'_, '_>,
        max_ranges: Given<'_, '_>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let tree = opened(py, &directory)?.links(choice(links, &LINKS)?);
        let mut files = kept(tree, cache_size, check_after)?;
        if let Some(names) = optional_texts("index", index)? {
            files = files.index(names);
        }
        if let Some(codings) = precompressed {
            files = files.precompressed(choices("precompressed", codings, &CODINGS)?);
        }
        let except = optional_texts("single_page_except", single_page_except)?.unwrap_or_default();
        if let Some(page) = single_page {
            files = files.single_page(page, except).map_err(refused)?;
        }
        for (extension, media_type) in &pairs("content_types", content_types)? {
            files = files.content_type(extension, media_type).map_err(refused)?;
        }
        if let Some(seconds) = optional_whole("max_age", max_age, 0..=MOST_SECONDS)? {
            files = files.max_age(Duration::from_secs(seconds));
        }
        if let Some(ranges) = optional_size("max_ranges", max_ranges)? {
            files = files.max_ranges(ranges);
        }
        let limit = optional_size("listing_limit", listing_limit)?;
        type Switch = fn(middleware::Files) -> middleware::Files;
        let switches: [(bool, Switch); 8] = [
            (canonical, middleware::Files::canonical),
            (html_extension, middleware::Files::html_extension),
            (serve_siblings, middleware::Files::serve_siblings),
            (listing, middleware::Files::listing),
            (pass_methods, middleware::Files::pass_methods),
            (untrusted, middleware::Files::untrusted),
            (hashed_names, middleware::Files::hashed_names),
            (
                insecure_show_hidden,
                middleware::Files::insecure_show_hidden,
            ),
        ];
        for (_, switch) in switches.into_iter().filter(|(is_on, _)| *is_on) {
            files = switch(files);
        }
        if let Some(limit) = limit.filter(|_| listing) {
            files = files.listing_limit(limit);
        }
        let app = match app {
            Some(app) => taken(app)?.wrap(files),
            None => Application::new(files),
        };
        Ok(based(app, Files))
    }
}

/// Opens a directory. An error of the system is an `OSError` of Python.
fn opened(py: Python<'_>, path: &Path) -> PyResult<DiskTree> {
    DiskTree::open(path).map_err(|error| match fs::read_dir(path) {
        Err(error) => unopened(py, &error, path),
        Ok(_) => refused(error),
    })
}

/// Serves the tree from a cache, or without one if its size is 0.
fn kept(
    tree: DiskTree,
    cache_size: Given<'_, '_>,
    check_after: Given<'_, '_>,
) -> PyResult<middleware::Files> {
    let bytes = optional_whole("cache_size", cache_size, 0..=u64::MAX)?.unwrap_or(KEPT);
    let check_after = check_after
        .map(|time| seconds_or_zero("check_after", time))
        .transpose()?;
    if bytes == 0 {
        return Ok(middleware::Files::new(tree));
    }
    let tree = CachedTree::new(tree, bytes);
    Ok(middleware::Files::new(match check_after {
        Some(time) => tree.check_after(time),
        None => tree,
    }))
}
