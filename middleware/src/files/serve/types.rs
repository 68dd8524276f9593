//! The media types of files, by extension.

use std::cmp::Ordering;
use std::collections::HashMap;

use enfilade_core::headers::MediaType;
use http::HeaderValue;

use crate::error::{Error, ErrorKind};

const UNKNOWN: &str = "application/octet-stream";

/// Extensions in lower case, sorted. XML without a `charset` would be read in the encoding that its own first line names,
/// which is UTF-8 too if it names none.
#[rustfmt::skip]
const TYPES: &[(&str, &str)] = &[
    ("3gp", "video/3gpp"),
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("aif", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("apk", "application/vnd.android.package-archive"),
    ("apng", "image/apng"),
    ("appcache", "text/cache-manifest; charset=utf-8"),
    ("asc", "text/plain; charset=utf-8"),
    ("atom", "application/atom+xml; charset=utf-8"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("azw", "application/vnd.amazon.ebook"),
    ("bin", "application/octet-stream"),
    ("bmp", "image/bmp"),
    ("br", "application/x-brotli"),
    ("bz2", "application/x-bzip2"),
    ("c", "text/plain; charset=utf-8"),
    ("cjs", "text/javascript; charset=utf-8"),
    ("conf", "text/plain; charset=utf-8"),
    ("cpp", "text/plain; charset=utf-8"),
    ("crt", "application/x-x509-ca-cert"),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("cur", "image/x-icon"),
    ("dash", "application/dash+xml; charset=utf-8"),
    ("deb", "application/vnd.debian.binary-package"),
    ("diff", "text/plain; charset=utf-8"),
    ("dmg", "application/x-apple-diskimage"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("dtd", "application/xml-dtd; charset=utf-8"),
    ("eot", "application/vnd.ms-fontobject"),
    ("epub", "application/epub+zip"),
    ("exe", "application/vnd.microsoft.portable-executable"),
    ("flac", "audio/flac"),
    ("flv", "video/x-flv"),
    ("geojson", "application/geo+json"),
    ("gif", "image/gif"),
    ("go", "text/plain; charset=utf-8"),
    ("gpx", "application/gpx+xml; charset=utf-8"),
    ("gz", "application/gzip"),
    ("h", "text/plain; charset=utf-8"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("htm", "text/html; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("ini", "text/plain; charset=utf-8"),
    ("iso", "application/x-iso9660-image"),
    ("jar", "application/java-archive"),
    ("java", "text/plain; charset=utf-8"),
    ("jpe", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("json5", "application/json5"),
    ("jsonld", "application/ld+json"),
    ("jsx", "text/javascript; charset=utf-8"),
    ("jxl", "image/jxl"),
    ("kml", "application/vnd.google-earth.kml+xml; charset=utf-8"),
    ("kmz", "application/vnd.google-earth.kmz"),
    ("less", "text/plain; charset=utf-8"),
    ("log", "text/plain; charset=utf-8"),
    ("lua", "text/plain; charset=utf-8"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4s", "video/iso.segment"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("markdown", "text/markdown; charset=utf-8"),
    ("md", "text/markdown; charset=utf-8"),
    ("mid", "audio/midi"),
    ("midi", "audio/midi"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mka", "audio/x-matroska"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpd", "application/dash+xml; charset=utf-8"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("msi", "application/x-msi"),
    ("ndjson", "application/x-ndjson"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("opus", "audio/ogg"),
    ("otf", "font/otf"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pdf", "application/pdf"),
    ("pem", "application/x-pem-file"),
    ("pl", "text/plain; charset=utf-8"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("ps", "application/postscript"),
    ("py", "text/plain; charset=utf-8"),
    ("rar", "application/vnd.rar"),
    ("rb", "text/plain; charset=utf-8"),
    ("rpm", "application/x-rpm"),
    ("rs", "text/plain; charset=utf-8"),
    ("rss", "application/rss+xml; charset=utf-8"),
    ("rst", "text/plain; charset=utf-8"),
    ("rtf", "application/rtf"),
    ("scss", "text/plain; charset=utf-8"),
    ("sh", "text/plain; charset=utf-8"),
    ("sql", "text/plain; charset=utf-8"),
    ("srt", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml; charset=utf-8"),
    ("svgz", "image/svg+xml; charset=utf-8"),
    ("swf", "application/vnd.adobe.flash.movie"),
    ("tar", "application/x-tar"),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("torrent", "application/x-bittorrent"),
    ("ts", "video/mp2t"),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("tsx", "text/plain; charset=utf-8"),
    ("ttc", "font/collection"),
    ("ttf", "font/ttf"),
    ("txt", "text/plain; charset=utf-8"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("vtt", "text/vtt; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xht", "application/xhtml+xml; charset=utf-8"),
    ("xhtml", "application/xhtml+xml; charset=utf-8"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", "application/xml; charset=utf-8"),
    ("xsd", "application/xml; charset=utf-8"),
    ("xsl", "application/xslt+xml; charset=utf-8"),
    ("xslt", "application/xslt+xml; charset=utf-8"),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zip", "application/zip"),
    ("zst", "application/zstd"),
];

/// The table, and the types that the program sets.
#[derive(Clone, Debug, Default)]
pub(super) struct Types {
    own: HashMap<String, HeaderValue>,
}

impl Types {
    /// Sets the type of an extension, with or without its dot.
    pub(super) fn set(&mut self, extension: &str, media_type: &str) -> Result<(), Error> {
        let name = extension.strip_prefix('.').unwrap_or(extension);
        if name.is_empty() || name.contains(['.', '/']) {
            let text = format!("{extension:?} is not the extension of a file, such as `md`");
            return Err(Error::new(ErrorKind::Rule, text));
        }
        let value = HeaderValue::try_from(media_type).ok();
        let value = value.filter(|_| MediaType::parse(media_type).is_some());
        let Some(value) = value else {
            let text = format!("{media_type:?} is not a media type, such as `text/plain`");
            return Err(Error::new(ErrorKind::HeaderValue, text));
        };
        self.own.insert(name.to_ascii_lowercase(), value);
        Ok(())
    }

    /// The type of files with this extension.
    pub(super) fn of(&self, extension: &str) -> HeaderValue {
        if !self.own.is_empty()
            && let Some(own) = self.own.get(&extension.to_ascii_lowercase())
        {
            return own.clone();
        }
        let found = TYPES.binary_search_by(|(known, _)| compare(known, extension));
        let found = found.ok().and_then(|at| TYPES.get(at));
        HeaderValue::from_static(found.map_or(UNKNOWN, |(_, media_type)| media_type))
    }
}

/// Compares with an extension, whose case does not matter.
fn compare(known: &str, extension: &str) -> Ordering {
    let extension = extension.bytes().map(|byte| byte.to_ascii_lowercase());
    known.bytes().cmp(extension)
}

/// Whether a browser that opens content of this type may run a script in it.
pub(super) fn is_active(media_type: &HeaderValue) -> bool {
    let text = media_type.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim();
    let essence = essence.to_ascii_lowercase();
    essence.ends_with("xml")
        || essence.ends_with("javascript")
        || matches!(
            &*essence,
            "text/html"
                | "text/xsl"
                | "application/pdf"
                | "text/cache-manifest"
                | "application/xml-dtd"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_its_types_are_types() {
        assert!(TYPES.is_sorted_by(|a, b| a.0 < b.0));
        for (extension, media_type) in TYPES {
            assert!(MediaType::parse(media_type).is_some(), "{extension}");
            let is_text = media_type.starts_with("text/");
            assert!(
                !is_text || media_type.ends_with("; charset=utf-8"),
                "{extension}"
            );
        }
    }

    #[test]
    fn a_type_is_that_of_the_last_extension() {
        use crate::files::tree::path::TreePath;
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("UPPER.HTML", "text/html; charset=utf-8"),
            ("a.tar.gz", "application/gzip"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.woff2", "font/woff2"),
            ("noext", UNKNOWN),
            ("a.", UNKNOWN),
            ("a.unknown", UNKNOWN),
            ("html", UNKNOWN),
            ("a.html/b", UNKNOWN),
            ("a/.css", "text/css; charset=utf-8"),
        ] {
            let path = TreePath::from_text(name).unwrap();
            let found = Types::default().of(path.extension());
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn a_program_sets_types_and_a_mistake_is_an_error() {
        let mut types = Types::default();
        types.set(".Foo", "application/x-foo").unwrap();
        types.set("md", "text/plain").unwrap();
        assert_eq!(types.of("foo"), "application/x-foo");
        assert_eq!(types.of("MD"), "text/plain");
        let error = types.set("a.b", "text/plain").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"a.b\" is not the extension of a file, such as `md`"
        );
        let error = types.set("a", "text").unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"text\" is not a media type, such as `text/plain`"
        );
    }

    #[test]
    fn what_a_browser_would_run_is_active() {
        for (media_type, expected) in [
            ("text/html; charset=utf-8", true),
            ("image/svg+xml", true),
            ("application/xhtml+xml", true),
            ("text/XML", true),
            ("text/javascript", true),
            ("text/plain", false),
            ("image/png", false),
            (
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                false,
            ),
        ] {
            assert_eq!(
                is_active(&HeaderValue::from_static(media_type)),
                expected,
                "{media_type}"
            );
        }
    }
}
