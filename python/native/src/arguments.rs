//! Arguments from Python, checked against what is allowed. An error names the argument and what is allowed.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::os::fd::RawFd;
use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt};

/// An argument that may be left out, or be `None`.
pub(crate) type Given<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// The limit of numbers of seconds that are sent to clients: RFC 9111, section 1.2.2, lets them treat more as this.
pub(crate) const MOST_SECONDS: u64 = 1 << 31;

/// The limit of times, in seconds: 366 days.
const LONGEST: f64 = 366.0 * 86_400.0;

/// The error for an invalid option.
pub(crate) fn refused(error: impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn wrong_type(name: &str, value: &Bound<'_, PyAny>, expected: &str) -> PyErr {
    match value.repr() {
        Ok(shown) => PyTypeError::new_err(format!("{name} must be {expected}, not {shown}")),
        Err(error) => error,
    }
}

/// Returns a whole number of this range.
pub(crate) fn whole(
    name: &str,
    value: &Bound<'_, PyAny>,
    allowed: RangeInclusive<u64>,
) -> PyResult<u64> {
    if !value.is_instance_of::<PyInt>() {
        return Err(wrong_type(name, value, "a whole number"));
    }
    match value.extract::<u64>() {
        Ok(number) if allowed.contains(&number) => Ok(number),
        _ => {
            let range = range(&allowed);
            Err(refused(format!("{name} must be {range}, not {value}")))
        }
    }
}

fn range(allowed: &RangeInclusive<u64>) -> String {
    match (allowed.start(), allowed.end()) {
        (least, most) if *most >= u64::from(u32::MAX) => format!("{least} or more"),
        (least, most) => format!("from {least} to {most}"),
    }
}

/// Returns a whole number of this range, or nothing if none was given.
pub(crate) fn optional_whole(
    name: &str,
    value: Given<'_, '_>,
    allowed: RangeInclusive<u64>,
) -> PyResult<Option<u64>> {
    value.map(|value| whole(name, value, allowed)).transpose()
}

/// Returns a positive number of 32 bits; a larger one is not an option that anybody needs.
pub(crate) fn count(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u32> {
    let number = whole(name, value, 1..=u64::from(u32::MAX))?;
    Ok(u32::try_from(number).expect("the range has 32 bits"))
}

/// Returns a number of 32 bits, 0 or more, or nothing if none was given.
pub(crate) fn optional_size(name: &str, value: Given<'_, '_>) -> PyResult<Option<usize>> {
    let number = optional_whole(name, value, 0..=u64::from(u32::MAX))?;
    Ok(number.map(|number| usize::try_from(number).expect("the range has 32 bits")))
}

/// Returns a port.
pub(crate) fn port(name: &str, value: &Bound<'_, PyAny>) -> PyResult<u16> {
    let number = whole(name, value, 1..=65_535)?;
    Ok(u16::try_from(number).expect("the range has 16 bits"))
}

/// Returns descriptors of open files, by their numbers.
pub(crate) fn descriptors(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<RawFd>> {
    const EXPECTED: &str = "a list of descriptors, which are 0 or more";
    let numbers: Vec<Bound<'_, PyAny>> = value
        .extract()
        .map_err(|_| wrong_type(name, value, EXPECTED))?;
    let number = |number: &Bound<'_, PyAny>| match number.extract::<RawFd>() {
        Ok(number) if number >= 0 => Ok(number),
        Err(error) if !error.is_instance_of::<PyOverflowError>(value.py()) => {
            Err(wrong_type(name, value, EXPECTED))
        }
        _ => Err(refused(format!("{name} must be {EXPECTED}, not {value}"))),
    };
    numbers.iter().map(number).collect()
}

/// Returns a time above 0, of at most 366 days.
pub(crate) fn seconds(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    match time(name, value)? {
        Some(time) if !time.is_zero() => Ok(time),
        _ => Err(refused(format!(
            "{name} must be a number of seconds above 0, and at most 366 days, not {value}"
        ))),
    }
}

/// Returns a time of at most 366 days, which may be 0.
pub(crate) fn seconds_or_zero(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    time(name, value)?.ok_or_else(|| {
        refused(format!(
            "{name} must be a number of seconds from 0 to 366 days, not {value}"
        ))
    })
}

/// Returns a time; nothing for a number that is negative, too large, or not a number.
fn time(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<Duration>> {
    match value.extract::<f64>() {
        Ok(seconds) if seconds <= LONGEST => Ok(Duration::try_from_secs_f64(seconds).ok()),
        Ok(_) => Ok(None),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => Ok(None),
        Err(_) => Err(wrong_type(name, value, "a number of seconds")),
    }
}

/// Returns a list of strings. One string alone is not a list of its characters.
pub(crate) fn texts(name: &str, value: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    let wrong = |_| wrong_type(name, value, "a list of strings");
    value.extract().map_err(wrong)
}

/// Returns a list of strings, or nothing if none was given.
pub(crate) fn optional_texts(name: &str, value: Given<'_, '_>) -> PyResult<Option<Vec<String>>> {
    value.map(|value| texts(name, value)).transpose()
}

/// Returns the pairs of a dictionary or of a list of tuples; none if none were given.
pub(crate) fn pairs(name: &str, value: Given<'_, '_>) -> PyResult<Vec<(String, String)>> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let found = match value.cast::<PyDict>() {
        Ok(dict) => dict.items().extract(),
        Err(_) => value.extract(),
    };
    found.map_err(|_| wrong_type(name, value, "a dictionary of strings or a list of pairs"))
}

/// Returns the choice of this name.
pub(crate) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> PyResult<T> {
    let found = choices.iter().find(|(name, _)| *name == text);
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        refused(format!("{text:?} is not one of {}", names.join(", ")))
    })
}

/// Returns the choices of these names.
pub(crate) fn choices<T: Copy>(
    name: &str,
    value: &Bound<'_, PyAny>,
    choices: &[(&str, T)],
) -> PyResult<Vec<T>> {
    let names = texts(name, value)?;
    names.iter().map(|name| choice(name, choices)).collect()
}
