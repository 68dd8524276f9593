//! HTTP dates (RFC 9110, section 5.6.7).

use std::borrow::Cow;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// How HTTP dates are written.
const IMF_FIXDATE: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
);
/// The same without the weekday, for reading.
const DATE_AND_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
/// What C's `asctime` writes; obsolete, but to be read.
const ASCTIME: &[BorrowedFormatItem<'_>] = format_description!(
    "[weekday repr:short] [month repr:short] [day padding:space] [hour]:[minute]:[second] [year]"
);
/// Where the two digits of an RFC 850 year change the century.
///
/// The RFC has it 50 years from now, which would be a hidden clock. No file that is served today is older than 1970.
const FIRST_YEAR_OF_1900: u32 = 70;

/// Writes a time as HTTP headers have it; fractions of a second are dropped.
///
/// ```
/// use time::OffsetDateTime;
///
/// let time = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
/// assert_eq!(enfilade_core::headers::format_http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "writing to memory cannot fail")]
pub fn format_http_date(time: OffsetDateTime) -> String {
    time.to_offset(UtcOffset::UTC)
        .format(IMF_FIXDATE)
        .expect("every component is there and writing to memory cannot fail")
}

/// Reads a time in any of the three forms of RFC 9110, section 5.6.7; `None` where it has none of them.
///
/// A wrong day of the week is passed over. The two digits of an RFC 850 year are taken to be between 1970 and 2069.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<OffsetDateTime> {
    let date = match text.split_once(", ") {
        Some((_weekday, rest)) => PrimitiveDateTime::parse(&with_whole_year(rest), DATE_AND_TIME),
        None => PrimitiveDateTime::parse(text, ASCTIME),
    };
    date.ok().map(PrimitiveDateTime::assume_utc)
}

/// `06-Nov-94 08:49:37 GMT` becomes `06 Nov 1994 08:49:37 GMT`; anything else stays as it is.
fn with_whole_year(text: &str) -> Cow<'_, str> {
    let mut parts = text.splitn(3, '-');
    let (Some(day), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
        return text.into();
    };
    match rest
        .split_once(' ')
        .map(|(year, time)| (year.len(), year.parse::<u32>(), time))
    {
        Some((2, Ok(year), time)) => {
            let century = if year < FIRST_YEAR_OF_1900 {
                2000
            } else {
                1900
            };
            format!("{day} {month} {} {time}", century + year).into()
        }
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_three_forms_and_nothing_else() {
        let cases = [
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Wed Nov 16 08:49:37 1994", Some(784_975_777)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Saturday, 01-Jan-00 00:00:00 GMT", Some(946_684_800)),
            ("Friday, 31-Dec-99 23:59:59 GMT", Some(946_684_799)),
            ("Fri, 30 Feb 1990 00:00:00 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:60:00 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sat, 01 Jan 10000 00:00:00 GMT", None),
            ("Sun, 06 Növ 1994 08:49:37 GMT", None),
            ("1994-11-06T08:49:37Z", None),
            ("Sun, 06-Nov-1994-x 08:49:37 GMT", None),
            (", ", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(
                parse_http_date(text).map(OffsetDateTime::unix_timestamp),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for seconds in [
            0,
            951_782_400,
            1_704_251_045,
            4_102_444_800,
            253_402_300_799,
        ] {
            let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            assert_eq!(parse_http_date(&format_http_date(time)), Some(time));
        }
        let time = OffsetDateTime::from_unix_timestamp_nanos(784_111_777_999_000_000).unwrap();
        assert_eq!(format_http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
