//! HTTP dates (RFC 9110, section 5.6.7).

use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time, UtcOffset};

const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// RFC 850 years from this one on are in the 20th century.
///
/// The RFC sets the boundary at 50 years from now, which would need a hidden clock. No file that is served today is
/// older than 1970.
const FIRST_YEAR_OF_1900: u16 = 70;

/// Formats a time for HTTP headers; fractions of a second are dropped.
///
/// ```
/// # use enfilade_core as enfilade;
/// use time::OffsetDateTime;
///
/// let time = OffsetDateTime::from_unix_timestamp(784_111_777).unwrap();
/// assert_eq!(enfilade::headers::format_http_date(time), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[must_use]
pub fn format_http_date(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let weekday = WEEKDAYS[usize::from(time.weekday().number_days_from_monday())];
    let month = MONTHS[usize::from(u8::from(time.month()) - 1)];
    let (day, year) = (time.day(), time.year());
    let (hour, minute, second) = time.to_hms();
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Parses a time in any of the three forms of RFC 9110, section 5.6.7; `None` if it has none of them.
///
/// A wrong day of the week is ignored. The two digits of an RFC 850 year mean a year between 1970 and 2069.
#[must_use]
pub fn parse_http_date(text: &str) -> Option<OffsetDateTime> {
    let (day, month, year, time) = match text.split_once(", ") {
        Some((_weekday, rest)) => read_fixdate(rest).or_else(|| read_rfc850(rest))?,
        None => read_asctime(text)?,
    };
    let date = Date::from_calendar_date(i32::from(year), month, u8::try_from(day).ok()?).ok()?;
    let time = PrimitiveDateTime::new(date, read_time(time)?);
    Some(time.assume_utc())
}

/// Day, month, year and time of day.
type Parts<'a> = (u16, Month, u16, &'a str);

/// `06 Nov 1994 08:49:37 GMT`
fn read_fixdate(text: &str) -> Option<Parts<'_>> {
    let mut words = text.strip_suffix(" GMT")?.split(' ');
    let (day, month) = (number::<2>(words.next()?)?, read_month(words.next()?)?);
    let (year, time) = (number::<4>(words.next()?)?, words.next()?);
    words.next().is_none().then_some((day, month, year, time))
}

/// `06-Nov-94 08:49:37 GMT`
fn read_rfc850(text: &str) -> Option<Parts<'_>> {
    let (date, time) = text.strip_suffix(" GMT")?.split_once(' ')?;
    let mut words = date.split('-');
    let (day, month) = (number::<2>(words.next()?)?, read_month(words.next()?)?);
    let year = number::<2>(words.next()?)?;
    let century = if year < FIRST_YEAR_OF_1900 {
        2000
    } else {
        1900
    };
    words
        .next()
        .is_none()
        .then_some((day, month, century + year, time))
}

/// `Sun Nov  6 08:49:37 1994`, as C's `asctime` writes it.
fn read_asctime(text: &str) -> Option<Parts<'_>> {
    let (weekday, rest) = text.split_once(' ')?;
    let (month, rest) = rest.split_once(' ')?;
    let (day, rest) = rest.split_at_checked(2)?;
    let day = match day.strip_prefix(' ') {
        Some(digit) => number::<1>(digit)?,
        None => number::<2>(day)?,
    };
    let (time, year) = rest.strip_prefix(' ')?.split_once(' ')?;
    let parts = (day, read_month(month)?, number::<4>(year)?, time);
    WEEKDAYS.contains(&weekday).then_some(parts)
}

/// `08:49:37`
fn read_time(text: &str) -> Option<Time> {
    let mut words = text.split(':');
    let mut next = || u8::try_from(number::<2>(words.next()?)?).ok();
    let (hour, minute, second) = (next()?, next()?, next()?);
    let time = Time::from_hms(hour, minute, second).ok()?;
    words.next().is_none().then_some(time)
}

fn read_month(text: &str) -> Option<Month> {
    let at = MONTHS.iter().position(|month| *month == text)?;
    Month::try_from(u8::try_from(at + 1).ok()?).ok()
}

/// A number with exactly this many digits.
fn number<const DIGITS: usize>(text: &str) -> Option<u16> {
    let is_number = text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
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
