//! Lines such as `{ at: 40m, for: 20m, series_gone: { service: web } }`.
//!
//! **In:** a mapping with times and one more field, which names what happens.
//! **Out:** [`Timed`], every part with its place. **Not here:** what can happen (`K`).
//!
//! Written by hand because `#[serde(flatten)]` loses the places of values and lets unknown
//! fields pass.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeSeed, EnumAccess, Error as _, IgnoredAny, IntoDeserializer, MapAccess,
    VariantAccess, Visitor,
};
use serde::{Deserialize, Deserializer, forward_to_deserialize_any};
use serde_saphyr::Spanned;

use super::value::Length;

/// One line. `K` is an enum whose variants are what can happen.
#[derive(Debug)]
pub(super) struct Timed<K> {
    /// `at: 40m`.
    pub(super) at: Option<Spanned<Length>>,
    /// `for: 20m`.
    pub(super) lasts: Option<Spanned<Length>>,
    /// `after_page: 10m`.
    pub(super) after_page: Option<Spanned<Length>>,
    /// What happens.
    pub(super) kind: Option<K>,
    /// The names of what happens; there should be one.
    pub(super) names: Vec<String>,
}

impl<'de, K: Deserialize<'de>> Deserialize<'de> for Timed<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timed<K>, D::Error> {
        deserializer.deserialize_map(LineVisitor(PhantomData))
    }
}

struct LineVisitor<K>(PhantomData<K>);

impl<'de, K: Deserialize<'de>> Visitor<'de> for LineVisitor<K> {
    type Value = Timed<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time and what happens, such as `{ at: 40m, … }`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Timed<K>, A::Error> {
        let mut line =
            Timed { at: None, lasts: None, after_page: None, kind: None, names: Vec::new() };
        while let Some(name) = map.next_key::<String>()? {
            match name.as_str() {
                "at" => line.at = Some(map.next_value()?),
                "for" => line.lasts = Some(map.next_value()?),
                "after_page" => line.after_page = Some(map.next_value()?),
                _ if line.names.is_empty() => {
                    line.kind = Some(K::deserialize(Field { name: name.clone(), map: &mut map })?);
                    line.names.push(name);
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    line.names.push(name);
                }
            }
        }
        Ok(line)
    }
}

/// One field of a mapping as an enum: the key is the variant, the value its content.
struct Field<'a, A> {
    name: String,
    map: &'a mut A,
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Field<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, 'a, A: MapAccess<'de>> EnumAccess<'de> for Field<'a, A> {
    type Error = A::Error;
    type Variant = Content<'a, A>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Content<'a, A>), A::Error> {
        let name: StringDeserializer<A::Error> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.map)))
    }
}

struct Content<'a, A>(&'a mut A);

impl<'de, A: MapAccess<'de>> VariantAccess<'de> for Content<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.next_value::<Nothing>().map(|_| ())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, A::Error> {
        Err(A::Error::custom("a list is not understood here"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.next_value_seed(Fields { fields, visitor })
    }
}

struct Fields<V> {
    fields: &'static [&'static str],
    visitor: V,
}

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Fields<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_struct("fields", self.fields, self.visitor)
    }
}

/// What has no fields: `backend_down: {}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}
