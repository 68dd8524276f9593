//! JSON bodies.

use std::collections::HashSet;
use std::fmt;

use http::StatusCode;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::error::Category;

use super::limits::DataLimits;
use super::reading::{expect_type, read, short, unprocessable};
use crate::message::http_error::HttpError;
use crate::message::request::Request;
use crate::rules::headers::MediaType;

impl Request {
    /// Reads the body as JSON (RFC 8259), up to 2 MiB; see [`DataLimits`].
    ///
    /// The content stays in the body, for the next reader. Values that are read are nested at most 128 deep; what `T` skips
    /// may be deeper.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::http::Method;
    /// use enfilade::{HttpError, Request};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// struct Order {
    ///     items: Vec<Item>,
    /// }
    /// #[derive(Deserialize)]
    /// struct Item {
    ///     price: f64,
    /// }
    ///
    /// async fn total(mut request: Request) -> Result<String, HttpError> {
    ///     let order: Order = request.json().await?;
    ///     Ok(order.items.iter().map(|item| item.price).sum::<f64>().to_string())
    /// }
    ///
    /// let post = |body: &'static str| {
    ///     let mut request = Request::new(Method::POST, "/".parse().unwrap());
    ///     request.headers_mut().insert("content-type", "application/json".parse().unwrap());
    ///     *request.body_mut() = body.into();
    ///     pollster::block_on(total(request))
    /// };
    /// assert_eq!(post(r#"{"items": [{"price": 2}, {"price": 0.5}]}"#).unwrap(), "2.5");
    /// let error = post(r#"{"items": [{"price": 2}, {"price": "free"}]}"#).unwrap_err();
    /// assert_eq!(error.status(), 422);
    /// assert!(error.client_message().unwrap().starts_with("items[1].price: invalid type: string"));
    /// ```
    ///
    /// # Errors
    ///
    /// | | |
    /// |---|---|
    /// | 415 | the content type is neither `application/json` nor `…+json` |
    /// | 413 | the body is longer than the limit |
    /// | 400 | it is not JSON, is empty, is followed by other text, or nested too deep |
    /// | 422 | it is JSON, but not a `T`; the text and the member `field` name the place: `items[2].price` |
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T, HttpError> {
        let limits = DataLimits::of(self);
        self.json_with(&limits).await
    }

    /// Reads the body as JSON with these limits; see [`json`](Request::json).
    ///
    /// # Errors
    ///
    /// As for [`json`](Request::json).
    pub async fn json_with<T: DeserializeOwned>(
        &mut self,
        limits: &DataLimits,
    ) -> Result<T, HttpError> {
        expect_type(self, "application/json", is_json)?;
        let text = read(self, limits.bytes).await?;
        if text.trim_ascii().is_empty() {
            return Err(
                HttpError::new(StatusCode::BAD_REQUEST).message("the body is empty, not JSON")
            );
        }
        if limits.has_unique_keys {
            unique_keys(&text).map_err(malformed)?;
        }
        // Keeping track of the place takes as long again, so only a value that is wrong is read for it.
        serde_json::from_slice(&text).map_err(|error| match error.classify() {
            Category::Data => wrong_value::<T>(&text, error),
            _ => malformed(error),
        })
    }
}

fn is_json(sent: &MediaType<'_>) -> bool {
    let (subtype, suffix) = (sent.subtype(), "+json");
    let end = subtype
        .len()
        .checked_sub(suffix.len())
        .and_then(|start| subtype.get(start..));
    sent.is("application", "json") || end.is_some_and(|end| end.eq_ignore_ascii_case(suffix))
}

fn malformed(error: serde_json::Error) -> HttpError {
    let text = format!("the body is not valid JSON: {}", short(&error.to_string()));
    HttpError::new(StatusCode::BAD_REQUEST)
        .message(text)
        .caused_by(error)
}

/// A 422 that names the place; a 400 if the text goes on as something that is not JSON.
fn wrong_value<T: DeserializeOwned>(text: &[u8], error: serde_json::Error) -> HttpError {
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(text) {
        return malformed(error);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => unprocessable(&error.path().to_string(), error.into_inner()),
        Ok(_) => unprocessable(".", error),
    }
}

/// Fails if an object has a key twice.
fn unique_keys(text: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    UniqueKeys.deserialize(&mut deserializer)?;
    deserializer.end()
}

#[derive(Clone, Copy)]
struct UniqueKeys;

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// What is neither a list nor an object has no keys.
macro_rules! without_keys {
    ($($method:ident: $kind:ty),+) => {$(
        fn $method<E>(self, _: $kind) -> Result<(), E> {
            Ok(())
        }
    )+};
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    without_keys!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = object.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is there twice")));
            }
            keys.insert(key);
            object.next_value_seed(self)?;
        }
        Ok(())
    }
}
