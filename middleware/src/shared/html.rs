//! Escapes text for HTML pages.

use std::fmt;

/// Text that is escaped for HTML, in content and in quoted attributes.
pub(crate) struct HtmlEscaped<'a>(pub(crate) &'a str);

impl fmt::Display for HtmlEscaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
            let mut characters = special.chars();
            f.write_str(plain)?;
            f.write_str(match characters.next() {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                _ => "&#39;",
            })?;
            rest = characters.as_str();
        }
        f.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_is_escaped() {
        for (text, expected) in [
            ("plain é", "plain é"),
            (
                "<a href=\"x\">'&'</a>",
                "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;",
            ),
            ("&amp;", "&amp;amp;"),
            ("", ""),
        ] {
            assert_eq!(HtmlEscaped(text).to_string(), expected);
        }
    }
}
