//! What the JSON of a message may look like, as JSON Schema (2020-12).

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, OneofDescriptor};
use serde_json::{Map, Value, json};

use super::comment;

/// Which way the JSON goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Read by [`decode_dynamic`](super::decode_dynamic): any field may be absent, an unknown one is an error.
    In,
    /// Written by [`encode_dynamic`](super::encode_dynamic): what has a default is present.
    Out,
}

/// The schemas of messages and enums that refer to each other.
#[derive(Debug, Default)]
pub struct Schemas(BTreeMap<String, Value>);

impl Schemas {
    /// A reference to the message's schema, which is added with all that it refers to.
    pub fn message(&mut self, message: &MessageDescriptor, way: Way) -> Value {
        if let Some(schema) = well_known(message.full_name()) {
            return schema;
        }
        let name = match way {
            Way::In => format!("{}-Input", message.full_name()),
            Way::Out => message.full_name().to_owned(),
        };
        if !self.0.contains_key(&name) {
            // It may refer to itself.
            self.0.insert(name.clone(), Value::Null);
            let schema = self.fields(message, way, &[]);
            self.0.insert(name.clone(), schema);
        }
        reference(&name)
    }

    /// The message's own schema without some of its fields.
    pub fn fields(&mut self, message: &MessageDescriptor, way: Way, without: &[String]) -> Value {
        let fields: Vec<_> =
            message.fields().filter(|field| !without.iter().any(|n| n == field.name())).collect();
        let properties: Map<_, _> =
            fields.iter().map(|field| (field.name().to_owned(), self.field(field, way))).collect();
        let mut schema = json!({"type": "object", "properties": properties});
        let always = fields.iter().filter(|field| way == Way::Out && !field.supports_presence());
        let always: Vec<_> = always.map(FieldDescriptor::name).collect();
        if !always.is_empty() {
            schema["required"] = json!(always);
        }
        if way == Way::In {
            schema["additionalProperties"] = false.into();
        }
        let oneofs: Vec<_> = message
            .oneofs()
            .filter(|oneof| !oneof.is_synthetic())
            .map(|oneof| one_of(&oneof))
            .collect();
        if !oneofs.is_empty() {
            schema["allOf"] = oneofs.into();
        }
        described(schema, comment(&message.parent_file(), message.path()))
    }

    /// A field's schema, with its comment.
    pub fn field(&mut self, field: &FieldDescriptor, way: Way) -> Value {
        let schema = match field.kind() {
            Kind::Message(entry) if field.is_map() => {
                let values = self.value(&entry.map_entry_value_field().kind(), way);
                json!({"type": "object", "additionalProperties": values})
            }
            kind if field.is_list() => json!({"type": "array", "items": self.value(&kind, way)}),
            kind => self.value(&kind, way),
        };
        described(schema, comment(&field.parent_file(), field.path()))
    }

    fn value(&mut self, kind: &Kind, way: Way) -> Value {
        match kind {
            Kind::Message(message) => self.message(message, way),
            Kind::Enum(names) => self.names(names),
            Kind::Bytes => json!({"type": "string", "contentEncoding": "base64"}),
            Kind::String => json!({"type": "string"}),
            Kind::Bool => json!({"type": "boolean"}),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer("int32", i32::MIN, i32::MAX),
            Kind::Uint32 | Kind::Fixed32 => integer("uint32", u32::MIN, u32::MAX),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer("int64", i64::MIN, i64::MAX),
            Kind::Uint64 | Kind::Fixed64 => integer("uint64", u64::MIN, u64::MAX),
            Kind::Float => float("float"),
            Kind::Double => float("double"),
        }
    }

    fn names(&mut self, names: &EnumDescriptor) -> Value {
        if names.full_name() == "google.protobuf.NullValue" {
            return json!({"type": "null"});
        }
        let values: Vec<_> = names.values().map(|value| value.name().to_owned()).collect();
        let schema = json!({"type": "string", "enum": values});
        let schema = described(schema, comment(&names.parent_file(), names.path()));
        self.0.insert(names.full_name().to_owned(), schema);
        reference(names.full_name())
    }

    /// All of them, by name.
    pub fn into_components(self) -> BTreeMap<String, Value> {
        self.0
    }
}

/// At most one of the fields is present.
fn one_of(oneof: &OneofDescriptor) -> Value {
    let each: Vec<_> = oneof.fields().map(|field| json!({"required": [field.name()]})).collect();
    let none = json!({"not": {"anyOf": each}});
    json!({"oneOf": each.into_iter().chain([none]).collect::<Vec<_>>()})
}

fn integer<N: Into<Value>>(format: &str, least: N, most: N) -> Value {
    json!({"type": "integer", "format": format, "minimum": least.into(), "maximum": most.into()})
}

fn float(format: &str) -> Value {
    json!({"anyOf": [
        {"type": "number", "format": format},
        {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
    ]})
}

/// Messages that have a JSON of their own (<https://protobuf.dev/programming-guides/json/>).
fn well_known(name: &str) -> Option<Value> {
    Some(match name.strip_prefix("google.protobuf.")? {
        "Timestamp" => json!({"type": "string", "format": "date-time"}),
        "Duration" => json!({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"}),
        "FieldMask" | "StringValue" => json!({"type": "string"}),
        "BytesValue" => json!({"type": "string", "contentEncoding": "base64"}),
        "BoolValue" => json!({"type": "boolean"}),
        "Int32Value" => integer("int32", i32::MIN, i32::MAX),
        "UInt32Value" => integer("uint32", u32::MIN, u32::MAX),
        "Int64Value" => integer("int64", i64::MIN, i64::MAX),
        "UInt64Value" => integer("uint64", u64::MIN, u64::MAX),
        "FloatValue" => float("float"),
        "DoubleValue" => float("double"),
        "Struct" | "Empty" => json!({"type": "object"}),
        "Value" => json!({}),
        "ListValue" => json!({"type": "array"}),
        "Any" => json!({"type": "object", "properties": {"@type": {"type": "string"}}}),
        _ => return None,
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn described(mut schema: Value, comment: Option<String>) -> Value {
    if let Some(comment) = comment {
        schema["description"] = comment.into();
    }
    schema
}

#[cfg(test)]
mod tests;
