//! Captures as a struct.

use http::StatusCode;
use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, Error, MapDeserializer};
use serde::de::{Deserializer, IntoDeserializer, Visitor};

use super::Params;
use crate::message::http_error::HttpError;

impl<'a> Params<'a> {
    /// Reads the captures into a struct or a map, by their names.
    ///
    /// Numbers and `bool`s are parsed. An `Option` is `None` if nothing was captured. Unit variants of an `enum` are
    /// matched by name. If two captures have the same name, the innermost counts.
    ///
    /// ```
    /// # use enfilade_core as enfilade;
    /// use enfilade::{HttpError, Request};
    /// use serde::Deserialize;
    /// # use std::sync::Arc;
    ///
    /// #[derive(Deserialize)]
    /// struct Post<'a> {
    ///     year: u16,
    ///     slug: &'a str,
    /// }
    ///
    /// fn title(request: &Request) -> Result<String, HttpError> {
    ///     let Post { year, slug } = request.params().deserialize()?;
    ///     Ok(format!("{slug} of {year}"))
    /// }
    /// # let mut request = Request::get("/2024/doors");
    /// # assert_eq!(title(&request).unwrap_err().status(), 404);
    /// # let names = Arc::from(["year".into(), "slug".into()]);
    /// # request.capture(&names, [1..5, 6..11].map(enfilade::Captured::Raw)).unwrap();
    /// # assert_eq!(title(&request).unwrap(), "doors of 2024");
    /// ```
    ///
    /// # Errors
    ///
    /// 404 if a capture is missing or has the wrong form, because no such path exists.
    pub fn deserialize<T: Deserialize<'a>>(&self) -> Result<T, HttpError> {
        let innermost = |name: &str, value: &str| {
            self.get(name)
                .is_some_and(|found| std::ptr::eq(found, value))
        };
        let pairs = self.iter().filter(|(name, value)| innermost(name, value));
        let map = MapDeserializer::new(pairs.map(|(name, value)| (Text(name), Text(value))));
        T::deserialize(map)
            .map_err(|error: Error| HttpError::new(StatusCode::NOT_FOUND).caused_by(error))
    }
}

/// Text that is parsed into the requested type.
struct Text<'de>(&'de str);

impl<'de> IntoDeserializer<'de, Error> for Text<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parse {
    ($($method:ident => $visit:ident),+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.parse() {
                Ok(value) => visitor.$visit(value),
                // The visitor's error names the expected type.
                Err(_) => visitor.visit_borrowed_str(self.0),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Text<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    parse! {
        deserialize_bool => visit_bool,
        deserialize_i8 => visit_i8,
        deserialize_i16 => visit_i16,
        deserialize_i32 => visit_i32,
        deserialize_i64 => visit_i64,
        deserialize_i128 => visit_i128,
        deserialize_u8 => visit_u8,
        deserialize_u16 => visit_u16,
        deserialize_u32 => visit_u32,
        deserialize_u64 => visit_u64,
        deserialize_u128 => visit_u128,
        deserialize_f32 => visit_f32,
        deserialize_f64 => visit_f64,
        deserialize_char => visit_char
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        BorrowedStrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use super::*;
    use crate::message::request::Captured;
    use crate::message::request::Request;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Rose,
        Oak,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Id(u64);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Plant {
        id: Id,
        kind: Kind,
        height: Option<f32>,
        name: Option<String>,
    }

    fn request(target: &'static str, captures: &[(&str, std::ops::Range<usize>)]) -> Request {
        let mut request = Request::get(target);
        for (name, range) in captures {
            let value = Captured::Raw(range.clone());
            request
                .capture(&Arc::from([Arc::from(*name)]), [value])
                .unwrap();
        }
        request
    }

    #[test]
    fn captures_become_what_the_struct_has() {
        let request = request(
            "/42/rose/1.5",
            &[("id", 1..3), ("kind", 4..8), ("height", 9..12)],
        );
        let plant: Plant = request.params().deserialize().unwrap();
        let expected = Plant {
            id: Id(42),
            kind: Kind::Rose,
            height: Some(1.5),
            name: None,
        };
        assert_eq!(plant, expected);
        let map: HashMap<&str, &str> = request.params().deserialize().unwrap();
        assert_eq!(map["height"], "1.5");
    }

    #[test]
    fn the_innermost_of_two_counts() {
        let request = request("/1/2", &[("id", 1..2), ("id", 3..4)]);
        #[derive(Deserialize)]
        struct OnlyId {
            id: u8,
        }
        assert_eq!(request.params().deserialize::<OnlyId>().unwrap().id, 2);
    }

    #[test]
    fn what_does_not_fit_is_a_404_that_says_why() {
        let cases = [
            (
                request("/x/rose", &[("id", 1..2), ("kind", 3..7)]),
                "invalid type: string \"x\", expected u64",
            ),
            (
                request("/1/elm", &[("id", 1..2), ("kind", 3..6)]),
                "unknown variant `elm`, expected `rose` or `oak`",
            ),
            (request("/1", &[("id", 1..2)]), "missing field `kind`"),
        ];
        for (request, expected) in cases {
            let error = request.params().deserialize::<Plant>().unwrap_err();
            assert_eq!(error.status(), StatusCode::NOT_FOUND);
            assert_eq!(error.source().unwrap().to_string(), expected);
        }
    }
}
