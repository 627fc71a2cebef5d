//! The JSON of the contracts: `snake_case` names, 64-bit integers as numbers, enums by name, default values
//! present, absent messages left out, times in RFC 3339.
//!
//! The monolith and the gateway encode by these rules alone, so their bodies are equal byte for byte.

mod comment;
mod field;
pub mod schema;

use prost_reflect::{
    DeserializeOptions, DynamicMessage, MessageDescriptor, ReflectMessage, SerializeOptions,
};

use crate::Error;

pub use comment::comment;
pub use field::{set, settable};

/// How answers are written.
pub fn serialize_options() -> SerializeOptions {
    SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false)
}

/// How requests are read: an unknown field is an error that names it.
pub fn deserialize_options() -> DeserializeOptions {
    DeserializeOptions::new().deny_unknown_fields(true)
}

/// Writes a message of generated type.
pub fn encode<M: ReflectMessage>(message: &M) -> Vec<u8> {
    encode_dynamic(&message.transcode_to_dynamic())
}

/// Writes a message known by its descriptor.
pub fn encode_dynamic(message: &DynamicMessage) -> Vec<u8> {
    let mut json = serde_json::Serializer::new(Vec::with_capacity(256));
    message
        .serialize_with_options(&mut json, &serialize_options())
        .expect("a message of the contracts has no NaN and writes to memory");
    json.into_inner()
}

/// Reads a message of generated type; an empty body is an empty message.
pub fn decode<M: ReflectMessage + Default>(body: &[u8]) -> Result<M, Error> {
    let message = decode_dynamic(M::default().descriptor(), body)?;
    message.transcode_to().map_err(|error| malformed(&error))
}

/// Reads a message known by its descriptor; an empty body is an empty message.
pub fn decode_dynamic(descriptor: MessageDescriptor, body: &[u8]) -> Result<DynamicMessage, Error> {
    if body.is_empty() {
        return Ok(DynamicMessage::new(descriptor));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let options = deserialize_options();
    let message = DynamicMessage::deserialize_with_options(descriptor, &mut json, &options)
        .map_err(|error| malformed(&error))?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(message)
}

fn malformed(error: &dyn std::fmt::Display) -> Error {
    Error::invalid("bad_request", format!("failed to read the body: {error}"))
}

#[cfg(test)]
mod tests {
    use trellis_contracts::notifications::v1::{Notification, UpdatePreferencesRequest};

    use super::*;

    #[test]
    fn defaults_are_present_and_integers_are_numbers() {
        let body =
            encode(&Notification { id: 9_007_199_254_740_993, kind: 3, ..Default::default() });
        assert_eq!(
            String::from_utf8_lossy(&body),
            r#"{"id":9007199254740993,"kind":"KIND_MENTION","workspace_id":0,"actor_id":0,"task_id":0,"comment_id":0,"read":false}"#
        );
    }

    #[test]
    fn a_body_is_read_back() {
        let json = br#"{"preferences":[{"kind":"KIND_MENTION","in_app":true}]}"#;
        let message: UpdatePreferencesRequest = decode(json).expect("a request");
        assert_eq!(message.preferences[0].kind, 3);
        assert!(message.preferences[0].in_app && !message.preferences[0].email);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = decode::<UpdatePreferencesRequest>(br#"{"colour":1}"#).expect_err("unknown");
        assert!(error.detail.contains("colour"), "{error}");
        assert!(decode::<UpdatePreferencesRequest>(b"{} x").is_err());
    }
}
