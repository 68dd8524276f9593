//! Lists of headers in front of a value that converts into a response.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::message::http_error::HttpError;
use crate::message::response::{IntoResponse, Response};

impl<K, V, T, const N: usize> IntoResponse for ([(K, V); N], T)
where
    K: TryInto<HeaderName, Error: Into<http::Error>>,
    V: TryInto<HeaderValue, Error: Into<http::Error>>,
    T: IntoResponse,
{
    /// The first value of a name replaces the header that `T` set; later values are added. An invalid header makes the
    /// response a 500, and is never sent.
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        match put_headers(response.headers_mut(), self.0) {
            Ok(()) => response,
            Err(error) => HttpError::from(error).into_response(),
        }
    }
}

impl<K, V, T, const N: usize> IntoResponse for (StatusCode, [(K, V); N], T)
where
    ([(K, V); N], (StatusCode, T)): IntoResponse,
{
    fn into_response(self) -> Response {
        (self.1, (self.0, self.2)).into_response()
    }
}

fn put_headers<K, V, const N: usize>(
    headers: &mut HeaderMap,
    list: [(K, V); N],
) -> Result<(), http::Error>
where
    K: TryInto<HeaderName, Error: Into<http::Error>>,
    V: TryInto<HeaderValue, Error: Into<http::Error>>,
{
    let mut seen: Vec<HeaderName> = Vec::with_capacity(N);
    for (name, value) in list {
        let name = name.try_into().map_err(Into::into)?;
        let value = value.try_into().map_err(Into::into)?;
        if seen.contains(&name) {
            headers.append(name, value);
        } else {
            seen.push(name.clone());
            headers.insert(name, value);
        }
    }
    Ok(())
}
