//! From a configuration to a value of its type.
//!
//! Promise: an error says which key it is about and where that was given; so does the list of keys
//! that the type did not look at. A value of a variable is what the type asks for: who wants a
//! string gets the text of the variable, whatever it looks like.
//!
//! Limits: `#[serde(flatten)]` and untagged enums take a table apart before they look at it; an
//! error in it is about the table as a whole, and keys that nobody looks at are not noticed.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::collections::btree_map;

use serde::de::value::{MapDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Value;

use super::error::ConfigError;
use super::fault::Fault;
use super::key::Key;
use super::node::{Kind, Node};
use super::unused::{Unused, UnusedKey};

/// The value of a type, and the keys it has no use for, at most 16.
pub(super) fn read<C: DeserializeOwned>(
    node: &Node,
    key: &Key<'_>,
) -> Result<(C, Vec<UnusedKey>), ConfigError> {
    let unused = RefCell::new(Unused::default());
    let reader = Reader { node, key, unused: &unused, siblings: &[] };
    let value = C::deserialize(reader).map_err(|fault| fault.into_error(key, node))?;
    Ok((value, unused.into_inner().into_keys()))
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    node: &'a Node,
    key: &'a Key<'a>,
    unused: &'a RefCell<Unused>,
    /// The fields that the struct around this has.
    siblings: &'static [&'static str],
}

impl Reader<'_> {
    /// The text for who asks for a string.
    fn text(&self) -> Option<&str> {
        match (&self.node.kind, &self.node.raw) {
            (_, Some(raw)) => Some(raw),
            (Kind::Scalar(Value::String(text)), None) => Some(text),
            _ => None,
        }
    }

    fn table<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.node.kind {
            Kind::Table(nodes) => {
                visitor.visit_map(Entries { of: self, fields, rest: nodes.iter(), value: None })
            }
            _ => self.deserialize_any(visitor),
        }
    }
}

impl<'de> Deserializer<'de> for Reader<'_> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Self { node, key, .. } = self;
        let visited = match &node.kind {
            Kind::Scalar(Value::String(text)) => visitor.visit_str(text),
            Kind::Scalar(Value::Integer(number)) => visitor.visit_i64(*number),
            Kind::Scalar(Value::Float(number)) => visitor.visit_f64(*number),
            Kind::Scalar(Value::Boolean(yes)) => visitor.visit_bool(*yes),
            Kind::Scalar(Value::Datetime(time)) => visitor.visit_string(time.to_string()),
            // `Kind` has variants of its own for these two.
            Kind::Scalar(Value::Array(_) | Value::Table(_)) => visitor.visit_unit(),
            Kind::Array(nodes) => {
                let mut elements = Elements { of: self, rest: nodes.iter().enumerate() };
                visitor.visit_seq(&mut elements).and_then(|value| match elements.rest.len() {
                    0 => Ok(value),
                    rest => {
                        let fewer = format!("an array of length {}", nodes.len() - rest);
                        Err(de::Error::invalid_length(nodes.len(), &fewer.as_str()))
                    }
                })
            }
            Kind::Table(_) => self.table(&[], visitor),
        };
        visited.map_err(|fault| fault.at(key, node))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.text() {
            Some(text) => {
                visitor.visit_str(text).map_err(|fault: Fault| fault.at(self.key, self.node))
            }
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    /// TOML has no null: what is there is something.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self).map_err(|fault| fault.at(self.key, self.node))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self).map_err(|fault| fault.at(self.key, self.node))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let visited = match &self.node.kind {
            // The types of the crate `toml` for times ask for a struct of one field.
            Kind::Scalar(Value::Datetime(time)) => {
                let entries = fields.iter().take(1).map(|&field| (field, time.to_string()));
                visitor.visit_map(MapDeserializer::new(entries))
            }
            // Else serde would fill the fields by their order.
            Kind::Array(_) => Err(de::Error::invalid_type(Unexpected::Seq, &visitor)),
            _ => self.table(fields, visitor),
        };
        visited.map_err(|fault| fault.at(self.key, self.node))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        let visited = match (&self.node.kind, self.text()) {
            (Kind::Table(nodes), _) if nodes.len() == 1 => match nodes.iter().next() {
                Some((name, node)) => visitor.visit_enum(Variant { of: self, name, node }),
                None => self.deserialize_any(visitor),
            },
            (_, Some(name)) => {
                let name: StrDeserializer<'_, Fault> = name.into_deserializer();
                visitor.visit_enum(name)
            }
            _ => self.deserialize_any(visitor),
        };
        visited.map_err(|fault| fault.at(self.key, self.node))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.unused.borrow_mut().note(self.key, self.node, self.siblings);
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 bytes byte_buf unit unit_struct seq
        tuple tuple_struct map identifier
    }
}

/// The elements of an array.
struct Elements<'a> {
    of: Reader<'a>,
    rest: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, node)) = self.rest.next() else { return Ok(None) };
        let key = self.of.key.index(index);
        let reader = Reader { node, key: &key, siblings: &[], ..self.of };
        seed.deserialize(reader).map(Some).map_err(|fault| fault.at(&key, node))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The entries of a table.
struct Entries<'a> {
    of: Reader<'a>,
    fields: &'static [&'static str],
    rest: btree_map::Iter<'a, String, Node>,
    value: Option<(&'a str, &'a Node)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((name, node)) = self.rest.next() else { return Ok(None) };
        self.value = Some((name, node));
        let text: StrDeserializer<'_, Fault> = name.as_str().into_deserializer();
        let read = seed.deserialize(text).map(Some);
        read.map_err(|fault| fault.at(&self.of.key.field(name), node))
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let Some((name, node)) = self.value.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let key = self.of.key.field(name);
        let reader = Reader { node, key: &key, siblings: self.fields, ..self.of };
        seed.deserialize(reader).map_err(|fault| fault.at(&key, node))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A variant with a value, written as a table of one key.
struct Variant<'a> {
    of: Reader<'a>,
    name: &'a str,
    node: &'a Node,
}

impl Variant<'_> {
    fn inside<T>(self, read: impl FnOnce(Reader<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let key = self.of.key.field(self.name);
        let reader = Reader { node: self.node, key: &key, siblings: &[], ..self.of };
        read(reader).map_err(|fault| fault.at(&key, self.node))
    }
}

impl<'de> EnumAccess<'de> for Variant<'_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.inside(|_| Err(de::Error::custom("expected the name alone, without a value")))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.inside(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.inside(|reader| reader.deserialize_any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.inside(|reader| reader.deserialize_struct("", fields, visitor))
    }
}
