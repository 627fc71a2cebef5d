//! A field from text: out of a path or a query.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value,
};

use crate::Error;

/// Of a message that has itself as a field a name could say as many levels as it has bytes, and each takes some of the
/// stack.
const DEPTH: usize = 32;

/// Sets a scalar field to what its text says; `a.b` is field b of message a.
pub fn set(message: &mut DynamicMessage, name: &str, text: &str) -> Result<(), Error> {
    if name.split('.').count() > DEPTH {
        return Err(bad_request(format!("a field is {DEPTH} messages deep at most")));
    }
    set_within(message, name, text)
}

fn set_within(message: &mut DynamicMessage, name: &str, text: &str) -> Result<(), Error> {
    let (head, rest) = name.split_once('.').map_or((name, None), |(head, rest)| (head, Some(rest)));
    let field = message.descriptor().get_field_by_name(head);
    let field = field.ok_or_else(|| bad_request(format!("there is no field {name}")))?;
    let unfit = || bad_request(format!("{name} has no such value"));
    if let Some(rest) = rest {
        let inner = message.get_field_mut(&field).as_message_mut().ok_or_else(unfit)?;
        return set_within(inner, rest, text);
    }
    if field.is_map() {
        return Err(unfit());
    }
    let value = scalar(&field.kind(), text).ok_or_else(unfit)?;
    if field.is_list() {
        message.get_field_mut(&field).as_list_mut().ok_or_else(unfit)?.push(value);
    } else {
        message.set_field(&field, value);
    }
    Ok(())
}

/// Every field that [`set`] can set, by the name under which it does; a list grows by one at each time.
pub fn settable(message: &MessageDescriptor) -> Vec<(String, FieldDescriptor)> {
    let mut found = Vec::new();
    collect(message, "", &mut Vec::new(), &mut found);
    found
}

/// `above` are the messages that this one is a field of, so that one that has itself as a field has an end.
fn collect(
    message: &MessageDescriptor,
    prefix: &str,
    above: &mut Vec<String>,
    found: &mut Vec<(String, FieldDescriptor)>,
) {
    above.push(message.full_name().to_owned());
    for field in message.fields() {
        let name = format!("{prefix}{}", field.name());
        match field.kind() {
            Kind::Bytes => {}
            Kind::Message(inner) => {
                if !field.is_list() && !field.is_map() && !above.contains(&inner.full_name().into())
                {
                    collect(&inner, &format!("{name}."), above, found);
                }
            }
            _ => found.push((name, field)),
        }
    }
    above.pop();
}

fn scalar(kind: &Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => text.parse().ok().map(Value::I64),
        Kind::Uint64 | Kind::Fixed64 => text.parse().ok().map(Value::U64),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => text.parse().ok().map(Value::I32),
        Kind::Uint32 | Kind::Fixed32 => text.parse().ok().map(Value::U32),
        Kind::Double => text.parse().ok().map(Value::F64),
        Kind::Float => text.parse().ok().map(Value::F32),
        Kind::Bool => text.parse().ok().map(Value::Bool),
        Kind::String => Some(Value::String(text.to_owned())),
        Kind::Enum(names) => names.get_value_by_name(text).map(|v| Value::EnumNumber(v.number())),
        Kind::Bytes | Kind::Message(_) => None,
    }
}

fn bad_request(detail: String) -> Error {
    Error::invalid("bad_request", detail)
}
